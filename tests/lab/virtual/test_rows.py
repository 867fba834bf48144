"""What the runs of one load say beside each other."""

from typing import Any

import pytest

from paste_proxy.lab.virtual.agent import CallSpan, TaskTrack, TurnSpan
from paste_proxy.lab.virtual.experiment import CellName, Run, Service
from paste_proxy.lab.virtual.rows import Row, rows_of


def track(seconds: float, said: str = "same", wait_s: float = 1.0) -> TaskTrack:
    """A second of waiting with us at first, a call of two at the end."""
    turn = TurnSpan(0.0, wait_s, wait_s, wait_s + 0.5, seconds - 2.0)
    call = CallSpan("look", "{}", seconds - 2.0, seconds, "executed", 2.0, 0.0)
    return TaskTrack("t", 0.0, seconds, [turn], [call], transcript=said.encode())


def run(cell: CellName, *tracks: TaskTrack, **changes: Any) -> Run:
    fields: dict[str, Any] = {
        "cell": cell,
        "policy": "fcfs",
        "load": 2,
        "kv": 1.0,
        "tracks": dict(enumerate(tracks)),
        "span_s": 100.0,
        "ended": 5,
        "hits": {"executed": len(tracks)},
        "started": {},
        "unused": {},
        "wasted_worker_s": 0.0,
        "virtual_s": 120.0,
        "prompt_tokens": 1000,
        "prefilled_tokens": 250,
        "chat_ttft_s": [],
        "alone_s": 10.0,
        "services": {"default": Service(1.0, tuple(range(len(tracks))), 5, 50.0)},
    }
    return Run(**(fields | changes))


def rows(*runs: Run) -> dict[str, Row]:
    return {row.cell: row for row in rows_of(runs, seed=0)}


NATIVE = run("A", *(track(10.0 + number) for number in range(8)))


def test_times_are_per_task_and_add_up() -> None:
    row = rows(NATIVE)["A"]
    assert row.tasks == 8
    assert row.mean_task_s == 13.5
    assert row.p95_task_s == pytest.approx(16.65)
    assert (row.exposed_tool_s, row.queue_s, row.model_s) == (2.0, 1.0, 10.5)
    assert row.throughput_per_h == 180
    assert row.prefix_hits == 0.75
    assert row.ci95[0] < 13.5 < row.ci95[1]


def test_a_cell_is_compared_with_the_native_one_task_by_task() -> None:
    faster = run("B", *(track(0.8 * (10.0 + number)) for number in range(8)))
    row = rows(NATIVE, faster)["B"]
    assert row.ratio == pytest.approx(0.8)
    assert row.ratio_ci95 == (0.8, 0.8)
    assert row.slower_share == 0.0
    assert rows(NATIVE, faster)["A"].ratio == 1.0


def test_without_the_native_cell_there_is_nothing_to_compare_with() -> None:
    row = rows(run("B", track(10.0), track(11.0)))["B"]
    assert (row.ratio, row.ratio_ci95, row.slower_share, row.differing) == (None, None, None, None)


def test_slower_tasks_and_other_transcripts_are_counted() -> None:
    tracks = [track(10.0 + number, "other" if number < 2 else "same") for number in range(8)]
    tracks[7].end = 18.0
    row = rows(NATIVE, run("B", *tracks))["B"]
    assert row.slower_share == 0.125
    assert row.differing == 2
    assert rows(NATIVE)["A"].differing == 0


def test_used_is_what_was_reused_or_joined_and_promoted_is_neither() -> None:
    hits = {"reused": 3, "joined": 1, "promoted": 5, "executed": 2, "decided": 4}
    unused = {"speculative": 6, "decided": 9}
    row = rows(run("B", track(10.0), hits=hits, unused=unused, wasted_worker_s=7.5))["B"]
    assert row.unused_per_used == 1.5
    assert row.hits == {"reused": 3, "joined": 1, "promoted": 5, "executed": 2}
    assert row.decided == 4
    assert row.wasted_worker_s == 7.5
    assert rows(run("X", track(10.0), unused=unused))["X"].unused_per_used is None


def test_the_same_seed_gives_the_same_intervals() -> None:
    assert rows_of([NATIVE], seed=3) == rows_of([NATIVE], seed=3) != rows_of([NATIVE], seed=4)


def test_quantiles_and_the_longest_wait_are_compared_with_the_native_ones() -> None:
    held = run("E", *(track(2 * (10.0 + number), wait_s=number / 2) for number in range(8)))
    row = rows(NATIVE, held)["E"]
    assert (row.p10_task_s, row.p50_task_s, row.p90_task_s) == (21.4, 27.0, 32.6)
    assert row.quantile_ratios == dict.fromkeys(("p10", "p25", "p50", "p90", "p95", "p99"), 2.0)
    assert row.decile_ratios == (2.0,) * 9
    assert (row.longest_wait_s, row.longest_wait_ratio) == (3.5, 3.5)
    assert (row.held_turns, row.held_s) == (7, 1.75)
    assert (rows(held)["E"].quantile_ratios, rows(held)["E"].decile_ratios) == (None, None)
    assert rows(held)["E"].longest_wait_ratio is None


def test_of_several_tenants_each_is_held_to_an_even_part_or_to_what_it_can_take() -> None:
    services = {"heavy": Service(0.9, (0, 1), 9, 75.0), "light": Service(0.1, (2,), 1, 25.0)}
    both = run("A", track(40.0), track(60.0), track(30.0), load=10, ended=10, services=services, alone_s=20.0)
    tenants = rows(both)["A"].tenants
    assert tenants is not None
    heavy, light = tenants["heavy"], tenants["light"]
    assert (heavy.tasks, heavy.mean_task_s, light.mean_task_s) == (2, 50.0, 30.0)
    assert (heavy.tasks_per_h, light.tasks_per_h) == (324, 36)
    assert (heavy.fair_per_h, light.fair_per_h) == (180, 180)  # one place of 20 s could do 180
    assert (heavy.of_fair, light.of_fair) == (1.8, 0.2)
    assert (heavy.engine_share, light.engine_share) == (0.75, 0.25)
    assert rows(NATIVE)["A"].tenants is None
