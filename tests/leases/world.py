"""Agents with wrapped tools in the small world of `tests.broker.world`: both ends of the protocol.

Each agent is a process of its own with the client's real state machine; the proxy has the real desk for each.
Frames take their time, the connection is lost at any of them, either side hears of it first, and clients lose
patience.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import msgspec

from paste_proxy.claims import Claims
from paste_proxy.client.calls import Ahead, Alone, Call, Joined, Kept, Verdict
from paste_proxy.client.machine import Machine
from paste_proxy.client.protocol import Claim, Ended, Hello, RunAhead
from paste_proxy.config import Config
from paste_proxy.core import Core
from paste_proxy.errors import ToolError
from paste_proxy.events import (
    AdmitTurn,
    CallAbandoned,
    CallRequested,
    CancelRun,
    ClientGone,
    ClientOffered,
    Decision,
    DropResult,
    Event,
    HitRefused,
    Identity,
    RunBegan,
    RunEnded,
    StartRun,
)
from paste_proxy.leases.desk import Claimed, Desk
from paste_proxy.predict.model import Call as Guess
from paste_proxy.predict.model import History
from paste_proxy.tools.ports import Output, Run, RunClass
from paste_proxy.tools.table import ToolTable
from tests.broker.cast import CONFIG, SPECS, Agent, HostilePredictor, Seen, scopes_of
from tests.broker.world import Simulation

LATENCY_S = 0.3
"""The longest; runs take up to 6."""


@dataclass(eq=False)
class Process:
    """One agent's process, and its connection of the moment."""

    agent: Agent
    simulation: "LeasedSimulation"
    tenant: str = "default"
    machine: Machine = field(init=False)
    desk: Desk | None = None
    name: str = ""
    connections: int = 0
    last_sent: dict[str, float] = field(default_factory=dict)
    alive: dict[str, bool] = field(default_factory=dict)
    """Ahead runs by id: is the result wanted?"""

    def __post_init__(self) -> None:
        self.machine = Machine(self)
        self.machine.offer(SPECS.values())

    # -- the connection -----------------------------------------------------------------------------------

    def connect(self) -> None:
        self.connections += 1
        self.name = f"{self.agent.name}'s client {self.connections}"
        self.desk = Desk(_Port(self, self.name))
        self.simulation.desks[self.name] = self.desk
        self.machine.opened()
        self.pump()

    def lose(self) -> None:
        """One side hears of it later."""
        desk, self.desk, draw = self.desk, None, self.simulation.random
        if desk is None:
            return
        name = self.name
        first, second = (0.0, draw.uniform(0, 1)) if draw.random() < 0.5 else (draw.uniform(0, 1), 0.0)
        self.simulation.later(first, self._hear_lost)
        self.simulation.later(second, lambda: self._closed(name, desk))
        self.simulation.later(1.0 + draw.uniform(0, 3), self.connect)

    def _hear_lost(self) -> None:
        if self.desk is None:
            self.machine.lost()

    def _closed(self, name: str, desk: Desk) -> None:
        desk.close()
        self.simulation.desks.pop(name, None)

    def pump(self) -> None:
        """Frames of both sides go on their way."""
        desk = self.desk
        for frame in self.machine.unsent():
            if desk is not None:
                self._deliver("up", desk, partial(self._up, desk, frame))
        for frame in list(desk.unsent()) if desk is not None else ():
            self._deliver("down", desk, partial(self._down, frame))

    def _deliver(self, way: str, desk: Desk | None, arrive: Callable[[], None]) -> None:
        simulation = self.simulation
        delay = simulation.random.choice([0.0, simulation.random.uniform(0, LATENCY_S)])
        at = max(simulation.now + delay, self.last_sent.get(way, 0.0))
        self.last_sent[way] = at
        simulation.later(at - simulation.now, lambda: arrive() if self.desk is desk else None)

    def _up(self, desk: Desk, frame: bytes) -> None:
        desk.receive(frame)
        self.simulation.pump()

    def _down(self, frame: bytes) -> None:
        self.machine.received(frame, self.simulation.now)
        self.pump()

    # -- the agent's calls --------------------------------------------------------------------------------

    def call(self, tool: str, k: int) -> None:
        simulation, issued = self.simulation, self.simulation.now
        done = {"running": False}

        def told(verdict: Verdict) -> None:
            if isinstance(verdict, Kept):
                text, looked, run = verdict.value
                simulation.seen.append(Seen(tool, k, issued, "kept", text, looked, run, self.agent.name))
                simulation.later(0.0, lambda: simulation.got(self.agent, text))
            elif verdict is Alone.ALONE:
                alone()

        def alone() -> None:
            if done["running"]:
                raise AssertionError("told twice")
            done["running"] = True
            self._run_alone(call, tool, k, issued)

        def impatient() -> None:
            if call.waits and not joined[0]:
                self.machine.impatient(call)
                alone()
                self.pump()

        joined = [False]

        def hear(verdict: Verdict) -> None:
            if verdict is Joined.JOINED:
                joined[0] = True
            else:
                told(verdict)

        text = json.dumps({"k": k})
        call = Call(tool, text, {"k": k}, self.agent.name, hear)
        call.tool_call_id, call.session = self.agent.call_id(), self.agent.name
        self.machine.claim(call)
        simulation.later(simulation.random.choice([0.2, 1.0]), impatient)
        self.pump()

    def _run_alone(self, call: Call, tool: str, k: int, issued: float) -> None:
        simulation = self.simulation
        begun, length = simulation.now, simulation.random.uniform(0.0, 6.0)
        saw: dict[str, Any] = {}

        def touch() -> None:
            saw["looked"] = simulation.now
            saw["text"] = simulation.touched(tool, k, self.agent.own)

        def finish() -> None:
            if tool.startswith("write"):
                simulation.world.writes.append((begun, simulation.now, frozenset(scopes_of(tool))))
            run = f"alone {len(simulation.seen)}"
            simulation.seen.append(
                Seen(tool, k, issued, "alone", saw["text"], saw["looked"], run, self.agent.name)
            )
            self.machine.finished(call, None)
            self.pump()
            simulation.got(self.agent, saw["text"])

        simulation.later(length * simulation.random.random(), touch)
        simulation.later(length, finish)

    # -- the machine's host -------------------------------------------------------------------------------

    def start(self, run: Ahead) -> str:
        draw = self.simulation.random
        if draw.random() < 0.1:
            return "no"
        self.alive[run.id] = True
        self.simulation.later(draw.choice([0.0, 0.0, 1.5]), lambda: self._begin(run))
        return ""

    def stop(self, run: Ahead) -> None:
        self.alive[run.id] = False

    def answered(self, call: Call, session: str) -> None:
        pass

    def _begin(self, run: Ahead) -> None:
        simulation, saw = self.simulation, {"looked": 0.0, "text": ""}
        if not self.alive[run.id]:
            self._end(run, None, "dropped")
            return
        self.machine.began(run, self.agent.name, simulation.now)
        self.pump()
        length = simulation.random.uniform(0.0, 6.0)
        failed = "bad luck" if simulation.random.random() < simulation.failing else None

        def touch() -> None:
            saw["looked"], saw["text"] = (
                simulation.now,
                simulation.touched(run.tool, run.arguments["k"], self.agent.own, ahead=True),
            )

        simulation.later(length * simulation.random.random(), touch)
        simulation.later(length, lambda: self._end(run, (saw["text"], saw["looked"], run.id), failed))

    def _end(self, run: Ahead, value: Any, error: str | None) -> None:
        self.machine.ended(run, value, error, now=self.simulation.now, size=10)
        self.pump()


