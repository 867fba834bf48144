"""What the runs of one load say beside each other: the rows of `paste-proxy lab run`."""

import random
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from paste_proxy.lab.summary import RESAMPLES, is_slower, quantile
from paste_proxy.lab.virtual.experiment import CellName, Run
from paste_proxy.lab.virtual.tenants import fair

Interval = tuple[float, float]
QUANTILES = {"p10": 0.10, "p25": 0.25, "p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
DECILES = tuple(tenth / 10 for tenth in range(1, 10))


class TenantRow(msgspec.Struct, frozen=True):
    """One tenant of a load of several."""

    tasks: int
    mean_task_s: float | None
    p95_task_s: float | None
    """None where none of its tasks is measured."""
    tasks_per_h: float
    """As `throughput_per_h`."""
    fair_per_h: float
    """What it should get of those of all: an even part, or less if its part of the load can't take that much
    even if nobody waits."""
    of_fair: float
    """`tasks_per_h` over that."""
    engine_share: float
    """Of the engines' time for all tenants."""


class Row(msgspec.Struct, frozen=True):
    """One cell at one load. Seconds are virtual; intervals are 95 %, by bootstrap over tasks."""

    cell: CellName
    policy: str
    kv: float
    """Times the engine's memory."""
    load: int
    tasks: int
    mean_task_s: float
    p10_task_s: float
    p25_task_s: float
    p50_task_s: float
    p90_task_s: float
    p95_task_s: float
    p99_task_s: float
    ci95: Interval
    """Of `mean_task_s`."""
    ratio: float | None
    """`mean_task_s` over that of A, paired by task; None where A was not run."""
    ratio_ci95: Interval | None
    quantile_ratios: dict[str, float] | None
    """p10, p25, p50, p90, p95 and p99 over those of A."""
    decile_ratios: tuple[float, ...] | None
    """The nine deciles of the tasks' times over those of A."""
    throughput_per_h: float
    """Tasks that ended while the measured ones were under way, fillers too."""
    exposed_tool_s: float
    """Per task."""
    queue_s: float
    """Per task: what it waited for its beginning, and its turns for a place, with us and in the engine."""
    longest_wait_s: float
    """The most that a task waited in the same way, all its turns together."""
    longest_wait_ratio: float | None
    """Over that of A; None where nobody waits in A, or A was not run."""
    held_turns: int
    """Turns that waited with us, or with what stands in our place."""
    held_s: float
    """Per task: what they waited there."""
    expected_over: int
    """Sessions that were expected to be over after a reply, as was learnt: their engine hears of it where it
    knows sessions by name; and..."""
    came_back: int
    """...those of them that came all the same."""
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
    tenants: dict[str, TenantRow] | None
    """None where there is one."""


def rows_of(runs: Sequence[Run], seed: int) -> list[Row]:
    """`runs` are of one load and one memory."""
    native = next((run for run in runs if run.cell == "A"), None)
    return [_row(run, native, seed) for run in runs]


def _row(run: Run, native: Run | None, seed: int) -> Row:
    seconds = [track.seconds for track in run.tracks.values()]
    before = [track.seconds for track in native.tracks.values()] if native is not None else []
    pairs = list(zip(seconds, before, strict=True)) if native is not None else []
    used = run.hits.get("reused", 0) + run.hits.get("joined", 0)
    held = [wait for track in run.tracks.values() for wait in track.held]
    longest, longest_before = _longest_wait(run), _longest_wait(native) if native is not None else 0.0
    return Row(
        cell=run.cell,
        policy=run.policy,
        kv=run.kv,
        load=run.load,
        tasks=len(seconds),
        mean_task_s=_rounded(statistics.fmean(seconds)),
        **{f"{name}_task_s": _rounded(quantile(seconds, share)) for name, share in QUANTILES.items()},
        ci95=_interval(seconds, statistics.fmean, seed),
        ratio=_rounded(_ratio(pairs)) if pairs else None,
        ratio_ci95=_interval(pairs, _ratio, seed) if pairs else None,
        quantile_ratios=_quantile_ratios(seconds, before) if pairs else None,
        decile_ratios=tuple(_at(share, seconds, before) for share in DECILES) if pairs else None,
        throughput_per_h=_rounded(run.ended / run.span_s * 3600),
        exposed_tool_s=_rounded(statistics.fmean(track.exposed_s for track in run.tracks.values())),
        queue_s=_rounded(statistics.fmean(track.queue_s for track in run.tracks.values())),
        longest_wait_s=_rounded(longest),
        longest_wait_ratio=_rounded(longest / longest_before) if longest_before else None,
        held_turns=len(held),
        held_s=_rounded(sum(held) / len(seconds)),
        expected_over=run.expected_over,
        came_back=run.came_back,
        model_s=_rounded(statistics.fmean(track.model_s for track in run.tracks.values())),
        hits={name: run.hits.get(name, 0) for name in ("reused", "joined", "promoted", "executed")},
        decided=run.hits.get("decided", 0),
        unused_per_used=_rounded(run.unused.get("speculative", 0) / used) if used else None,
        wasted_worker_s=_rounded(run.wasted_worker_s),
        ttft_chat_p99_s=_rounded(quantile(run.chat_ttft_s, 0.99)) if run.chat_ttft_s else None,
        slower_share=_rounded(sum(is_slower(a, b) for b, a in pairs) / len(pairs)) if pairs else None,
        prefix_hits=_rounded(1 - run.prefilled_tokens / run.prompt_tokens),
        differing=_differing(run, native) if native is not None else None,
        tenants=_tenants(run) if len(run.services) > 1 else None,
    )


def _quantile_ratios(seconds: Sequence[float], before: Sequence[float]) -> dict[str, float]:
    return {name: _at(share, seconds, before) for name, share in QUANTILES.items()}


def _at(share: float, seconds: Sequence[float], before: Sequence[float]) -> float:
    """The quantile over that of before."""
    return _rounded(quantile(seconds, share) / quantile(before, share))


def _longest_wait(run: Run) -> float:
    return max(track.queue_s for track in run.tracks.values())


def _tenants(run: Run) -> dict[str, TenantRow]:
    wanted = {name: one.share * run.load / run.alone_s for name, one in run.services.items()}
    shares = fair(wanted, run.ended / run.span_s)
    model_s = sum(one.model_s for one in run.services.values())
    rows = {}
    for name, one in run.services.items():
        seconds = [run.tracks[task].seconds for task in one.tasks]
        rows[name] = TenantRow(
            tasks=len(seconds),
            mean_task_s=_rounded(statistics.fmean(seconds)) if seconds else None,
            p95_task_s=_rounded(quantile(seconds, 0.95)) if seconds else None,
            tasks_per_h=_rounded(one.ended / run.span_s * 3600),
            fair_per_h=_rounded(shares[name] * 3600),
            of_fair=_rounded(one.ended / run.span_s / shares[name]),
            engine_share=_rounded(one.model_s / model_s),
        )
    return rows


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
