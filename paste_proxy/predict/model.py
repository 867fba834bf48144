"""The predictor's port: what it is told of a session, and what it answers."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

TENANT = "default"
"""Whose everything is where nobody is asked for a key."""


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
    whole: bool = True
    """Whether `arguments` are all that it had."""


class Said(msgspec.Struct, frozen=True):
    """A text of the session that is no result: of the system, the user or the model."""

    role: str
    text: str
    """Cut to a bounded length."""
    after: int
    """How many calls of the session had been answered before it."""


class History(msgspec.Struct):
    """What one session holds so far, oldest first; bounded by whoever fills it."""

    calls: list[FinishedCall]
    session: str = ""
    """An opaque id: what was right in one session alone is not stored. Empty: the first call tells sessions
    apart."""
    tenant: str = TENANT
    """Whose it is: what it teaches that is not just shapes is learnt for nobody else."""
    origin: str = ""
    """Of a session that goes on from others: the first of them, since all of them are one task."""
    said: list[Said] = []
    offered: frozenset[str] = frozenset()
    """Names of tools and of their arguments that its newest request lists: nobody's data. Equal ones are one
    object, as far as that can be had."""
    forgotten_calls: int = 0
    """Of all that were answered, those that `calls` holds no more."""
    forgotten_said: int = 0
    memory: Any = None
    """What a predictor keeps of the session, so that it reads each entry once; it goes with the session."""


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


LEVELS = ("context", "mention", "name", "arguments")
"""What a candidate rests on, by its level (DESIGN section 6): the history alone; the turn's text too; the name
of the call; arguments of it."""


class Prediction(msgspec.Struct):
    """A candidate that was taken on, for those who ask why; whoever took it keeps the outcome up to date."""

    at: float
    tool: str
    arguments: Any
    """Cut to a bounded length."""
    level: int
    probability: float
    estimate: float
    value_s: float
    """Seconds that it was expected to be worth, waste deducted."""
    why: str
    start_by: float = math.inf
    """When it becomes worthless to begin."""
    outcome: str = ""


class TurnPredictor(Protocol):
    """One turn of one session, from its request on (DESIGN section 6): all it is told sharpens what it expects.

    Told of a call that is complete, it expects the next one of the same turn.
    """

    def heard(self, text: str) -> bool | None:
        """A piece of reasoning or of visible text. Whether what is expected may be another now; None: it can't
        say, and is asked from time to time."""
        ...

    def named(self, tool: str) -> bool | None:
        """The name of a call is decoded. As of `heard`, whether the end of the text said anything new."""
        ...

    def argued(self, argument: str, value: Any) -> None:
        """An argument of that call is complete."""
        ...

    def asked(self, call: Call) -> None:
        """The call is complete."""
        ...

    def candidates(self, limit: int) -> list[Candidate]:
        """At most `limit` concrete calls that may come next, the likeliest first."""
        ...


@runtime_checkable
class ForesightedTurn(TurnPredictor, Protocol):
    """A `TurnPredictor` that can also say what would come after this turn: for chains (docs/design.md)."""

    def following(self, results: Sequence[FinishedCall], limit: int) -> list[Candidate]:
        """At most `limit` calls that would come next if the model asked for exactly these calls, each in a turn
        of its own, the first in this one, and their results were these.

        The model has not asked, and may never see the results: nothing of them may be kept or learnt from.
        """
        ...


class Predictor(Protocol):
    """Learns online; all methods are synchronous and bounded in time."""

    def learn(self, history: History, calls: Sequence[Call]) -> None:
        """After `history` the model's turn asked for `calls`; empty: the turn had no call, an outcome too."""
        ...

    def predict(self, history: History, tools: Iterable[str], limit: int) -> list[Candidate]:
        """At most `limit` concrete calls of `tools` that may come next, the likeliest first."""
        ...

    def begin(self, history: History, tools: Iterable[str]) -> TurnPredictor:
        """The model begins a turn after `history`; `predict` is what it expects before anything is heard."""
        ...


class Fixed:
    """A `TurnPredictor` that expects the same whatever it hears: for predictors that hear nothing."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = candidates

    def heard(self, text: str) -> None: ...

    def named(self, tool: str) -> None: ...

    def argued(self, argument: str, value: Any) -> None: ...

    def asked(self, call: Call) -> None: ...

    def candidates(self, limit: int) -> list[Candidate]:
        return list(self._candidates[: max(limit, 0)])