class _Port:
    """What a desk tells the proxy: the endpoint and the executor, on the agenda of the simulation."""

    def __init__(self, process: Process, name: str) -> None:
        self._process = process
        self._name = name
        self._simulation = process.simulation

    def admits(self, claim: Claim) -> str:
        return ""

    def came(self, hello: Hello) -> None:
        specs = tuple(tool.spec() for tool in hello.tools)
        self._simulation.tell(ClientOffered(self._name, self._process.tenant, specs, hello.ran))
        assert self._process.desk is not None
        self._process.desk.welcome({})

    def claim(self, claim: Claim, claimant: Claimed) -> str:
        simulation = self._simulation
        simulation.calls += 1
        call = f"call {simulation.calls}"
        simulation.claims.expect(call, claimant)
        identity = Identity(tenant=self._process.tenant, session=claim.session)
        arguments = claim.arguments.encode()
        simulation.tell(
            CallRequested(call, identity, claim.tool, arguments, claim.tool_call_id, client=self._name)
        )
        return call

    def leave(self, call: str) -> None:
        if self._simulation.claims.leave(call):
            self._simulation.tell(CallAbandoned(call))

    def began(self, run: str) -> None:
        if run in self._simulation.leases:
            self._simulation.tell(RunBegan(run))

    def ended(self, ended: Ended) -> None:
        if ended.run in self._simulation.leases:
            output = Output(b"", kept=ended.size) if ended.error is None else None
            self._simulation.end_lease(ended.run, output)

    def unused(self, run: str) -> None:
        self._simulation.tell(HitRefused(self._name, run))

    def gone(self) -> None:
        """As `LeaseExecutor.gone` and the endpoint do it."""
        simulation = self._simulation
        for run in [one for one in simulation.leases.values() if one.client == self._name]:
            writes = run.run_class is RunClass.AUTHORITATIVE and run.tool.startswith("write")
            delay = SPECS[run.tool].timeout if writes else 0.0
            simulation.later(delay, partial(simulation.end_lease, run.run, None))
        simulation.tell(ClientGone(self._name))

    def sent(self) -> None:
        self._simulation.later(0.0, self._process.pump)


