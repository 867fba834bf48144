"""Cells under load: what must hold between them, and that a seed decides everything."""

import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from paste_proxy.lab.engine.presets import load_engine
from paste_proxy.lab.virtual.experiment import (
    CELLS,
    FILLERS,
    Cell,
    CellName,
    Plan,
    Run,
    run_cell,
)
from paste_proxy.lab.virtual.research import Research
from paste_proxy.lab.virtual.rows import rows_of
from paste_proxy.lab.virtual.tuning import ENGINE_POLICIES
from tests.lab.virtual.small import ENGINE, SmallWorkload

ROOT = Path(__file__).resolve().parents[3]
TASKS = 8
TIGHT = msgspec.structs.replace(load_engine("research"), kv_tokens=60_000)
"""Memory for one long session, or a few short ones: with eight of them the cache thrashes."""


@cache
def research(cell: CellName, load: int) -> Run:
    return run_cell(Research(), Plan(TIGHT if load > 1 else load_engine("research"), TASKS), cell, load)


def test_alone_knowing_more_never_costs_time() -> None:
    """Task by task, not only on average."""
    cells: tuple[CellName, ...] = ("O∞", "O", "A")
    for sooner, later in pairwise(cells):
        for task, track in research(sooner, 1).tracks.items():
            assert track.seconds <= research(later, 1).tracks[task].seconds + 1e-6
    means = [research(cell, 1).mean_s for cell in ("O∞", "O", "B", "A")]
    assert means == sorted(means)
    assert len(set(means)) == 4


def test_alone_a_task_is_the_sum_of_its_parts_and_without_tools_the_model_s_time() -> None:
    for cell in ("A", "B", "O"):
        for track in research(cell, 1).tracks.values():
            assert track.seconds == pytest.approx(track.model_s + track.exposed_s + track.queue_s)
    native, hidden = research("A", 1), research("O∞", 1)
    for task, track in hidden.tracks.items():
        assert track.exposed_s == 0
        assert track.seconds == pytest.approx(native.tracks[task].model_s)


@pytest.mark.parametrize("load", [1, 8])
def test_wrong_predictions_slow_nobody_down(load: int) -> None:
    """Promise 3: they are started on slack, and pre-empted at once."""
    wrong, native = research("X", load), research("A", load)
    assert wrong.unused["speculative"] > 50
    assert wrong.hits.get("reused", 0) == wrong.hits.get("joined", 0) == 0
    for task, track in wrong.tracks.items():
        assert track.seconds == pytest.approx(native.tracks[task].seconds)


def test_wrong_predictions_slow_nobody_down_where_tools_are_short() -> None:
    cells: tuple[CellName, ...] = ("A", "X")
    native, wrong = (run_cell(SmallWorkload(slots=4), Plan(ENGINE, 40), cell, 12) for cell in cells)
    assert wrong.unused["speculative"] > 20
    assert wrong.mean_s == pytest.approx(native.mean_s)
    assert native.mean_s > 1.3 * run_cell(SmallWorkload(), Plan(ENGINE, 2), "A", 1).mean_s, (
        "tools are not short"
    )


@pytest.mark.parametrize("load", [1, 8])
def test_transcripts_are_the_same_in_every_cell(load: int) -> None:
    for cell in ("A'", "B", "O", "O∞", "X"):
        for task, track in research(cell, load).tracks.items():
            assert track.transcript == research("A", load).tracks[task].transcript


def test_another_order_is_the_same_tasks() -> None:
    assert research("A'", 1).mean_s == pytest.approx(research("A", 1).mean_s)
    assert research("A'", 8).mean_s != research("A", 8).mean_s


def test_under_load_memory_thrashes() -> None:
    assert research("A", 8).prefilled_tokens / research("A", 8).prompt_tokens > 0.4
    assert research("A", 1).prefilled_tokens / research("A", 1).prompt_tokens < 0.15


def test_what_lies_there_unused_at_the_end_counts() -> None:
    """Of the calls that were started every one was used or was not; fillers may still run some."""
    for cell in ("B", "X"):
        run = research(cell, 1)
        used = run.hits.get("reused", 0) + run.hits.get("joined", 0)
        left = run.started["speculative"] - used - run.unused["speculative"]
        assert 0 <= left <= 3


@pytest.mark.parametrize("arrivals", ["closed", "poisson", "cohort"])
def test_the_measured_tasks_are_the_same_however_they_arrive(arrivals: str) -> None:
    plan = Plan(ENGINE, 6, arrivals=arrivals)  # type: ignore[arg-type]
    run = run_cell(SmallWorkload(), plan, "A", 4)
    assert sorted(run.tracks) == list(range(6))
    assert all(track.task == f"small-{task}" for task, track in run.tracks.items())


def test_independent_arrivals_keep_so_many_tasks_busy() -> None:
    """With room for all: the tasks under way, averaged over time, are the load."""
    run = run_cell(SmallWorkload(slots=100), Plan(ENGINE, 300, arrivals="poisson"), "A", 5)
    busy = sum(track.seconds for track in run.tracks.values()) / run.span_s
    assert busy == pytest.approx(5, rel=0.15)


def test_more_arrivals_than_can_be_served_come_to_an_end() -> None:
    run = run_cell(Research(), Plan(TIGHT, 8, arrivals="poisson"), "A", 30)
    assert run.mean_s > 3 * research("A", 1).mean_s
    assert run.ended < 8 + 2 * 30


def test_a_closed_loop_s_mean_is_its_load_over_its_throughput() -> None:
    run = run_cell(SmallWorkload(slots=100), Plan(ENGINE, 60), "A", 6)
    assert run.mean_s == pytest.approx(6 / (run.ended / run.span_s), rel=0.05)


def test_the_tuned_cell_is_the_best_semaphore_and_policy() -> None:
    plan = Plan(TIGHT, 4)
    best = run_cell(Research(), plan, "E*", 10)
    assert best.mean_s < run_cell(Research(), plan, "A", 10).mean_s
    gate, _, policy = best.policy.rpartition("/")
    assert gate in ("", "semaphore:8")
    assert policy in ENGINE_POLICIES


def test_every_cell_runs() -> None:
    runs = [run_cell(SmallWorkload(), Plan(ENGINE, 2), cell, 2) for cell in CELLS]
    assert [row.cell for row in rows_of(runs, 0)] == list(CELLS)
    assert {row.differing for row in rows_of(runs, 0)} == {0}


def test_a_cell_may_be_left_running() -> None:
    cell = Cell(SmallWorkload(), Plan(ENGINE, FILLERS - 1), "A", 3)
    cell.start()
    cell.site.time.run(lambda: cell.site.time.now >= 100.0)
    assert sum(engine.ended for engine in cell.site.fleet.engines) > 50


def test_the_same_seed_gives_the_same_bytes_in_any_process() -> None:
    """Hashes of strings differ between processes; nothing may depend on them."""
    command = [sys.executable, "-c", "from paste_proxy.cli import main; main()", "lab", "run", "--load", "3"]
    command += ["--tasks", "4", "--cells", "A,A',B,O,X", "--json", "--seed", "5"]
    outputs = {
        subprocess.run(command, cwd=ROOT, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert b'"rows"' in outputs.pop()
