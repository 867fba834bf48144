"""Cells in several processes."""

import msgspec
import pytest

from paste_proxy.lab.engine.presets import load_engine
from paste_proxy.lab.virtual.experiment import CellName, Plan
from paste_proxy.lab.virtual.jobs import Job, Source, carried_out
from paste_proxy.lab.virtual.rows import rows_of
from paste_proxy.lab.virtual.workloads import Choice

SOURCE = Source("research", Choice())
CELLS: tuple[CellName, ...] = ("A", "B", "E*")


def test_the_runs_are_the_same_however_many_processes_there_are() -> None:
    plan = Plan(load_engine("research"), 2, rehearsals=5)
    jobs = [Job(plan, cell, load) for load in (1, 9) for cell in CELLS]
    told = [
        [msgspec.json.encode(rows_of([run], 0)) for run in carried_out(SOURCE, jobs, at_once)]
        for at_once in (1, 2)
    ]
    assert told[0] == told[1]
    assert [job.cell.encode() in row for job, row in zip(jobs, told[0], strict=True)] == [True] * 6


def test_a_process_that_fails_fails_the_whole() -> None:
    broken = Job(Plan(load_engine("research"), 2), "Q", 1)  # type: ignore[arg-type]
    source = Source("nothing", Choice())
    with pytest.raises(Exception, match="there is no workload 'nothing'"):
        list(carried_out(source, [broken, broken], 2))
