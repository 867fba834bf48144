"""What the runs of one load say beside each other: the rows of `paste-proxy lab run`."""

import random
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from paste_proxy.lab.summary import RESAMPLES, is_slower, quantile
from paste_proxy.lab.virtual.experiment import CellName, Run

Interval = tuple[float, float]


class Row(msgspec.Struct, frozen=True):
    """One cell at one load. Seconds are virtual; intervals are 95 %, by bootstrap over tasks."""

    cell: CellName
    policy: str
    kv: float
    """Times the engine's memory."""
    load: int
    tasks: int
    mean_task_s: float
    p95_task_s: float
    p99_task_s: float
    ci95: Interval
    """Of `mean_task_s`."""
    ratio: float | None
    """`mean_task_s` over that of A, paired by task; None where A was not run."""
    ratio_ci95: Interval | None
    throughput_per_h: float
    """Tasks that ended while the measured ones were under way, fillers too."""
    exposed_tool_s: float
    """Per task."""
    queue_s: float
    """Per task: what it waited for its beginning, and its turns for a place, with us and in the engine."""
    model_s: float
    """Per task: from a turn's beginning in the engine to its end."""
    hits: dict[str, int]
    """Calls by how they were served: reused, joined, promoted (no overlap), executed."""
    decided: int
    """Calls served by a run that was started when they were sealed in the stream."""
    unused_per_used: float | None
    """Predicted runs that served nobody, for each that did; None where none did."""
    wasted_worker_s: float
    """All together."""
    ttft_chat_p99_s: float | None
    """Of plain chat requests beside the tasks; None where there are none."""
    slower_share: float | None
    """Of the tasks: by more than 3 % and 100 ms slower than in A."""
    prefix_hits: float
    """Share of the prompt tokens that was not computed again."""
    differing: int | None
    """Tasks whose transcript is not the one that they have in A."""


def rows_of(runs: Sequence[Run], seed: int) -> list[Row]:
    """`runs` are of one load and one memory."""
    native = next((run for run in runs if run.cell == "A"), None)
    return [_row(run, native, seed) for run in runs]


def _row(run: Run, native: Run | None, seed: int) -> Row:
    seconds = [track.seconds for track in run.tracks.values()]
    before = [track.seconds for track in native.tracks.values()] if native is not None else []
    pairs = list(zip(seconds, before, strict=True)) if native is not None else []
    used = run.hits.get("reused", 0) + run.hits.get("joined", 0)
    return Row(
        cell=run.cell,
        policy=run.policy,
        kv=run.kv,
        load=run.load,
        tasks=len(seconds),
        mean_task_s=_rounded(statistics.fmean(seconds)),
        p95_task_s=_rounded(quantile(seconds, 0.95)),
        p99_task_s=_rounded(quantile(seconds, 0.99)),
        ci95=_interval(seconds, statistics.fmean, seed),
        ratio=_rounded(_ratio(pairs)) if pairs else None,
        ratio_ci95=_interval(pairs, _ratio, seed) if pairs else None,
        throughput_per_h=_rounded(run.ended / run.span_s * 3600),
        exposed_tool_s=_rounded(statistics.fmean(track.exposed_s for track in run.tracks.values())),
        queue_s=_rounded(statistics.fmean(track.queue_s for track in run.tracks.values())),
        model_s=_rounded(statistics.fmean(track.model_s for track in run.tracks.values())),
        hits={name: run.hits.get(name, 0) for name in ("reused", "joined", "promoted", "executed")},
        decided=run.hits.get("decided", 0),
        unused_per_used=_rounded(run.unused.get("speculative", 0) / used) if used else None,
        wasted_worker_s=_rounded(run.wasted_worker_s),
        ttft_chat_p99_s=_rounded(quantile(run.chat_ttft_s, 0.99)) if run.chat_ttft_s else None,
        slower_share=_rounded(sum(is_slower(a, b) for b, a in pairs) / len(pairs)) if pairs else None,
        prefix_hits=_rounded(1 - run.prefilled_tokens / run.prompt_tokens),
        differing=_differing(run, native) if native is not None else None,
    )


def _differing(run: Run, native: Run) -> int:
    return sum(track.transcript != native.tracks[task].transcript for task, track in run.tracks.items())


def _ratio(pairs: Sequence[tuple[float, float]]) -> float:
    return sum(now for now, _ in pairs) / sum(before for _, before in pairs)


def _interval(sample: Sequence[Any], statistic: Callable[[Sequence[Any]], float], seed: int) -> Interval:
    rng = random.Random(f"{seed}/bootstrap")
    values = [statistic(rng.choices(sample, k=len(sample))) for _ in range(RESAMPLES)]
    return _rounded(quantile(values, 0.025)), _rounded(quantile(values, 0.975))


def _rounded(value: float) -> float:
    """Four digits behind the point: what is below is of no interest, and differs by nothing but rounding."""
    return round(value, 4)
