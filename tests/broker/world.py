"""A small world, tools that read and write it, and agents that act in it: the core under a virtual clock.

Everything that can happen happens by draws of a `random.Random`: latencies, the instant at which a run
touches the world, failures, callers that leave. The harness records what every run saw, and when.
"""

import heapq
import itertools
import json
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from paste_proxy.config import Config
from paste_proxy.core import Core
from paste_proxy.errors import ToolError
from paste_proxy.events import (
    AdmitTurn,
    AnswerCall,
    CallAbandoned,
    CallRequested,
    CancelRun,
    Decision,
    Event,
    FailCall,
    RunBegan,
    RunEnded,
    StartRun,
    TimePassed,
    TurnClosed,
    TurnRequested,
    TurnSent,
    TurnStreamed,
)
from paste_proxy.grammar.events import CallOpened, CallSealed, ContentText, Foreseen, TurnEnded
from paste_proxy.grammar.requests import parse_chat_request
from paste_proxy.predict.model import Call, History
from paste_proxy.tools.ports import Output, RunContext
from paste_proxy.tools.table import ToolTable
from tests.broker.cast import (
    CLIENT_TOOLS,
    CONFIG,
    OFFERED,
    SPECS,
    Agent,
    HostilePredictor,
    Seen,
    World,
    scopes_of,
    written,
)


