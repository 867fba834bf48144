"""Who is in the small world of the broker's tests: the tools, what they see and do there, and the agents."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from paste_proxy.config import ClientToolConfig, Config, LimitsConfig, SpeculationConfig
from paste_proxy.events import (
    Identity,
)
from paste_proxy.predict.model import Call, Candidate, FinishedCall, Fixed, History, TurnPredictor
from paste_proxy.tools.spec import GLOBAL_SCOPE, Effect, ToolSpec

SCOPES = ("a", "b")
SCHEMA = {"type": "object", "properties": {"k": {"type": "integer"}}, "required": ["k"]}


def _spec(name: str, effect: Effect, reads: Iterable[str], writes: Iterable[str]) -> ToolSpec:
    return ToolSpec(
        name=name,
        description=name,
        parameters=SCHEMA,
        effect=effect,
        reads=frozenset(reads),
        writes=frozenset(writes),
        max_age=20.0,
        retention=15.0,
        timeout=60.0,
        concurrency=2,
    )


SPECS = {
    spec.name: spec
    for spec in (
        _spec("read_a", Effect.READ, "a", ()),
        _spec("read_b", Effect.READ, "b", ()),
        _spec("read_all", Effect.READ, (GLOBAL_SCOPE,), ()),
        _spec("write_a", Effect.NEVER, (), "a"),
        _spec("write_b", Effect.NEVER, (), "b"),
        _spec("write_all", Effect.NEVER, (), (GLOBAL_SCOPE,)),
        _spec("write_warm_a", Effect.WARM, "a", "a"),
        _spec("write_dry_b", Effect.DRY_RUN, (GLOBAL_SCOPE,), "b"),
    )
}
CLIENT_TOOLS = {
    "edit_a": ClientToolConfig(writes=("a",), timeout_s=60),
    "edit_own": ClientToolConfig(writes=("session",), timeout_s=60),
    "edit": ClientToolConfig(timeout_s=60),
}
"""Run by the agent itself; the proxy sees them in the stream only."""
CONFIG = Config(
    speculation=SpeculationConfig(allow=tuple(SPECS), min_service_s=0.0, min_probability=0.0, slots=4),
    limits=LimitsConfig(tool_runs=6, tool_reserve=1, staged_session_bytes=200, staged_result_bytes=100),
    client_tools={"*": CLIENT_TOOLS["edit"], **{name: CLIENT_TOOLS[name] for name in ("edit_a", "edit_own")}},
)
OFFERED = [
    {"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in (*SPECS, *CLIENT_TOOLS)
]


class HostilePredictor:
    """Guesses what `guess` says: right calls, wrong calls, writes, nonsense."""

    def __init__(self, guess: Callable[[History], list[Call]]) -> None:
        self._guess = guess

    def learn(self, history: History, calls: Sequence[Call]) -> None:
        pass

    def predict(self, history: History, tools: Iterable[str], limit: int) -> list[Candidate]:
        return [Candidate(call.tool, call.arguments, 0.9, "hostile") for call in self._guess(history)]

    def begin(self, history: History, tools: Iterable[str]) -> TurnPredictor:
        return HostileTurn(self.predict(history, tools, 99), history, self)


class HostileTurn(Fixed):
    """Guesses as much of what follows staged results."""

    def __init__(self, candidates: Sequence[Candidate], history: History, hostile: HostilePredictor) -> None:
        super().__init__(candidates)
        self._history = history
        self._hostile = hostile

    def following(self, results: Sequence[FinishedCall], limit: int) -> list[Candidate]:
        ahead = msgspec.structs.replace(self._history, calls=[*self._history.calls, *results])
        return self._hostile.predict(ahead, (), limit)


@dataclass
class World:
    """Counters by scope, and every change of them with its time."""

    values: Counter[str] = field(default_factory=Counter)
    writes: list[tuple[float, float, frozenset[str]]] = field(default_factory=list)
    """Start, end and scopes of every write that is over."""

    def read(self, tool: str, k: int, own: str) -> str:
        """Every tool sees what is its session's own, too."""
        scopes = *(SCOPES if tool == "read_all" else (tool.removeprefix("read_"),)), own
        return json.dumps({"k": k, **{scope: self.values[scope] for scope in scopes}})

    def prepare(self, tool: str, k: int, own: str) -> str:
        """What `warm` and `dry_run` tools do ahead; nobody may ever see what they say of it."""
        return f"{tool} {k} would be done: {self.values[own]}"

    def write(self, tool: str, k: int, own: str) -> str:
        for scope in written(tool, own):
            self.values[scope] = (self.values[scope] * 31 + k + 1) % 1_000_003
        return f"{tool} {k} done"


def written(tool: str, own: str) -> tuple[str, ...]:
    return (own,) if tool == "edit_own" else scopes_of(tool)


def scopes_of(tool: str) -> tuple[str, ...]:
    target = tool.rpartition("_")[2] if "_" in tool else "all"
    return (target,) if target in SCOPES else SCOPES


@dataclass
class Seen:
    """What an answered call got, from which run, and the instant at which that run looked at the world."""

    tool: str
    k: int
    issued: float
    outcome: str
    text: str
    looked: float
    run: str
    agent: str
    max_age: float | None = None
    """What the result says of itself."""


@dataclass
class Agent:
    """A task: turns of calls, run one after another as a plain agent loop does."""

    name: str
    turns: list[list[tuple[str, int]]]
    in_text: bool = False
    """It reads its calls out of the reply's text, and so they have no ids."""
    tenant: str = "default"
    session: str | None = None
    """What it says its session is; its name unless stated."""
    transcript: list[str] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    turn: int = 0
    step: int = 0
    identity: Identity = field(init=False)

    def __post_init__(self) -> None:
        self.session = self.name if self.session is None else self.session
        self.identity = Identity(self.tenant, self.session)
        self.messages.append({"role": "user", "content": f"task {self.session}"})

    @property
    def own(self) -> str:
        return f"own {self.tenant} {self.session}"

    def call_id(self, step: int | None = None) -> str:
        return "" if self.in_text else f"{self.session}-{self.turn}-{self.step if step is None else step}"

    def said(self) -> dict[str, Any]:
        """The reply of the turn, as it goes into the history."""
        calls = self.turns[self.turn]
        if self.in_text:
            return {"role": "assistant", "content": "".join(f"{tool} {k};" for tool, k in calls)}
        functions = [
            {
                "id": self.call_id(step),
                "type": "function",
                "function": {"name": tool, "arguments": json.dumps({"k": k})},
            }
            for step, (tool, k) in enumerate(calls)
        ]
        return {"role": "assistant", "content": None, "tool_calls": functions}
