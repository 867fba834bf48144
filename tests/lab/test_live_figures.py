"""What the live benchmark makes of its times, without an engine."""

import pytest

from benchmarks.live import CELLS, plan_of
from benchmarks.live_figures import Times, figures, interval, lossless, noise, order_of, same_order
from paste_proxy.lab.records import TaskRecord


def rows(**mean_task_s: float) -> dict[str, dict[str, float]]:
    return {cell: {"mean_task_s": seconds} for cell, seconds in mean_task_s.items()}


def record(*transcript: str) -> TaskRecord:
    return TaskRecord("A", 0, 0.0, 1.0, (), (), transcript, frozenset())


def test_a_task_counts_with_the_median_of_its_repeats_and_is_compared_with_itself() -> None:
    times: Times = {
        "A": {8: {1: [10.0, 30.0, 11.0], 2: [20.0, 21.0, 22.0]}},
        "E": {8: {1: [5.0, 5.5, 90.0], 2: [10.5, 10.0, 11.0]}},
    }
    found = figures(times)
    assert found["A"]["8"] == {
        "mean_task_s": 16.0,
        "p95_task_s": 20.5,
        "ci95": (11.0, 21.0),
        "ratio": 1.0,
        "ratio_ci95": (1.0, 1.0),
    }
    assert found["E"]["8"]["mean_task_s"] == 8.0
    assert found["E"]["8"]["ratio_ci95"] == (0.5, 0.5)


def test_without_a_native_cell_there_is_nothing_to_compare_with() -> None:
    assert "ratio" not in figures({"E": {8: {1: [5.0]}}})["E"]["8"]


def test_an_interval_is_the_same_each_time_and_holds_the_mean() -> None:
    sample = [1.0, 2.0, 3.0, 4.0, 10.0]
    low, high = interval(sample, lambda drawn: sum(drawn) / len(drawn))
    assert low < 4.0 < high
    assert interval(sample, lambda drawn: sum(drawn) / len(drawn)) == (low, high)


def test_one_other_message_is_a_loss() -> None:
    assert lossless(record("a", "b"), record("a", "b"))
    assert not lossless(record("a", "b"), record("a", "c"))
    assert not lossless(record("a", "b"), record("a"))


def test_noise_is_how_far_a_run_is_off_the_same_one_before() -> None:
    assert noise([(10.0, 11.0), (10.0, 8.0)])["off"] == [0.1, -0.2]
    assert noise([(10.0, 11.0), (10.0, 8.0)])["most"] == 0.2
    assert noise([])["most"] is None


@pytest.mark.parametrize(
    ("real", "same"),
    [
        ({"A": 30.0, "E": 20.0, "F": 19.0}, True),
        ({"A": 30.0, "E": 20.0, "F": 20.5}, True),  # the lab does not tell these two apart
        ({"A": 19.0, "E": 20.0, "F": 18.0}, False),
    ],
)
def test_the_order_is_asked_for_where_the_lab_tells_cells_apart(real: dict[str, float], same: bool) -> None:
    lab = rows(A=40.0, E=20.0, F=19.5)
    assert same_order(rows(**real), lab) is same
    assert order_of(lab) == ["A", "E", "F"]


def test_native_run_again_has_no_order_to_keep() -> None:
    assert same_order(
        {**rows(A=30.0), "A'": {"mean_task_s": 40.0}}, {**rows(A=30.0), "A'": {"mean_task_s": 25.0}}
    )


def test_cells_are_those_of_the_lab_and_semaphores() -> None:
    assert [name for name, plan in CELLS.items() if plan.native] == ["A", "A'"]
    assert plan_of("E").changes == {"schedule": {"policy": "joint"}, "speculation": {"mode": "off"}}
    assert plan_of("F").changes == {"schedule": {"policy": "joint"}}
    assert plan_of("semaphore:3").changes["schedule"] == {"policy": "semaphore:3"}
    with pytest.raises(KeyError):
        plan_of("G")
