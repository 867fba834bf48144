"""What a workload is to the lab: scripts of what models say, and a world in which tools answer."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from paste_proxy.grammar.requests import RequestTool
from paste_proxy.predict.model import Call
from paste_proxy.tools.ports import Output
from paste_proxy.tools.spec import ToolSpec


class Said(msgspec.Struct, frozen=True):
    """A message that no model wrote."""

    role: str
    text: str
    tokens: int
    call_id: str = ""
    """Of a tool's result."""


class SaidCall(msgspec.Struct, frozen=True):
    call_id: str
    tool: str
    arguments: str
    """JSON text, as the model writes it."""
    tokens: int


class Saying(msgspec.Struct, frozen=True):
    """One turn of a model. Tokens are counted as drawn or recorded, whatever the text is."""

    text: tuple[tuple[str, int], ...]
    """Pieces with their tokens, cut where something becomes known: a page that is named, say."""
    calls: tuple[SaidCall, ...] = ()
    reasoning: tuple[tuple[str, int], ...] = ()
    """Before the text, in pieces too."""
    kept: int = 0
    """Tokens that it counts in later prompts, where these are others than what was written; 0: all of them."""

    @property
    def content(self) -> str:
        return "".join(text for text, _ in self.text)

    @property
    def tokens(self) -> int:
        """At least 1."""
        pieces = (*self.reasoning, *self.text)
        return max(1, sum(tokens for _, tokens in pieces) + sum(call.tokens for call in self.calls))


class Answered(msgspec.Struct, frozen=True):
    """A call of the script as the agent got it answered."""

    call: SaidCall
    text: str
    tokens: int


class Script(Protocol):
    """One task: an agent and its model. Deterministic, and it knows of the past only what it was told."""

    @property
    def task(self) -> str:
        """Its name, unique in a run."""

    @property
    def opening(self) -> Sequence[Said]:
        """The messages of its first request: one at least."""

    @property
    def offered(self) -> tuple[RequestTool, ...]:
        """The tools that its requests list."""

    @property
    def over(self) -> bool:
        """There is no next turn."""

    def next_turn(self) -> Saying:
        """What the model says now."""

    def answered(self, answers: Sequence[Answered]) -> None:
        """All calls of the turn are answered; none, if it had none."""

    def interlude(self) -> Sequence[Said]:
        """What users say before the next turn."""

    def derivable(self) -> Sequence[Call]:
        """The calls to come, before the next turn, whose values the task holds already (cell O)."""

    def pause(self) -> float:
        """Seconds between the answers and its next request, the agent's own and those of users."""


class ToolAnswer(msgspec.Struct, frozen=True):
    """What one run gives, and what it takes: the same for equal calls of a task, ahead of the model or not."""

    output: Output
    seconds: float
    error: str = ""
    """If it fails: why."""


class World(Protocol):
    """The tools of a workload."""

    @property
    def specs(self) -> Mapping[str, ToolSpec]: ...

    def answer(self, task: str, tool: str, arguments: Mapping[str, Any]) -> ToolAnswer:
        """Asked once for each run, when it starts."""

    def tokens(self, tool: str, arguments: Mapping[str, Any], text: str) -> int:
        """What a result counts in a prompt."""


def offered(specs: Iterable[ToolSpec]) -> tuple[RequestTool, ...]:
    """Tools as requests list them."""
    return tuple(RequestTool(spec.name, spec.parameters) for spec in specs)