class LeasedSimulation(Simulation):
    def __init__(
        self, core: Core, agents: list[Agent], random: Random, *, failing: float, losing: float
    ) -> None:
        self.random = random
        self.failing = failing
        self.claims = Claims()
        self.claims.drop = self._drop
        self.desks: dict[str, Desk] = {}
        self.leases: dict[str, Run] = {}
        self.calls = 0
        super().__init__(core, agents, random)
        self.processes = {agent.name: Process(agent, self) for agent in agents}
        for process in self.processes.values():
            self.later(random.uniform(0, 1), process.connect)
            for _ in range(20):
                if random.random() < losing:
                    self.later(random.uniform(1, 60), process.lose)

    def later(self, delay: float, action: Callable[[], None]) -> None:
        self._at(self.now + delay, action)

    def tell(self, event: Event) -> None:
        self._tell(event)

    def got(self, agent: Agent, text: str) -> None:
        self._got(agent, text)

    def touched(self, tool: str, k: int, own: str, *, ahead: bool = False) -> str:
        if ahead and SPECS[tool].effect.prepares:
            return self.world.prepare(tool, k, own)
        act = self.world.read if tool.startswith("read") else self.world.write
        return act(tool, k, own)

    def pump(self) -> None:
        for process in self.processes.values():
            process.pump()

    def end_lease(self, run: str, output: Output | None) -> None:
        if self.leases.pop(run, None) is not None:
            self._tell(RunEnded(run, output, None if output is not None else ToolError("no result")))

    def _drop(self, dropped: DropResult) -> None:
        if (desk := self.desks.get(dropped.client)) is not None:
            desk.cancel(dropped.run)

    def _ask_gateway(self, agent: Agent, tool: str, k: int) -> None:
        self.processes[agent.name].call(tool, k)

    def _carry_out(self, decision: Decision) -> None:
        if self.claims.carry_out(decision):
            return
        match decision:
            case AdmitTurn():
                super()._carry_out(decision)
            case StartRun(run):
                self._lease(run)
            case CancelRun(run_id):
                self._cancel(run_id)

    def _lease(self, run: Run) -> None:
        self.leases[run.run] = run
        if run.run_class is RunClass.AUTHORITATIVE:
            self._at(self.now, lambda: self._tell(RunBegan(run.run)))
        elif (desk := self.desks.get(run.client)) is not None:
            arguments = msgspec.Raw(msgspec.json.encode(run.arguments))
            desk.lease(RunAhead(run.run, run.tool, arguments, run.context.session))
        else:
            self._at(self.now, partial(self.end_lease, run.run, None))

    def _cancel(self, run_id: str) -> None:
        run = self.leases[run_id]
        if run.run_class is not RunClass.AUTHORITATIVE:
            if (desk := self.desks.get(run.client)) is not None:
                desk.cancel(run_id)
            self._at(self.now, partial(self.end_lease, run_id, None))


def play_leased(
    tasks: dict[str, list[list[tuple[str, int]]]],
    random: Random,
    guess: Callable[[History], list[Guess]],
    *,
    config: Config = CONFIG,
    failing: float = 0.0,
    losing: float = 0.0,
    in_text: bool = False,
) -> tuple[dict[str, Agent], LeasedSimulation]:
    """Play the tasks to their end; the agents with their transcripts, and what happened."""
    agents = {name: Agent(name, turns, in_text) for name, turns in tasks.items()}
    core = Core(ToolTable(), config, HostilePredictor(guess))
    simulation = LeasedSimulation(core, list(agents.values()), random, failing=failing, losing=losing)
    simulation.agents = agents
    simulation.run()
    return agents, simulation
