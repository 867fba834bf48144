"""One turn under way, as far as it has been heard: what was taken on for it, and when to look again."""

from dataclasses import dataclass, field
from typing import Any

from paste_proxy.grammar.digests import digest
from paste_proxy.grammar.schemas import Schemas
from paste_proxy.predict.model import Candidate, TurnPredictor
from paste_proxy.sessions.state import SessionState
from paste_proxy.sessions.turn import Turn

CONTEXT, MENTION, NAME, ARGUMENTS = range(4)
"""The levels of evidence."""
LOOK_AFTER = 128
"""Characters of text between two looks at the candidates, some thirty tokens: a look takes some hundred
microseconds, hearing a chunk less than ten."""
LOOK_EVERY = 512
"""The same, for a predictor that does not say whether it heard anything new: a hundred tokens, a few seconds of
a turn; in long turns half of what was heard."""
LOOKS = 128
"""Looks at the candidates of one turn: beyond them it says nothing new."""


@dataclass(eq=False, slots=True)
class Expecting:
    session: SessionState
    tools: frozenset[str]
    predictor: TurnPredictor
    application: bytes
    """What tells agents apart whose turns last differently: the model and the tools that are offered."""
    schemas: Schemas
    """Of the tools that the request offers."""
    sent: float
    looks: int = LOOKS
    level: int = CONTEXT
    taken: int = 0
    """Candidates of this level for the call that comes next."""
    paid: int = 0
    """Those among all of the turn's that cost money."""
    unseen: int = 0
    """Characters of text that came since the last look."""
    news: bool = False
    """Something among them may have changed what is expected."""
    heard: int = 0
    """All of them."""
    known: set[tuple[str, str]] = field(default_factory=set)
    """What was taken on or asked for, by tool and canonical arguments: a run that failed is not tried again."""
    asked: set[tuple[str, str]] = field(default_factory=set)
    """Those of them that were asked for."""
    extended: set[str] = field(default_factory=set)
    """Speculations, by their ids, behind which was looked what may follow."""
    shares: dict[str, Candidate] = field(default_factory=dict)
    """How likely chained ones are, if those before them are asked for."""
    ordinal: int = -1
    """Of the call that is being written."""
    named: float | None = None
    """When its name came."""
    writing: str = ""
    """Its tool."""
    told: dict[str, Any] = field(default_factory=dict)
    """Its arguments that are known: the model's own words."""
    kept_back: set[tuple[str, str]] = field(default_factory=set)
    """Tools whose candidates the egress rule held back, and why."""
    best: list[tuple[str, str]] = field(default_factory=list)
    """What was found likeliest at the last look, by tool and canonical arguments."""

    def hears(self, characters: int, news: bool | None) -> bool:
        """Whether the candidates are to be looked at again. `news`: what the predictor says of it."""
        self.unseen += characters
        self.heard += characters
        self.news = self.news or bool(news)
        if news is None:
            return self.unseen >= max(LOOK_EVERY, self.heard // 2)
        return self.news and self.unseen >= LOOK_AFTER

    @property
    def since(self) -> tuple[bool, float]:
        """From when the lead of the next call counts: whether from its name."""
        return (False, self.sent) if self.named is None else (True, self.named)

    def written_of(self, candidate: Candidate) -> dict[str, Any]:
        """The model's own words for such a call. What it writes for another tool is not meant for this one."""
        return self.told if candidate.tool == self.writing else {}

    def is_written(self, candidate: Candidate) -> bool:
        """All its arguments are told: the call is complete in a moment, and starts then without a guess."""
        return self.level == ARGUMENTS and candidate.arguments.keys() <= self.written_of(candidate).keys()


def new_expecting(
    turn: Turn, session: SessionState, tools: frozenset[str], predictor: TurnPredictor, now: float
) -> Expecting:
    request = turn.request
    offered = request.tools if request is not None else ()
    names = (request.model, *(tool.name for tool in offered)) if request is not None else ()
    application = digest("\0".join(names).encode("utf-8", "replace"))
    return Expecting(session, tools, predictor, application, Schemas(offered), now)
