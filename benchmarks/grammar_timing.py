"""How the grammar's benchmark takes time: many short runs in turn, on a machine that is not idle.

Time is what the kernel charges to our thread, so that waiting for a core does not count. Nothing that is timed
waits for anything else: on an idle machine it is the time that passes.
"""

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec

Work: TypeAlias = Callable[[], object]


class Cell(msgspec.Struct, frozen=True):
    """Something to be timed. `prepare` makes one run of it, and is not timed itself."""

    units: int
    """Chunks, pieces or bytes of one run."""
    prepare: Callable[[], Work]


class Figure(msgspec.Struct, frozen=True):
    """Seconds per unit. Where the median is far above the fastest, others had the other half of our core."""

    median: float
    fastest: float

    @property
    def noise(self) -> float:
        return self.median / self.fastest

    def less(self, other: "Figure") -> "Figure":
        return Figure(self.median - other.median, self.fastest - other.fastest)

    def over(self, other: "Figure") -> "Figure":
        return Figure(self.median / other.median, self.fastest / other.fastest)

    def scaled(self, by: float) -> "Figure":
        return Figure(self.median * by, self.fastest * by)


def take_times(cells: Mapping[str, Cell], *, rounds: int, budget_s: float = float("inf")) -> dict[str, Figure]:
    """Every cell once a round, in turn, so that whatever else the machine does falls on all of them. A cell
    that has had `budget_s` takes no further part; each has one run at least. The first round only warms up
    where there are more than two."""
    times: dict[str, list[float]] = {name: [] for name in cells}
    spent = dict.fromkeys(cells, 0.0)
    for _ in range(rounds):
        gc.collect()
        for name, cell in cells.items():
            if spent[name] <= budget_s:
                seconds = _time(cell)
                spent[name] += seconds
                times[name].append(seconds / cell.units)
    return {name: figure(taken[1:] if len(taken) > 2 else taken) for name, taken in times.items()}


def figure(seconds: Sequence[float]) -> Figure:
    return Figure(statistics.median(seconds), min(seconds))


def _time(cell: Cell) -> float:
    work = cell.prepare()
    begun = time.thread_time()
    work()
    return time.thread_time() - begun
