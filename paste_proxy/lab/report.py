"""The demo's result for people: what was run, the figures, and one task as a timeline."""

import statistics
from collections.abc import Sequence

import msgspec

from paste_proxy.lab.records import ServiceSpan, TaskRecord
from paste_proxy.lab.summary import Outcome, Pair, paired, quantile
from paste_proxy.lab.timeline import timeline
from paste_proxy.lab.workload import REALISATION


class Setting(msgspec.Struct, frozen=True):
    """Under which conditions the figures were measured."""

    engine: str
    time_scale: float
    token_scale: float
    tasks: int
    at_once: int
    learnt_from: int
    """Tasks that the patterns were learnt from; none of them is measured."""


def heading(setting: Setting) -> list[str]:
    lines = [
        f"engine       {setting.engine}",
        f"time scale   all times x {setting.time_scale:g}: divide by it for those of the workload",
    ]
    if setting.token_scale != 1:
        lines.append(f"token scale  all token counts x {setting.token_scale:g}")
    return [
        *lines,
        f"load         {setting.tasks} tasks in each cell, {setting.at_once} at once, both cells side by side",
        f"draw         {REALISATION} of the workload's seed: of 100, the nearest to its stated numbers",
        "             (from draw to draw the ratio varies by +-0.015)",
        f"patterns     learnt from {setting.learnt_from} other tasks in virtual time, before the clock starts",
    ]


def figures(outcome: Outcome) -> list[str]:
    a, b = outcome.cells["A"], outcome.cells["B"]
    low, high = outcome.interval
    lines = [
        f"{'':28}{'A: off':>10}{'B: ahead':>10}{'B/A':>8}",
        _row("task time, mean", a.mean_task_s, b.mean_task_s),
        _row("task time, p95", a.p95_task_s, b.p95_task_s),
        _row("tools waited for, per task", a.exposed_tool_s, b.exposed_tool_s),
        "",
        f"ratio        {outcome.ratio:.3f}; 95 % interval {low:.3f} to {high:.3f} (bootstrap, {a.tasks} pairs)",
    ]
    return [*lines, *_ahead(outcome), _slower(outcome), _transcripts(outcome)]


def noise(records: Sequence[TaskRecord], drawn: Sequence[float], busy: float | None, cores: int) -> list[str]:
    """How far measured times are from drawn ones; `drawn` are the scaled times of cell A's calls."""
    waited = [call.seconds for record in records if record.cell == "A" for call in record.calls]
    late = [(mine - stated) * 1000 for mine, stated in zip(waited, drawn, strict=True)]
    return [
        f"noise        a call of cell A takes {statistics.median(late):.0f} ms longer than drawn "
        f"(p95 {quantile(late, 0.95):.0f} ms)" + ("" if busy is None else f"; {cores} cores {busy:.0%} busy")
    ]


def example(records: Sequence[TaskRecord], services: Sequence[ServiceSpan], width: int) -> list[str]:
    """The timeline of the task with the median time in cell A."""
    pairs = sorted(paired(records), key=_native_seconds)
    return timeline(pairs[len(pairs) // 2], services, width)


def _native_seconds(pair: Pair) -> float:
    return pair[0].seconds


def _row(name: str, a: float, b: float) -> str:
    return f"{name:28}{a:8.2f} s{b:8.2f} s{b / a if a else 1:8.2f}"


def _ahead(outcome: Outcome) -> list[str]:
    ahead = outcome.ahead
    kinds = ", ".join(f"{kind} {count}" for kind, count in ahead.hits.items())
    rate = "-" if outcome.unused_per_used is None else f"{outcome.unused_per_used:.2f}"
    return [
        f"hits         {kinds}",
        f"unused       {ahead.unused} of {ahead.started} calls run ahead: {rate} per used one; "
        f"{ahead.wasted_s:.1f} s of the service's time",
    ]


def _slower(outcome: Outcome) -> str:
    names = f": {', '.join(map(str, outcome.slower))}" if outcome.slower else ""
    return f"slower       {len(outcome.slower)} tasks by more than max(3 %, 100 ms){names}"


def _transcripts(outcome: Outcome) -> str:
    if outcome.lossless:
        return "lossless     yes: every transcript of B equals that of A"
    return f"lossless     NO: transcripts differ in task {', '.join(map(str, outcome.differing))}"
