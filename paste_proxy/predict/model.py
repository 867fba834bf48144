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
    addresses: tuple[str, ...] = ()
    """Addresses in the text, in order; `signatures.finished_call` fills this and `paths`, once per call."""
    paths: tuple[str, ...] = ()


class History(msgspec.Struct):
    """What one session holds so far, oldest first; bounded by whoever fills it."""

    calls: list[FinishedCall]
    session: str = ""
    """An opaque id: what was right in one session alone is not stored. Empty: the first call tells sessions
    apart."""


class Call(msgspec.Struct, frozen=True):
    tool: str
    arguments: dict[str, Any]


class Candidate(msgspec.Struct, frozen=True):
    """A concrete call that may come next; `why` explains it: pattern and bindings, readable.

    `probability` is for decisions, hence cautious: a lower confidence bound where it rests on counts.
    """

    tool: str
    arguments: dict[str, Any]
    probability: float
    why: str
    estimate: float = 0.0
    """The probability itself, for expected values and reports; 0 where a predictor has only the bound."""


class Predictor(Protocol):
    """Learns online; all methods are synchronous and bounded in time."""

    def learn(self, history: History, calls: Sequence[Call]) -> None:
        """After `history` the model's turn asked for `calls`; empty: the turn had no call, an outcome too."""
        ...

    def predict(self, history: History, tools: Iterable[str], limit: int) -> list[Candidate]:
        """At most `limit` concrete calls of `tools` that may come next, the likeliest first."""
        ...
