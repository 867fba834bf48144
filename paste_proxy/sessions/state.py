"""What the core keeps of one session, beside its identity."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import msgspec

from paste_proxy.predict.model import Call, Candidate, Prediction
from paste_proxy.sessions.history import SessionHistory

NOTES_KEPT = 200
"""A timeline of about fifty turns."""

PREDICTIONS_KEPT = 64
"""Three for each of the last twenty turns."""

DETAIL_LIMIT = 300
"""Characters of one detail of a note."""


class Note(msgspec.Struct, frozen=True):
    """One line of a session's timeline: what happened, for /paste/v1/sessions/{id}."""

    at: float
    what: str
    detail: dict[str, Any]


@dataclass(eq=False, slots=True)
class SessionState:
    id: str
    tenant: str
    parent: str = ""
    relation: str = "new"
    name: str = ""
    """The name that the client gave it, if any."""
    home: str | None = None
    """The backend that has its KV cache, or will."""
    names: dict[str, str] = field(default_factory=dict)
    """The client's tool names that mean gateway tools, from the newest request."""
    unlearnt: list[Call] | None = None
    """What the last turn asked for, until the predictor has learnt from it; empty: it asked for nothing."""
    calls_in_text: bool = False
    """Its client reads calls out of the text of replies, offered or not."""
    turns: int = 0
    turn: str = ""
    """The latest turn: its request may come before the end of the one before is told."""
    began: float = 0.0
    last: float = 0.0
    """When it was first and last heard of."""
    notes: deque[Note] = field(default_factory=lambda: deque(maxlen=NOTES_KEPT))
    predictions: deque[Prediction] = field(default_factory=lambda: deque(maxlen=PREDICTIONS_KEPT))
    history: SessionHistory = field(init=False)

    def __post_init__(self) -> None:
        self.history = SessionHistory(self.id, self.tenant)

    def note(self, at: float, what: str, **detail: Any) -> None:
        if not self.notes:
            self.began = at
        self.last = at
        self.notes.append(Note(at, what, {key: _short(value) for key, value in detail.items()}))

    def new_prediction(self, at: float, candidate: Candidate, level: int, value_s: float) -> Prediction:
        """To be appended to `predictions` once somebody has taken it on."""
        return Prediction(
            at=at,
            tool=candidate.tool,
            arguments=_short(candidate.arguments),
            level=level,
            probability=candidate.probability,
            estimate=candidate.estimate,
            value_s=round(value_s, 4),
            why=candidate.why[:DETAIL_LIMIT],
        )


def _short(value: Any) -> Any:
    """A timeline shows what a call was, not the file that it wrote."""
    text = value if isinstance(value, str) else repr(value)
    return value if len(text) <= DETAIL_LIMIT else f"{text[:DETAIL_LIMIT]}..."
