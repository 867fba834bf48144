"""What the demo's records say: the figures of both cells, pair by pair. No I/O."""

import math
import random
import statistics
from collections.abc import Sequence
from typing import Any

import msgspec

from paste_proxy.lab.records import TaskRecord

RESAMPLES = 2000
"""Enough for two digits of a 95 % interval."""
SLOWER_SHARE = 0.03
SLOWER_S = 0.1
"""A task counts as slower by more than 3 % and by more than 100 ms: below that lies what noise does."""


class CellFigures(msgspec.Struct, frozen=True):
    """Seconds as measured, at the run's time scale; `exposed_tool_s` is what a task waits for tools."""

    mean_task_s: float
    p95_task_s: float
    exposed_tool_s: float
    tasks: int


class Ahead(msgspec.Struct, frozen=True):
    """What the proxy of cell B says of its work ahead of the model, once all tasks are over.

    `unused` includes results that still lie there: nobody will ask for them any more.
    """

    hits: dict[str, int]
    started: int
    used: int
    unused: int
    wasted_s: float
    """Time that the remote service spent on unused calls."""


class Outcome(msgspec.Struct, frozen=True):
    """Cell A is native, cell B runs ahead. `ratio` is the mean task time of B over that of A."""

    cells: dict[str, CellFigures]
    ratio: float
    interval: tuple[float, float]
    """95 % of the ratio, by bootstrap over the pairs."""
    differing: tuple[int, ...]
    """Tasks whose transcripts differ between the cells."""
    slower: tuple[int, ...]
    ahead: Ahead

    @property
    def lossless(self) -> bool:
        return not self.differing

    @property
    def unused_per_used(self) -> float | None:
        return round(self.ahead.unused / self.ahead.used, 3) if self.ahead.used else None

    def as_json(self) -> dict[str, Any]:
        return {
            "cells": {name: msgspec.to_builtins(figures) for name, figures in self.cells.items()},
            "ratio": round(self.ratio, 4),
            "lossless": self.lossless,
            "hits": self.ahead.hits,
            "unused_per_used": self.unused_per_used,
            "tasks_slower": len(self.slower),
        }


Pair = tuple[TaskRecord, TaskRecord]


def summarize(records: Sequence[TaskRecord], ahead: Ahead) -> Outcome:
    """`records` hold every task once in cell A and once in cell B."""
    pairs = paired(records)
    return Outcome(
        cells={"A": _figures([a for a, _ in pairs]), "B": _figures([b for _, b in pairs])},
        ratio=_ratio(pairs),
        interval=_interval(pairs),
        differing=tuple(a.task for a, b in pairs if a.transcript != b.transcript),
        slower=tuple(a.task for a, b in pairs if is_slower(a.seconds, b.seconds)),
        ahead=ahead,
    )


def paired(records: Sequence[TaskRecord]) -> list[Pair]:
    """Each task's record of cell A with that of cell B, by task number."""
    cells: dict[str, dict[int, TaskRecord]] = {"A": {}, "B": {}}
    for record in records:
        cells[record.cell][record.task] = record
    if not cells["A"] or cells["A"].keys() != cells["B"].keys():
        raise ValueError("the cells did not run the same tasks")
    return [(cells["A"][task], cells["B"][task]) for task in sorted(cells["A"])]


def is_slower(before: float, after: float) -> bool:
    return after - before > max(SLOWER_SHARE * before, SLOWER_S)


def quantile(values: Sequence[float], share: float) -> float:
    """Linear between neighbours, the usual definition (type 7)."""
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def _figures(records: Sequence[TaskRecord]) -> CellFigures:
    return CellFigures(
        mean_task_s=round(statistics.fmean(record.seconds for record in records), 4),
        p95_task_s=round(quantile([record.seconds for record in records], 0.95), 4),
        exposed_tool_s=round(statistics.fmean(record.exposed_s for record in records), 4),
        tasks=len(records),
    )


def _ratio(pairs: Sequence[Pair]) -> float:
    return sum(b.seconds for _, b in pairs) / sum(a.seconds for a, _ in pairs)


def _interval(pairs: Sequence[Pair]) -> tuple[float, float]:
    rng = random.Random(0)
    ratios = [_ratio(rng.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES)]
    return quantile(ratios, 0.025), quantile(ratios, 0.975)
