"""A report of made-up runs, small and quick: two loads, cells that run ahead and one that does not."""

from functools import cache

from paste_proxy.lab.plots.page import Report
from paste_proxy.lab.virtual.experiment import CellName, Plan, Run, run_cell
from paste_proxy.lab.virtual.rows import rows_of
from tests.lab.virtual.small import ENGINE, SmallWorkload

CELLS: tuple[CellName, ...] = ("A", "A'", "B", "O", "O∞", "X", "E")
LOADS = (1, 12)


@cache
def runs() -> list[list[Run]]:
    return [[run_cell(SmallWorkload(slots=4), Plan(ENGINE, 9), cell, load) for cell in CELLS] for load in LOADS]


def report(task: int | None = None) -> Report:
    rows = [row for of_load in runs() for row in rows_of(of_load, 0)]
    return Report(
        "small & quick", ["9 tasks.", "An engine."], "paste-proxy lab run --x 'a<b'", runs(), rows, task
    )
