"""One task in two cells: when its model wrote, what it waited for, and what ran ahead of it."""

import math
from collections.abc import Sequence

import msgspec

from paste_proxy.lab.plots.svg import Drawing, Scale, bottom_axis, fits, number
from paste_proxy.lab.virtual.agent import CallSpan, TaskTrack, TurnSpan
from paste_proxy.lab.virtual.experiment import Run
from paste_proxy.lab.virtual.shell import RunSpan

LANE, STEP = 16.0, 21.0
"""Pixels: of a lane, and from one to the next."""
AHEAD_LANES = 5
"""Of runs ahead; what finds no place in them is not drawn, but counted."""


def typical(native: Run, other: Run) -> int:
    """The task whose times are the likest to the middle of all, in the native cell and against it."""
    ratio, middle = other.mean_s / native.mean_s, sorted(track.seconds for track in native.tracks.values())
    median = middle[len(middle) // 2]

    def far(task: int) -> float:
        alone, ahead = native.tracks[task].seconds, other.tracks[task].seconds
        return abs(math.log(alone / median)) + abs(math.log(ahead / alone / ratio))

    return min(native.tracks, key=far)


class Bar(msgspec.Struct, frozen=True):
    start: float
    end: float
    style: str
    title: str
    text: str = ""


def timeline(runs: Sequence[Run], task: int, width: float) -> Drawing:
    """`runs` are of one load; each has a group of lanes."""
    tracks = [(run.cell, run.tracks[task]) for run in runs]
    lanes = [(f"{cell} {name}" if name else "", bars) for cell, track in tracks for name, bars in _lanes(track)]
    times = ", ".join(f"{track.seconds:.1f} s in {cell}" for cell, track in tracks)
    left, right, top = 92.0, width - 14.0, 28.0
    bottom = top + STEP * len(lanes)
    drawing = Drawing(width, bottom + 40, f"One task: {times}")
    drawing.text(4, 16, f"{tracks[0][1].task}: {times}", "panel")
    across = Scale(0.0, max(track.seconds for _, track in tracks), left, right, 5 if width < 600 else 10)
    bottom_axis(drawing, across, top, bottom, number)
    drawing.text((left + right) / 2, bottom + 34, "seconds since the task arrived", "axis", "middle")
    for place, (name, bars) in enumerate(lanes):
        y = top + STEP * place + (STEP - LANE) / 2
        drawing.text(left - 8, y + LANE - 4, name, "tick", "end")
        for bar in bars:
            wide = max(1.5, across(bar.end) - across(bar.start))
            drawing.rect(across(bar.start), y, wide, LANE, f"part {bar.style}", bar.title)
            if bar.text and fits(bar.text, wide - 12):
                drawing.text(
                    across(bar.start) + wide / 2, y + LANE - 4, bar.text, f"inside {bar.style}", "middle"
                )
    for place in range(1, len(lanes)):
        if lanes[place][0].endswith(" model"):
            drawing.line(0, top + STEP * place, width, top + STEP * place, "between")
    return drawing


def _lanes(track: TaskTrack) -> list[tuple[str, list[Bar]]]:
    lanes = [("model", [bar for turn in track.turns for bar in _turn(turn, track.start)])]
    waits = [
        Bar(
            call.start - track.start,
            call.end - track.start,
            "part-tools",
            f"{call.tool} {call.arguments}: {call.outcome}, waited {call.end - call.start:.1f} s",
            call.tool.rpartition("_")[2],
        )
        for call in track.calls
    ]
    lanes.append(("tools", waits))
    packed, left_out = _packed([run for run in track.runs if _is_ahead(run, track)])
    names = ["runs ahead", *[""] * len(packed)]
    if left_out:
        names[len(packed) - 1] = f"{left_out} more"
    return lanes + [
        (name, [_run(run, track) for run in lane]) for name, lane in zip(names, packed, strict=False)
    ]


def _turn(turn: TurnSpan, start: float) -> list[Bar]:
    waited = turn.begun - turn.asked
    bars = [
        Bar(
            turn.begun - start,
            turn.end - start,
            "part-model",
            f"the model writes for {turn.end - turn.begun:.1f} s",
        )
    ]
    if waited > 0.01:
        bars.insert(
            0, Bar(turn.asked - start, turn.begun - start, "part-queue", f"waits {waited:.1f} s for a place")
        )
    return bars


def _run(run: RunSpan, track: TaskTrack) -> Bar:
    end, call = min(run.end, track.end), _served(run, track)
    said = "for nothing" if call is None else "served its call"
    return Bar(
        run.start - track.start,
        end - track.start,
        "run-unused" if call is None else "run-used",
        f"{run.tool} {run.arguments}: {end - run.start:.1f} s, {said}",
    )


def _served(run: RunSpan, track: TaskTrack) -> CallSpan | None:
    for call in track.calls:
        same = (call.tool, call.arguments) == (run.tool, run.arguments)
        if same and call.outcome in ("reused", "joined") and call.end >= run.start:
            return call
    return None


def _is_ahead(run: RunSpan, track: TaskTrack) -> bool:
    """A run that began with its call is none, though the call was read early enough for it."""
    call = _served(run, track)
    return run.ahead and (call is None or run.start < call.start)


def _packed(runs: Sequence[RunSpan]) -> tuple[list[list[RunSpan]], int]:
    """Each run in the first lane that is free; and how many found none."""
    lanes: list[list[RunSpan]] = []
    left_out = 0
    for run in sorted(runs, key=lambda run: run.start):
        free = next((lane for lane in lanes if lane[-1].end <= run.start), None)
        if free is not None:
            free.append(run)
        elif len(lanes) < AHEAD_LANES:
            lanes.append([run])
        else:
            left_out += 1
    return lanes, left_out
