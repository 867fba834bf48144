"""What the live benchmark makes of its times, without an engine."""

import msgspec
import pytest

from benchmarks.live import CELLS, plan_of
from benchmarks.live_figures import (
    CellRun,
    Times,
    figures,
    interval,
    lossless,
    noise,
    order_of,
    reasons,
    regime,
    same_order,
)
from paste_proxy.lab.engine.presets import load_engine
from paste_proxy.lab.records import TaskRecord, TokenCount, ToolSpan


def rows(**mean_task_s: float) -> dict[str, dict[str, float]]:
    return {cell: {"mean_task_s": seconds} for cell, seconds in mean_task_s.items()}


def record(*transcript: str) -> TaskRecord:
    return TaskRecord("A", 0, 0.0, 1.0, (), (), transcript, frozenset())


def run(cell: str, *, cached: int, held_s: float, reused: int = 0) -> CellRun:
    """One task with two turns and a call of two seconds between them."""
    call = ToolSpan("docs_open", "json", 4.0, 6.0, "executed", 2.0, 0.0)
    one = TaskRecord(cell, 7, 0.0, 10.0, (), (call,), (), frozenset())
    counts = (TokenCount(7, 0, 1000, 60, 0), TokenCount(7, 1, 3000, 40, cached))
    stats = {
        "hits": {"executed": 1 - reused, "reused": reused},
        "turns": {"held_s": held_s},
        "speculations": {"unused": reused},
    }
    return CellRun(cell, 8, (one,), counts, stats)


def test_a_cell_says_why_it_took_its_time_all_repeats_together() -> None:
    runs = [run("E", cached=0, held_s=3.0), run("A", cached=0, held_s=0.0), run("E", cached=1000, held_s=1.0)]
    found = reasons(runs)["E", 8]
    assert found["runs"] == [10.0, 10.0]
    assert (found["turns"], found["prompt_tokens"], found["cached_tokens"]) == (4, 8000, 1000)
    assert (found["prefix_hits"], found["held_s"], found["exposed_tool_s"]) == (0.125, 2.0, 2.0)
    assert found["hits"] == {"executed": 2}
    assert reasons([run("F", cached=0, held_s=0.0, reused=1)])["F", 8]["hits"] == {"reused": 1}


def test_the_regime_is_what_reading_again_costs_beside_writing_and_calls() -> None:
    engine = msgspec.structs.replace(
        load_engine("research"),
        prefill_tokens_per_s=1000.0,
        decode_tokens_per_s_one_request=100.0,
        decode_slowdown_per_running_request=0.0,
        kv_tokens=8000,
    )
    assert regime(engine, [run("A", cached=0, held_s=0.0)]) == {
        "prompt_tokens": 2000,
        "read_again_s": 2.0,
        "write_share_s": 0.12,  # 50 tokens at 100 a second, beside three others
        "read_over_write": 16.0,
        "call_s": 2.0,
        "prompts_over_memory": 2.0,
    }


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
