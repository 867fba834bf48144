"""Bars: where a task's time goes, and what was run for nothing."""

from collections.abc import Sequence

import msgspec

from paste_proxy.lab.plots.cells import LOOKS
from paste_proxy.lab.plots.svg import Drawing, Scale, bottom_axis, fits, number
from paste_proxy.lab.virtual.rows import Row

BAR, STEP, GAP = 18.0, 25.0, 10.0
"""Pixels: of a bar, from one to the next, and between the bars of two loads."""

PARTS = (
    ("model_s", "part-model", "model"),
    ("queue_s", "part-queue", "waiting"),
    ("exposed_tool_s", "part-tools", "tools"),
)
"""Of a task's time; what is left is `others`."""
OTHERS = ("part-others", "agent and users")


def where_time_goes(rows: Sequence[Row], width: float) -> Drawing:
    """One bar per cell; rows of one load."""
    left, right, top = 40.0, width - 52.0, 28.0
    bottom = top + STEP * len(rows)
    load = rows[0].load
    drawing = Drawing(width, bottom + 44, f"Where a task's time goes at load {load}: {_said(rows)}")
    drawing.text(4, 16, f"load {load:,}", "panel")
    across = Scale(0.0, max(row.mean_task_s for row in rows), left, right, 5)
    bottom_axis(drawing, across, top, bottom, number)
    drawing.text((left + right) / 2, bottom + 36, "mean task time (s)", "axis", "middle")
    for place, row in enumerate(rows):
        y = top + STEP * place + (STEP - BAR) / 2
        drawing.text(left - 6, y + BAR - 5, row.cell, "name", "end")
        end = 0.0
        for style, what, seconds in parts(row):
            x, wide = across(end), across(seconds) - across(0.0)
            drawing.rect(x, y, wide, BAR, f"part {style}", f"{row.cell}: {what} {seconds:.1f} s")
            if fits(number(round(seconds)), wide - 6):
                drawing.text(x + wide / 2, y + BAR - 5, number(round(seconds)), f"inside {style}", "middle")
            end += seconds
        drawing.text(across(end) + 5, y + BAR - 5, f"{end:,.1f}", "value")
    return drawing


def parts(row: Row) -> list[tuple[str, str, float]]:
    """Style, name and seconds of what a task's time consists of."""
    found = [(style, what, getattr(row, key)) for key, style, what in PARTS]
    others = row.mean_task_s - sum(seconds for _, _, seconds in found)
    return [*found, (*OTHERS, others)] if others > 0.05 else found


def _said(rows: Sequence[Row]) -> str:
    return "; ".join(
        f"{row.cell}: " + ", ".join(f"{what} {seconds:.0f} s" for _, what, seconds in parts(row))
        for row in rows
    )


class Waste(msgspec.Struct, frozen=True):
    """One of the plots of waste."""

    title: str
    nothing: str
    """Said where there is no number."""


UNUSED = Waste("unused runs per used one", "none was used")
SECONDS = Waste("tool seconds for nothing, per call of the model", "")


def waste(rows: Sequence[Row], of: Waste, width: float) -> Drawing:
    """One bar per load and cell that runs ahead."""
    left, right, top = 84.0, width - 46.0, 28.0
    loads = list(dict.fromkeys(row.load for row in rows))
    bottom = top + STEP * len(rows) + GAP * (len(loads) - 1)
    values = [_unused(row) if of is UNUSED else _seconds(row) for row in rows]
    said = ", ".join(
        f"{row.cell} at load {row.load}: {_written(value, of)}" for row, value in zip(rows, values, strict=True)
    )
    drawing = Drawing(width, bottom + 26, f"{of.title}: {said}")
    drawing.text(4, 16, of.title, "axis")
    across = Scale(0.0, max([value for value in values if value is not None] or [1.0]) or 1.0, left, right, 5)
    bottom_axis(drawing, across, top, bottom, number)
    for place, (row, value) in enumerate(zip(rows, values, strict=True)):
        y = top + STEP * place + GAP * loads.index(row.load) + (STEP - BAR) / 2
        drawing.text(left - 6, y + BAR - 5, f"{row.cell}, load {row.load:,}", "name", "end")
        drawing.rect(left, y, across(value or 0.0) - left, BAR, f"bar {LOOKS[row.cell].style}")
        drawing.text(across(value or 0.0) + 5, y + BAR - 5, _written(value, of), "value")
    return drawing


def _written(value: float | None, of: Waste) -> str:
    return of.nothing if value is None else f"{value:.2f}"


def _unused(row: Row) -> float | None:
    return row.unused_per_used


def _seconds(row: Row) -> float | None:
    calls = sum(row.hits.values()) + row.decided
    return row.wasted_worker_s / calls if calls else None