class Simulation:
    """Plays agents against a core. `fates` may fail or stall speculative runs; authoritative ones succeed."""

    def __init__(
        self,
        core: Core,
        agents: list[Agent],
        random: Random,
        *,
        impatient: float = 0.0,
        failing: float = 0.0,
        foresight: float = 0.0,
        perishable: float = 0.0,
    ) -> None:
        self.core = core
        self.world = World()
        self.seen: list[Seen] = []
        self.contexts: dict[str, RunContext] = {}
        self.tools: dict[str, str] = {}
        """Of the runs: for whom, and of what."""
        self.now = 0.0
        self._random = random
        self._impatient = impatient
        self._failing = failing
        self._foresight = foresight
        self._perishable = perishable
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._runs: dict[str, dict[str, Any]] = {}
        self._outputs: dict[int, tuple[Output, str]] = {}
        self._waiting: dict[str, tuple[Agent, str, int, float]] = {}
        for agent in agents:
            self._at(random.random(), partial(self._begin_turn, agent))

    def run(self) -> None:
        while self._agenda:
            due = self.core.next_deadline()
            if due is not None and due < self._agenda[0][0]:
                self.now = max(self.now, due)
                self._tell(TimePassed())
                continue
            self.now, _, action = heapq.heappop(self._agenda)
            action()

    # -- agents -------------------------------------------------------------------------------------------

    def _begin_turn(self, agent: Agent) -> None:
        if agent.turn == len(agent.turns):
            return
        body = json.dumps({"model": "m", "messages": agent.messages, "tools": OFFERED}).encode()
        turn = f"{agent.name}/{agent.turn}"
        self._tell(TurnRequested(turn, agent.identity, parse_chat_request(body)))

    def _admitted(self, agent: Agent, turn: str) -> None:
        self._tell(TurnSent(turn))
        calls = agent.turns[agent.turn]
        at = self.now
        for step, (tool, k) in enumerate(calls):
            begun, at = at, at + self._random.uniform(0.1, 3.0)
            if self._random.random() < self._foresight:
                self._foresee(turn, step, tool, k, begun, at)
            if agent.in_text:
                self._at(at, partial(self._tell, TurnStreamed(turn, ContentText(f"{tool} {k};"))))
            sealed = CallSealed(step, agent.call_id(step), tool, json.dumps({"k": k}), in_text=agent.in_text)
            self._at(at, partial(self._tell, TurnStreamed(turn, sealed)))
        self._at(at + 0.5, lambda: self._end_turn(agent, turn))

    def _foresee(self, turn: str, step: int, tool: str, k: int, begun: float, told: float) -> None:
        """Rightly or, one time in three, wrongly."""
        if self._random.random() < 1 / 3:
            tool, k = self._random.choice((*SPECS, *CLIENT_TOOLS)), self._random.randint(0, 2)
        opened, sealed = CallOpened(step, "", tool), CallSealed(step, "", tool, json.dumps({"k": k}))
        at = self._random.uniform(begun, told)
        self._at(at, partial(self._tell, TurnStreamed(turn, Foreseen(opened))))
        self._at(self._random.uniform(at, told), partial(self._tell, TurnStreamed(turn, Foreseen(sealed))))

    def _end_turn(self, agent: Agent, turn: str) -> None:
        self._tell(TurnStreamed(turn, TurnEnded("tool_calls")))
        self._tell(TurnClosed(turn, complete=True))
        agent.messages.append(agent.said())
        agent.step = 0
        self._next_call(agent)

    def _next_call(self, agent: Agent) -> None:
        calls = agent.turns[agent.turn]
        if agent.step == len(calls):
            agent.turn += 1
            self._begin_turn(agent)
            return
        tool, k = calls[agent.step]
        if tool in CLIENT_TOOLS:
            self._run_at_client(agent, tool, k)
        else:
            self._ask_gateway(agent, tool, k)

    def _run_at_client(self, agent: Agent, tool: str, k: int) -> None:
        begun, done = self.now, self.now + self._random.uniform(0.0, 4.0)

        def finish() -> None:
            text = self.world.write(tool, k, agent.own)
            self.world.writes.append((begun, self.now, frozenset(written(tool, agent.own))))
            self._got(agent, text)

        self._at(done, finish)

    def _ask_gateway(self, agent: Agent, tool: str, k: int) -> None:
        call = f"{agent.name}#{next(self._order)}"
        self._waiting[call] = (agent, tool, k, self.now)
        arguments = json.dumps({"k": k}).encode()
        if self._random.random() < self._impatient and tool.startswith("read"):
            self._at(self.now + self._random.uniform(0.0, 2.0), lambda: self._leave(call))
        self._tell(CallRequested(call, agent.identity, tool, arguments, agent.call_id()))

    def _leave(self, call: str) -> None:
        """The caller gives up, and asks again."""
        if call in self._waiting:
            agent, tool, k, _ = self._waiting.pop(call)
            self._tell(CallAbandoned(call))
            self._ask_gateway(agent, tool, k)

    def _got(self, agent: Agent, text: str) -> None:
        tool, k = agent.turns[agent.turn][agent.step]
        agent.transcript.append(f"{tool}({k}) -> {text}")
        told = {"role": "user"} if agent.in_text else {"role": "tool", "tool_call_id": agent.call_id()}
        agent.messages.append({**told, "content": text})
        agent.step += 1
        self._next_call(agent)

    # -- the shell ----------------------------------------------------------------------------------------

    def _at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (when, next(self._order), action))

    def _tell(self, event: Event) -> None:
        for decision in self.core.handle(event, self.now):
            self._carry_out(decision)

    def _carry_out(self, decision: Decision) -> None:
        match decision:
            case AdmitTurn(turn):
                agent = self._agent_of(turn)
                self._at(self.now, lambda: self._admitted(agent, turn))
            case StartRun(run):
                self.contexts[run.run], self.tools[run.run] = run.context, run.tool
                self._start(run.run, run.tool, run.arguments["k"], ahead=run.run_class > 0)
            case CancelRun(run):
                self._runs[run]["cancelled"] = True
                self._at(self.now, partial(self._tell, RunEnded(run, None, ToolError("cancelled"))))
            case AnswerCall(call, outcome, output):
                self._answered(call, outcome, output)
            case FailCall(call, _, error):
                raise AssertionError(f"{call}: {error.message}")
            case _:
                pass

    def _agent_of(self, turn: str) -> Agent:
        return self.agents[turn.partition("/")[0]]

    def _start(self, run: str, tool: str, k: int, *, ahead: bool) -> None:
        """The executor has it; a worker process may have to be waited for."""
        session = self.core.turns.sessions.get(self.contexts[run].session)
        own = f"own {session.tenant} {session.name}" if session is not None else ""
        self._runs[run] = {"cancelled": False, "looked": 0.0, "text": "", "begun": self.now, "own": own}
        delay = self._random.choice([0.0, 0.0, 1.5]) if ahead else 0.0
        self._at(self.now + delay, lambda: self._begin(run, tool, k, ahead=ahead))

    def _begin(self, run: str, tool: str, k: int, *, ahead: bool) -> None:
        fate = self._runs[run]
        if fate["cancelled"]:
            return
        self._tell(RunBegan(run))
        length = self._random.uniform(0.0, 6.0)
        if ahead and self._random.random() < self._failing:
            length = 25.0 if self._random.random() < 0.5 else length
            error = ToolError("bad luck")
            self._at(self.now + length, lambda: self._tell(RunEnded(run, None, error)))
            return
        fate["prepares"] = ahead and SPECS[tool].effect.prepares
        self._at(self.now + length * self._random.random(), lambda: self._touch(fate, tool, k))
        self._at(self.now + length, lambda: self._end_run(run, tool))

    def _touch(self, fate: dict[str, Any], tool: str, k: int) -> None:
        if fate["cancelled"]:
            return
        fate["looked"] = self.now
        act = self.world.read if tool.startswith("read") else self.world.write
        fate["text"] = (self.world.prepare if fate["prepares"] else act)(tool, k, fate["own"])

    def _end_run(self, run: str, tool: str) -> None:
        fate = self._runs[run]
        if tool.startswith("write") and not fate["prepares"]:
            self.world.writes.append((fate["begun"], self.now, frozenset(scopes_of(tool))))
        if fate["cancelled"]:
            return
        max_age = self._random.choice([0.0, 0.0, 3.0]) if self._random.random() < self._perishable else None
        fate["max_age"] = max_age
        tenant = self.contexts[run].tenant
        told = fate["text"] if tenant == "default" else f"{fate['text']} for {tenant}"
        output = Output(told.encode(), is_text=True, max_age=max_age)
        self._outputs[id(output)] = (output, run)
        self._tell(RunEnded(run, output))

    def _answered(self, call: str, outcome: str, output: Output) -> None:
        agent, tool, k, issued = self._waiting.pop(call)
        run = self._outputs[id(output)][1]
        text = output.body.decode()
        looked, max_age = self._runs[run]["looked"], self._runs[run]["max_age"]
        self.seen.append(Seen(tool, k, issued, outcome, text, looked, run, agent.name, max_age))
        self._at(self.now, lambda: self._got(agent, text))

    agents: dict[str, Agent]


