"""What decisions add up to."""

import pytest

from paste_proxy.lab.prediction.judge import Decision, Hit, Judgement
from paste_proxy.lab.prediction.report import table
from paste_proxy.lab.prediction.scores import Early, Shares, Sure, scores_of


def came(
    rank: int | None,
    estimate: float | None = 0.5,
    *,
    task: str = "t",
    reads: bool = False,
    reached: bool | None = None,
    left: float | None = None,
    thinks: bool = False,
) -> Decision:
    return Decision(task, thinks, estimate, rank == 0, Hit(rank, reads, reached, left, None))


def silent(estimate: float | None) -> Decision:
    return Decision("t", thinks=False, estimate=estimate, right=False, hit=None)


def test_shares_of_all_calls_and_of_reads() -> None:
    found = scores_of(Judgement([came(0), came(2), came(None), came(1, reads=True), silent(0.9)]))
    assert (found.test_calls, found.hit1, found.hit3) == (4, 0.25, 0.75)
    assert found.read_only == Shares(1, 0.0, 1.0)


def test_recall_is_of_those_who_can_say() -> None:
    assert scores_of(Judgement([came(0)])).recall_inf is None
    assert scores_of(Judgement([came(0, reached=True), came(None, reached=False)])).recall_inf == 0.5


def test_the_interval_is_over_tasks() -> None:
    """Ten calls of one task tell as much as one."""
    alike = [came(0, task="a")] * 10 + [came(None, task="b")] * 10
    apart = [came(0 if n % 2 else None, task=str(n)) for n in range(20)]
    assert scores_of(Judgement(alike)).hit1_ci95 == (0.0, 1.0)
    interval = scores_of(Judgement(apart)).hit1_ci95
    assert interval is not None
    assert 0.2 < interval[0] < 0.4
    assert 0.6 < interval[1] < 0.8


def test_estimates_are_held_against_what_came() -> None:
    sure = [came(0, 0.95)] * 9 + [came(None, 0.95)]
    assert scores_of(Judgement(sure)).calibration_error == pytest.approx(0.05)
    assert scores_of(Judgement(sure)).above_080 == Sure(10, 0.9)
    both = scores_of(Judgement([*sure, *[came(0, 1.0)] * 5, *[came(None, 0.1)] * 5, came(None, None)]))
    assert both.calibration_error == pytest.approx((abs(14.5 - 14) + 0.5) / 20)


def test_where_no_call_comes_every_candidate_is_wrong() -> None:
    found = scores_of(Judgement([came(0, 0.5), silent(0.5), silent(None)]))
    assert found.calibration_error == 0.0
    assert (found.before_calls.decisions, found.before_calls.calibration_error) == (1, 0.5)


def test_what_was_foreseen_in_the_stream() -> None:
    found = scores_of(
        Judgement([came(0, left=1.0), came(1, left=0.4, thinks=True), came(None, thinks=True), came(None)])
    )
    assert found.before_seal == Early(0.5, 0.7)
    assert found.thinking is not None
    assert (found.thinking.test_calls, found.thinking.hit1) == (2, 0.0)
    assert found.thinking.before_seal == Early(0.5, 0.4)
    assert found.ahead == found.thinking.ahead == Early(0.0, None)


def test_times_are_quantiles() -> None:
    micros = scores_of(Judgement([], [float(n) for n in range(101)])).decision_us
    assert micros is not None
    assert (micros.p50, micros.p99) == (50.0, 99.0)


def test_without_calls_there_is_nothing_to_say() -> None:
    found = scores_of(Judgement())
    assert (found.hit1, found.hit1_ci95, found.calibration_error, found.thinking) == (None,) * 4
    assert found.before_seal == Early(None, None)
    assert table({"empty": found})[1].split()[:3] == ["empty", "0", "-"]


def test_for_people_there_is_a_row_a_source_and_one_for_its_thinking() -> None:
    found = scores_of(Judgement([came(0, left=0.9, thinks=True), came(None)], [10.0]))
    head, row, thinking = table({"tau": found})
    assert head.split()[:2] == ["source", "calls"]
    assert row.split()[:4] == ["tau", "2", "-", "0.500"]
    assert thinking.split() == ["tau,", "thinking", "1", "1.000", "1.000", "0.900"]
