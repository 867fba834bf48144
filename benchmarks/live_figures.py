"""What the live benchmark makes of its times: means with intervals, noise, and the order of cells."""

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from paste_proxy.lab.records import TaskRecord
from paste_proxy.lab.summary import quantile

Times: TypeAlias = dict[str, dict[int, dict[int, list[float]]]]
"""By cell, load and task: seconds of each repeat."""
NATIVE, AGAIN = "A", "A'"
RESAMPLES = 2000
"""Of a bootstrap: the ends of its interval then vary by less than a tenth of its width."""
APART = 0.05
"""Cells of the lab that differ by less have no order that real time could be asked for."""


def figures(times: Times) -> dict[str, dict[str, dict[str, Any]]]:
    """By cell and load; ratios where A ran the same tasks."""
    return {
        cell: {
            str(load): _row(of_tasks, times.get(NATIVE, {}).get(load, {})) for load, of_tasks in loads.items()
        }
        for cell, loads in times.items()
    }


def _row(of_tasks: Mapping[int, Sequence[float]], native: Mapping[int, Sequence[float]]) -> dict[str, Any]:
    seconds = {task: statistics.median(repeats) for task, repeats in of_tasks.items()}
    row: dict[str, Any] = {
        "mean_task_s": round(statistics.fmean(seconds.values()), 3),
        "p95_task_s": round(quantile(list(seconds.values()), 0.95), 3),
        "ci95": interval(list(seconds.values()), statistics.fmean),
    }
    if native.keys() >= seconds.keys():
        pairs = [(now, statistics.median(native[task])) for task, now in seconds.items()]
        row |= {"ratio": round(_ratio(pairs), 3), "ratio_ci95": interval(pairs, _ratio)}
    return row


def _ratio(pairs: Sequence[tuple[float, float]]) -> float:
    return sum(now for now, _ in pairs) / sum(before for _, before in pairs)


def interval(sample: Sequence[Any], statistic: Callable[[Sequence[Any]], float]) -> tuple[float, float]:
    """95 % of the bootstrap's values, over the sample's members."""
    rng = random.Random("live/bootstrap")
    values = [statistic(rng.choices(sample, k=len(sample))) for _ in range(RESAMPLES)]
    return round(quantile(values, 0.025), 3), round(quantile(values, 0.975), 3)


def lossless(native: TaskRecord, record: TaskRecord) -> bool:
    """Every message of the task is the one that there was without a proxy."""
    return native.transcript == record.transcript


def noise(pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Of runs of one cell, two by two: how far the second is off, as a share of the first."""
    off = [again / first - 1 for first, again in pairs]
    return {
        "runs": [[round(first, 3), round(again, 3)] for first, again in pairs],
        "off": [round(one, 3) for one in off],
        "most": round(max(map(abs, off)), 3) if off else None,
    }


def order_of(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Cells of one load, the slowest first."""
    return sorted(rows, key=lambda cell: -rows[cell]["mean_task_s"])


def same_order(real: Mapping[str, Mapping[str, Any]], lab: Mapping[str, Mapping[str, Any]]) -> bool:
    """Of every two cells that the lab tells apart, the same one is the faster in real time. A' is A again."""
    names = [name for name in lab if name in real and name != AGAIN]
    return all(
        real[one]["mean_task_s"] < real[other]["mean_task_s"]
        for one in names
        for other in names
        if lab[one]["mean_task_s"] < lab[other]["mean_task_s"] * (1 - APART)
    )
