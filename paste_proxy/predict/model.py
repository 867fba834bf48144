"""The predictor's port: what it is told of a session, and what it answers."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import msgspec


class FinishedCall(msgspec.Struct, frozen=True):
    """A call of the session and its result, as the model saw it."""

    tool: str
    arguments: dict[str, Any]
    outcome: str
    """Outcome class: "ok" or "error"."""
    text: str
    """The result as it stands in the history, cut to a bounded length."""
    value: Any = None
    """The result as decoded JSON where it is an object or a list, else None."""


class History(msgspec.Struct):
    """What one session holds so far, oldest first; bounded by whoever fills it."""

    calls: list[FinishedCall]


class Call(msgspec.Struct, frozen=True):
    tool: str
    arguments: dict[str, Any]


class Candidate(msgspec.Struct, frozen=True):
    """A concrete call that may come next; `why` explains it: pattern and bindings, readable."""

    tool: str
    arguments: dict[str, Any]
    probability: float
    why: str


class Predictor(Protocol):
    """Learns online; all methods are synchronous and bounded in time."""

    def learn(self, history: History, calls: Sequence[Call]) -> None:
        """After `history` the model's turn asked for `calls`; empty: the turn had no call, an outcome too."""
        ...

    def predict(self, history: History, tools: Iterable[str], limit: int) -> list[Candidate]:
        """At most `limit` concrete calls of `tools` that may come next, the likeliest first."""
        ...
