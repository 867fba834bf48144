"""What the live benchmark makes of its times: means with intervals, noise, and the order of cells."""

import random
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from paste_proxy.lab.engine.spec import EngineSpec
from paste_proxy.lab.records import TaskRecord, TokenCount
from paste_proxy.lab.summary import quantile

Times: TypeAlias = dict[str, dict[int, dict[int, list[float]]]]
"""By cell, load and task: seconds of each repeat."""
NATIVE, AGAIN = "A", "A'"
RESAMPLES = 2000
"""Of a bootstrap: the ends of its interval then vary by less than a tenth of its width."""
APART = 0.05
"""Cells of the lab that differ by less have no order that real time could be asked for."""


class CellRun(msgspec.Struct, frozen=True):
    """One cell at one load, once."""

    cell: str
    load: int
    records: tuple[TaskRecord, ...]
    counts: tuple[TokenCount, ...]
    """Of all its turns."""
    stats: Mapping[str, Any]
    """What its proxy says of itself at the end."""

    @property
    def mean_s(self) -> float:
        return statistics.fmean(record.seconds for record in self.records)


def reasons(runs: Sequence[CellRun]) -> dict[tuple[str, int], dict[str, Any]]:
    """Why cells took their time, all repeats together; seconds are per task."""
    by_cell: dict[tuple[str, int], list[CellRun]] = {}
    for run in runs:
        by_cell.setdefault((run.cell, run.load), []).append(run)
    return {key: _reasons(same) for key, same in by_cell.items()}


def _reasons(runs: Sequence[CellRun]) -> dict[str, Any]:
    counts = [count for run in runs for count in run.counts]
    records = [record for run in runs for record in run.records]
    prompt, cached = sum(one.prompt for one in counts), sum(one.cached for one in counts)
    hits: Counter[str] = Counter()
    for run in runs:
        hits.update(run.stats["hits"])
    return {
        "runs": [round(run.mean_s, 2) for run in runs],
        "turns": len(counts),
        "prompt_tokens": prompt,
        "cached_tokens": cached,
        "prefix_hits": round(cached / max(1, prompt), 3),
        "output_tokens": sum(one.output for one in counts),
        "held_s": round(sum(run.stats["turns"]["held_s"] for run in runs) / len(records), 2),
        "exposed_tool_s": round(statistics.fmean(record.exposed_s for record in records), 2),
        "hits": {outcome: count for outcome, count in hits.items() if count},
        "unused": sum(run.stats["speculations"]["unused"] for run in runs),
    }


def regime(engine: EngineSpec, runs: Sequence[CellRun]) -> dict[str, Any]:
    """What the benchmark wants in proportion: to read a prompt again beside a turn's share of the engine and
    beside its call, and all prompts beside the memory."""
    counts = [count for run in runs for count in run.counts]
    calls = [
        call.seconds for run in runs for record in run.records for call in record.calls if not call.saved_s
    ]
    prompt = statistics.fmean(count.prompt for count in counts)
    output = statistics.fmean(count.output for count in counts)
    load = max(run.load for run in runs)
    fitting = max(1, min(load, round(engine.kv_tokens / prompt)))
    reading, writing = engine.prefill_s(round(prompt), 0), output / engine.decode_rate(fitting) / fitting
    return {
        "prompt_tokens": round(prompt),
        "read_again_s": round(reading, 2),
        "write_share_s": round(writing, 2),
        "read_over_write": round(reading / writing, 1),
        "call_s": round(statistics.fmean(calls), 2) if calls else 0.0,
        "prompts_over_memory": round(load * prompt / engine.kv_tokens, 2),
    }


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
