"""One task in both cells as lanes of plain characters: the model, the tools waited for, what ran ahead."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from paste_proxy.lab.records import ServiceSpan, TaskRecord
from paste_proxy.lab.sizes import OPEN, READ, SEARCH
from paste_proxy.lab.summary import Pair

LETTERS = {SEARCH: "s", OPEN: "o", READ: "f"}
LABEL = 10
"""Columns left of the lanes."""
ROWS_AHEAD = 4
"""Lanes for runs ahead at most; three candidates a turn, and one that an earlier turn left running."""

LEGEND = "# model   s o f waits: search, open, file   = ahead, used   - ahead, unused"
MOMENT_S = 0.03
"""A sealed call starts some milliseconds before it is asked for: not worth a bar. Turns take longer."""


class Bar(NamedTuple):
    start: float
    end: float
    character: str


def timeline(pair: Pair, services: Sequence[ServiceSpan], width: int) -> list[str]:
    """Lines of at most `width` columns; `services` are the runs that cell B's remote service saw."""
    a, b = pair
    span = max(a.seconds, b.seconds)
    columns = max(20, width - LABEL)
    lines = [f"task {a.task}".ljust(LABEL) + _ruler(span, columns)]
    for record, runs in ((a, ()), (b, services)):
        lanes = [("model", _turns(record)), ("tools", _waits(record))]
        lanes += [("ahead", row) for row in _packed(_ahead(record, runs))[:ROWS_AHEAD]]
        for number, (name, bars) in enumerate(lanes):
            label = f"{record.cell if number == 0 else ' '} {name}".ljust(LABEL)
            lines.append((label + _draw(bars, record.start, span, columns)).rstrip())
    return [*lines, LEGEND[:width]]


def _turns(record: TaskRecord) -> list[Bar]:
    return [Bar(turn.start, turn.end, "#") for turn in record.turns]


def _waits(record: TaskRecord) -> list[Bar]:
    return [Bar(call.start, call.end, LETTERS.get(call.tool, "t")) for call in record.calls]


def _ahead(record: TaskRecord, runs: Iterable[ServiceSpan]) -> list[Bar]:
    """The runs of this task that began before their call, or that no call ever followed."""
    asked = {(call.tool, call.subject): call.start for call in record.calls}
    bars = []
    for run in runs:
        at = asked.get((run.tool, run.subject))
        if not record.start <= run.start <= record.end:
            continue
        if at is None and run.subject in record.addresses:
            bars.append(Bar(run.start, run.end, "-"))
        elif at is not None and run.start < at - MOMENT_S:
            bars.append(Bar(run.start, run.end, "="))
    return sorted(bars)


def _packed(bars: Iterable[Bar]) -> list[list[Bar]]:
    """Rows of bars that do not overlap, as few as possible."""
    rows: list[list[Bar]] = []
    for bar in bars:
        row = next((row for row in rows if row[-1].end <= bar.start), None)
        if row is None:
            rows.append(row := [])
        row.append(bar)
    return rows


def _draw(bars: Iterable[Bar], origin: float, span: float, columns: int) -> str:
    lane = [" "] * columns
    for bar in bars:
        first = min(columns - 1, max(0, int((bar.start - origin) / span * columns)))
        last = min(columns - 1, max(first, int((bar.end - origin) / span * columns) - 1))
        lane[first : last + 1] = bar.character * (last + 1 - first)
    return "".join(lane)


def _ruler(span: float, columns: int) -> str:
    end = f"{span:.1f} s"
    return "0 s" + end.rjust(columns - 3)
