"""Curves: something against load with intervals, and how task times are distributed."""

from collections.abc import Callable, Sequence

import msgspec

from paste_proxy.lab.plots.cells import LOOKS
from paste_proxy.lab.plots.svg import Drawing, LogScale, Scale, bottom_axis, left_axis, number, spread
from paste_proxy.lab.virtual.experiment import Run
from paste_proxy.lab.virtual.rows import Interval, Row

WIDE_SPAN = 6.0
"""Where the largest value is so many times the smallest, the axis is logarithmic: else small ones are alike."""
LABEL_GAP = 14
"""Pixels between the names at the ends of curves."""


class Axes(msgspec.Struct, frozen=True):
    """What a plot against load is of."""

    label: str
    title: str
    """Of the vertical axis, with its unit."""
    value: Callable[[Row], float | None]
    interval: Callable[[Row], Interval | None]
    low: float | None = None
    """Where the axis begins; None: a little below the least."""
    level: float | None = None
    """A line across that everything is compared with."""


def against_load(rows: Sequence[Row], axes: Axes, width: float) -> Drawing:
    """One curve per cell; the loads stand in equal distances."""
    height, left, right, top, bottom = 330.0, 58.0, width - 26.0, 34.0, 286.0
    shown = [row for row in rows if axes.value(row) is not None]
    drawing = Drawing(width, height, axes.label)
    vertical = _vertical(shown, axes, bottom, top)
    left_axis(drawing, vertical, left, right, number)
    drawing.text(4, 16, axes.title + ", logarithmic" * isinstance(vertical, LogScale), "axis")
    loads = sorted({row.load for row in shown})
    step = (right - left) / (len(loads) - 0.2)
    at = {load: left + step * (place + 0.35) for place, load in enumerate(loads)}
    for load in loads:
        drawing.text(at[load], bottom + 18, f"{load:,}", "tick", "middle")
    drawing.text((left + right) / 2, height - 4, "load (tasks at once)", "axis", "middle")
    if axes.level is not None:
        drawing.line(left, vertical(axes.level), right, vertical(axes.level), "level")
    cells = list(dict.fromkeys(row.cell for row in shown))
    ends = []
    for place, cell in enumerate(cells):
        aside = (place - (len(cells) - 1) / 2) * min(6.0, step / (len(cells) + 1))
        ends.append(_curve(drawing, [row for row in shown if row.cell == cell], axes, at, vertical, aside))
    labels = spread((y for _, y in ends), LABEL_GAP, top, bottom)
    for (x, end), y, cell in zip(ends, labels, cells, strict=True):
        drawing.path([(x + 6, end), (right - 4, y)], f"leader {LOOKS[cell].style}")
        drawing.text(right, y + 4, cell, "name")
    return drawing


def _vertical(rows: Sequence[Row], axes: Axes, bottom: float, top: float) -> Scale | LogScale:
    values = [
        value for row in rows for value in (axes.value(row), *(axes.interval(row) or ())) if value is not None
    ]
    values += [] if axes.level is None else [axes.level]
    if min(values) > 0 and max(values) / min(values) > WIDE_SPAN:
        return LogScale(min(values), max(values), bottom, top)
    return Scale(min(values) if axes.low is None else axes.low, max(values), bottom, top, 6)


def _curve(
    drawing: Drawing,
    rows: Sequence[Row],
    axes: Axes,
    at: dict[int, float],
    vertical: Scale | LogScale,
    aside: float,
) -> tuple[float, float]:
    """Returns where it ends. Intervals of several cells stand side by side."""
    look = LOOKS[rows[0].cell]
    points = []
    for row in rows:
        value, interval = axes.value(row) or 0.0, axes.interval(row)
        x, y = at[row.load] + aside, vertical(value)
        if interval is not None:
            drawing.line(x, vertical(interval[0]), x, vertical(interval[1]), f"interval {look.style}")
        points.append((x, y))
    drawing.path(points, f"series {look.style}")
    for (x, y), row in zip(points, rows, strict=True):
        said = f"{row.cell} at load {row.load}: {number(axes.value(row) or 0.0)}"
        drawing.mark(x, y, look.shape, look.style, said)
    return points[-1]


def distribution(runs: Sequence[Run], width: float) -> Drawing:
    """For each time the share of tasks that took no longer; runs of one load."""
    height, left, right, top, bottom = 270.0, 46.0, width - 16.0, 48.0, 222.0
    load = runs[0].load
    drawing = Drawing(width, height, f"Distribution of task times at load {load}: {_medians(runs)}")
    drawing.text(4, 16, f"load {load:,}", "panel")
    drawing.text(4, 33, "share of tasks", "axis")
    longest = max(track.seconds for run in runs for track in run.tracks.values())
    across, vertical = Scale(0.0, longest, left, right, 5), Scale(0.0, 1.0, bottom, top, 5)
    left_axis(drawing, vertical, left, right, lambda share: f"{share:.0%}")
    bottom_axis(drawing, across, top, bottom, number)
    drawing.text((left + right) / 2, height - 8, "done within (s)", "axis", "middle")
    for run in runs:
        look, times = LOOKS[run.cell], sorted(track.seconds for track in run.tracks.values())
        points, before = [(across(0.0), vertical(0.0))], vertical(0.0)
        for place, seconds in enumerate(times):
            share = vertical((place + 1) / len(times))
            points += [(across(seconds), before), (across(seconds), share)]
            before = share
        drawing.path([*points, (right, before)], f"series {look.style}")
        middle = times[len(times) // 2]
        drawing.mark(
            across(middle), vertical(0.5), look.shape, look.style, f"{run.cell}: median {middle:.1f} s"
        )
    return drawing


def _medians(runs: Sequence[Run]) -> str:
    medians = [sorted(track.seconds for track in run.tracks.values())[len(run.tracks) // 2] for run in runs]
    return ", ".join(f"{run.cell} {median:.0f} s" for run, median in zip(runs, medians, strict=True))