def play(
    tasks: dict[str, list[list[tuple[str, int]]]],
    random: Random,
    guess: Callable[[History], list[Call]],
    *,
    config: Config = CONFIG,
    impatient: float = 0.0,
    failing: float = 0.0,
    foresight: float = 0.0,
    perishable: float = 0.0,
    in_text: bool = False,
) -> tuple[dict[str, Agent], Simulation]:
    """Play the tasks to their end; the agents with their transcripts, and what happened."""
    return play_agents(
        {name: Agent(name, turns, in_text) for name, turns in tasks.items()},
        random,
        guess,
        config=config,
        impatient=impatient,
        failing=failing,
        foresight=foresight,
        perishable=perishable,
    )


def play_agents(
    agents: dict[str, Agent],
    random: Random,
    guess: Callable[[History], list[Call]],
    *,
    config: Config = CONFIG,
    impatient: float = 0.0,
    failing: float = 0.0,
    foresight: float = 0.0,
    perishable: float = 0.0,
) -> tuple[dict[str, Agent], Simulation]:
    core = Core(ToolTable(SPECS), config, HostilePredictor(guess))
    simulation = Simulation(
        core,
        list(agents.values()),
        random,
        impatient=impatient,
        failing=failing,
        foresight=foresight,
        perishable=perishable,
    )
    simulation.agents = agents
    simulation.run()
    return agents, simulation
