"""What decisions add up to."""

import random
import statistics
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from paste_proxy.lab.prediction.judge import Decision, Hit, Judgement
from paste_proxy.lab.summary import RESAMPLES, quantile

BINS = 10
"""Of estimates, for the calibration error; the usual number."""
SURE = 0.8
"""Candidates above it should be right as often."""
DIGITS = 4


class Shares(msgspec.Struct, frozen=True):
    """None where there is no such call."""

    test_calls: int
    hit1: float | None
    hit3: float | None


class Early(msgspec.Struct, frozen=True):
    """Of all calls, those foreseen before they were sealed; of those, the median of the turn that was left."""

    hit1: float | None
    turn_left: float | None


class Sure(msgspec.Struct, frozen=True):
    """First candidates above `SURE`."""

    candidates: int
    right: float | None


class Calibration(msgspec.Struct, frozen=True):
    """Over those decisions alone after which a call came: an estimate also says whether one comes."""

    decisions: int
    calibration_error: float | None
    above_080: Sure


class Thinking(msgspec.Struct, frozen=True):
    """Sessions whose reasoning can be read."""

    test_calls: int
    hit1: float | None
    before_seal: Early
    ahead: Early


class Micros(msgspec.Struct, frozen=True):
    p50: float
    p99: float


class Scores(msgspec.Struct, frozen=True):
    """Of one source; `docs/lab.md` says what each key is."""

    test_calls: int
    recall_inf: float | None
    hit1: float | None
    hit3: float | None
    hit1_ci95: tuple[float, float] | None
    read_only: Shares
    calibration_error: float | None
    """Over all decisions, those after which no call came with them: there every candidate is wrong."""
    above_080: Sure
    before_calls: Calibration
    before_seal: Early
    ahead: Early
    """As `before_seal`, but later calls of a turn can be foreseen from its beginning on: see `early.Lead`."""
    thinking: Thinking | None
    decision_us: Micros | None


def scores_of(judgement: Judgement) -> Scores:
    decisions = judgement.decisions
    called = [decision for decision in decisions if decision.hit is not None]
    hits = _hits(called)
    shares = _shares(hits)
    return Scores(
        test_calls=shares.test_calls,
        recall_inf=_recall(hits),
        hit1=shares.hit1,
        hit3=shares.hit3,
        hit1_ci95=_interval(called),
        read_only=_shares([hit for hit in hits if hit.reads]),
        calibration_error=_calibration_error(decisions),
        above_080=_sure(decisions),
        before_calls=Calibration(len(called), _calibration_error(called), _sure(called)),
        before_seal=_early([hit.left for hit in hits]),
        ahead=_early([hit.ahead for hit in hits]),
        thinking=_thinking(called),
        decision_us=_micros(judgement.micros),
    )


def _hits(decisions: Sequence[Decision]) -> list[Hit]:
    return [decision.hit for decision in decisions if decision.hit is not None]


def _shares(hits: Sequence[Hit]) -> Shares:
    first = _share([hit.rank == 0 for hit in hits])
    return Shares(len(hits), first, _share([hit.rank is not None for hit in hits]))


def _share(right: Sequence[bool]) -> float | None:
    return round(statistics.fmean(right), DIGITS) if right else None


def _recall(hits: Sequence[Hit]) -> float | None:
    """None where the predictor can't say."""
    known = [hit.reached for hit in hits if hit.reached is not None]
    return _share(known)


def _interval(called: Sequence[Decision]) -> tuple[float, float] | None:
    """By bootstrap over tasks: the calls of one are alike."""
    tasks: defaultdict[str, list[bool]] = defaultdict(list)
    for decision in called:
        tasks[decision.task].append(decision.right)
    if not tasks:
        return None
    sums = [(sum(right), len(right)) for right in tasks.values()]
    rng = random.Random(0)
    drawn = [rng.choices(sums, k=len(sums)) for _ in range(RESAMPLES)]
    shares = [sum(right for right, _ in draw) / sum(calls for _, calls in draw) for draw in drawn]
    return round(quantile(shares, 0.025), DIGITS), round(quantile(shares, 0.975), DIGITS)


def _calibration_error(decisions: Sequence[Decision]) -> float | None:
    """How far estimates are from the share that is right, in bins of equal width, weighted by their decisions.
    Where nothing was expected there is no estimate."""
    bins: defaultdict[int, list[tuple[float, bool]]] = defaultdict(list)
    for decision in decisions:
        if decision.estimate is not None:
            place = min(int(decision.estimate * BINS), BINS - 1)
            bins[place].append((decision.estimate, decision.right))
    if not bins:
        return None
    off = (abs(sum(estimate - right for estimate, right in one)) for one in bins.values())
    return round(sum(off) / sum(map(len, bins.values())), DIGITS)


def _sure(decisions: Sequence[Decision]) -> Sure:
    right = [one.right for one in decisions if one.estimate is not None and one.estimate > SURE]
    return Sure(len(right), _share(right))


def _early(leads: Sequence[float | None]) -> Early:
    left = [one for one in leads if one is not None]
    first = _share([one is not None for one in leads])
    return Early(first, round(statistics.median(left), DIGITS) if left else None)


def _thinking(called: Sequence[Decision]) -> Thinking | None:
    hits = _hits([decision for decision in called if decision.thinks])
    if not hits:
        return None
    early, ahead = _early([hit.left for hit in hits]), _early([hit.ahead for hit in hits])
    return Thinking(len(hits), _shares(hits).hit1, early, ahead)


def _micros(micros: Sequence[float]) -> Micros | None:
    if not micros:
        return None
    return Micros(round(quantile(micros, 0.5), 1), round(quantile(micros, 0.99), 1))
