"""How many tasks an hour a cell does before they get slow: from the rows of several loads."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from paste_proxy.lab.virtual.experiment import CellName
from paste_proxy.lab.virtual.rows import Row

SLOW = 2.0
"""Times the p95 of tasks that have everything for themselves: what people feel as twice as long."""


class Capacity(msgspec.Struct, frozen=True):
    """Tasks an hour while p95 is at most `limit_s`: between the last load with a lower p95 and the next one, in
    proportion."""

    cell: CellName
    kv: float
    limit_s: float
    tasks_per_h: float
    at_least: bool = False
    """No load was too much: it may be more."""


def capacities(rows: Sequence[Row]) -> list[Capacity]:
    """Of each memory and cell; none where cell A was not run at load 1, or a cell at one load only."""
    alone = {row.kv: row.p95_task_s for row in rows if row.cell == "A" and row.load == 1}
    cells = dict.fromkeys((row.kv, row.cell) for row in rows if row.kv in alone)
    found = []
    for kv, cell in cells:
        of_cell = [row for row in rows if (row.kv, row.cell) == (kv, cell)]
        if len(of_cell) > 1:
            found.append(_capacity(sorted(of_cell, key=lambda row: row.load), SLOW * alone[kv]))
    return found


def _capacity(rows: Sequence[Row], limit_s: float) -> Capacity:
    """Once too slow is too slow: a higher load that happens to be quick again counts for nothing."""
    first, limit_s = rows[0], round(limit_s, 4)
    if first.p95_task_s > limit_s:
        return Capacity(first.cell, first.kv, limit_s, 0.0)
    most = first.throughput_per_h
    for below, above in pairwise(rows):
        if above.p95_task_s > limit_s:
            part = (limit_s - below.p95_task_s) / (above.p95_task_s - below.p95_task_s)
            there = below.throughput_per_h + part * (above.throughput_per_h - below.throughput_per_h)
            return Capacity(first.cell, first.kv, limit_s, round(max(most, there), 4))
        most = max(most, above.throughput_per_h)
    return Capacity(first.cell, first.kv, limit_s, most, at_least=True)
