"""One session against a predictor that has learnt from others: what it expected, and what came."""

import time
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import msgspec

from paste_proxy.lab.prediction.early import Lead, foreseen, is_call
from paste_proxy.lab.prediction.lessons import turns_of
from paste_proxy.lab.prediction.reading import load_reading
from paste_proxy.lab.prediction.sessions import Session, Turn, TurnCall
from paste_proxy.predict.model import Call, Candidate, History, Predictor

CANDIDATES = 3
"""Level 0 may name so many: hit@3."""


@runtime_checkable
class Reaching(Protocol):
    """A turn predictor that can say whether it could name a call at all, at whatever probability."""

    def reaches(self, call: Call) -> bool: ...


class Hit(msgspec.Struct, frozen=True):
    """A call that came."""

    rank: int | None
    """Its place among the candidates of level 0."""
    reads: bool
    reached: bool | None
    left: float | None
    """See `early.Lead`; so for `ahead`."""
    ahead: float | None


class Decision(msgspec.Struct, frozen=True):
    """What was expected at the turn's beginning, or after one of its calls."""

    task: str
    thinks: bool
    estimate: float | None
    """Of the first candidate; None without one."""
    right: bool
    """The first candidate came."""
    hit: Hit | None
    """None where no call came."""


class Judgement(msgspec.Struct):
    decisions: list[Decision] = []
    micros: list[float] = []
    """What level 0 took to decide, per turn."""

    def add(self, other: "Judgement") -> None:
        self.decisions += other.decisions
        self.micros += other.micros


def judge(predictor: Predictor, session: Session, tools: frozenset[str], judgement: Judgement) -> None:
    """`tools` that were learnt; those that the session lists come to them. Nothing is learnt here."""
    known = tools.union(session.offered)
    for history, turn in turns_of(session):
        judgement.decisions += _decisions(predictor, session, history, turn, known, judgement.micros)


def _decisions(
    predictor: Predictor,
    session: Session,
    history: History,
    turn: Turn,
    tools: frozenset[str],
    micros: list[float],
) -> Iterator[Decision]:
    """Level 0 hears nothing of the turn but its earlier calls. Then another begins, and hears all of it: one at
    a time, as in the proxy, since both may use the session's memory."""
    started = time.perf_counter_ns()
    level_0 = predictor.begin(history, tools)
    found = level_0.candidates(CANDIDATES)
    micros.append((time.perf_counter_ns() - started) / 1000)
    expected = [found]
    reached: list[bool | None] = []
    for call in turn.calls:
        reached.append(level_0.reaches(call.call) if isinstance(level_0, Reaching) else None)
        level_0.asked(call.call)
        expected.append(level_0.candidates(CANDIDATES))
    leads = foreseen(predictor.begin(history, tools), turn) if turn.calls else []
    for place, call in enumerate(turn.calls):
        yield _decision(session, expected[place], _hit(expected[place], call, reached[place], leads[place]))
    yield _decision(session, expected[-1], None)


def _hit(found: list[Candidate], call: TurnCall, reached: bool | None, lead: Lead) -> Hit:
    rank = next((place for place, one in enumerate(found) if is_call(one, call)), None)
    reads = load_reading().only_reads(call.call.tool, call.call.arguments)
    return Hit(rank, reads, reached, lead.left, lead.ahead)


def _decision(session: Session, found: list[Candidate], hit: Hit | None) -> Decision:
    estimate = (found[0].estimate or found[0].probability) if found else None
    right = hit is not None and hit.rank == 0
    return Decision(session.task, session.thinks, estimate, right, hit)
