"""The page: its figures in order, with as few words as they need. It loads nothing, and runs no script."""

from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import TypeVar

import msgspec

from paste_proxy.lab.plots.bars import OTHERS, PARTS, SECONDS, UNUSED, parts, waste, where_time_goes
from paste_proxy.lab.plots.cells import LOOKS, legend
from paste_proxy.lab.plots.curves import Axes, against_load, distribution
from paste_proxy.lab.plots.svg import Drawing
from paste_proxy.lab.plots.timeline import timeline, typical
from paste_proxy.lab.virtual.experiment import Run
from paste_proxy.lab.virtual.rows import Row

T = TypeVar("T")

WIDE, FULL, NARROW = 600.0, 960.0, 366.0
"""Pixels that pictures are drawn for: half of a wide page, all of a page, and a telephone's."""

TIMES = Axes(
    label="Mean task time against load",
    title="mean task time (s)",
    value=lambda row: row.mean_task_s,
    interval=lambda row: row.ci95,
    low=0.0,
)
RATIOS = Axes(
    label="Mean task time against that of A",
    title="mean task time / that of A",
    value=lambda row: row.ratio,
    interval=lambda row: row.ratio_ci95,
    level=1.0,
)
COLUMNS: Sequence[tuple[str, Callable[[Row], object]]] = (
    ("KV", lambda row: f"{row.kv:g}"),
    ("load", lambda row: row.load),
    ("cell", lambda row: row.cell),
    ("policy", lambda row: row.policy.replace("/", " / ")),
    ("mean s", lambda row: f"{row.mean_task_s:.1f}"),
    ("95 %", lambda row: "{:.1f}-{:.1f}".format(*row.ci95)),
    ("/ A", lambda row: None if row.ratio is None else f"{row.ratio:.3f}"),
    ("95 %", lambda row: None if row.ratio_ci95 is None else "{:.3f}-{:.3f}".format(*row.ratio_ci95)),
    ("p95 s", lambda row: f"{row.p95_task_s:.1f}"),
    ("p99 s", lambda row: f"{row.p99_task_s:.1f}"),
    ("longest wait s", lambda row: f"{row.longest_wait_s:.0f}"),
    ("held turns", lambda row: row.held_turns or None),
    ("held s", lambda row: f"{row.held_s:.1f}" if row.held_turns else None),
    ("tasks/h", lambda row: f"{row.throughput_per_h:.0f}"),
    ("reused", lambda row: row.hits["reused"]),
    ("joined", lambda row: row.hits["joined"]),
    ("promoted", lambda row: row.hits["promoted"]),
    ("decided", lambda row: row.decided),
    ("executed", lambda row: row.hits["executed"]),
    ("unused / used", lambda row: None if row.unused_per_used is None else f"{row.unused_per_used:.2f}"),
    ("wasted s", lambda row: f"{row.wasted_worker_s:.0f}"),
    ("slower", lambda row: None if row.slower_share is None else f"{row.slower_share:.0%}"),
    ("prefix hits", lambda row: f"{row.prefix_hits:.0%}"),
    ("chat p99 s", lambda row: None if row.ttft_chat_p99_s is None else f"{row.ttft_chat_p99_s:.2f}"),
    ("differing", lambda row: row.differing),
)


class Report(msgspec.Struct, frozen=True):
    """What a page is made of."""

    title: str
    facts: Sequence[str]
    """What was run: a line each."""
    command: str
    """That gives the same numbers again."""
    runs: Sequence[Sequence[Run]]
    """By memory and load."""
    rows: Sequence[Row]
    task: int | None = None
    """Of the timeline; None: one that is like most."""


def write_page(report: Report, folder: Path) -> Path:
    """Raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "index.html"
    path.write_text(page(report), encoding="utf-8")
    return path


def page(report: Report) -> str:
    cells = list(dict.fromkeys(row.cell for row in report.rows))
    style = resources.files("paste_proxy.lab.plots").joinpath("page.css").read_text(encoding="utf-8")
    facts = "<br>".join(escape(fact) for fact in report.facts)
    figures = "".join(_figures(report))
    title = escape(report.title)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{title}</title>\n<style>\n{style}</style></head>\n<body><h1>{title}</h1>\n"
        f'<p class="facts">{facts}<br><code>{_command(report.command)}</code></p>\n'
        f'{legend(cells)}\n<div class="figures">{figures}</div>\n</body></html>\n'
    )


def _command(text: str) -> str:
    """Lines end between its options, not within them."""
    first, *options = text.split(" --")
    return " ".join(f"<span>{escape(part)}</span>" for part in (first, *(f"--{one}" for one in options)))


def _figures(report: Report) -> Iterable[str]:
    """The same ones for each memory, and all numbers."""
    memories = list(dict.fromkeys(row.kv for row in report.rows))
    for kv in memories:
        runs = [group for group in report.runs if group[0].kv == kv]
        rows = [row for row in report.rows if row.kv == kv]
        of_kv = msgspec.structs.replace(report, runs=runs, rows=rows)
        yield from _of_memory(of_kv, f", KV memory x {kv:g}" * (len(memories) > 1))
    yield _figure("All numbers", "", _table(report.rows), full=True)


def _of_memory(report: Report, where: str) -> Iterable[str]:
    """`where` is said in every title."""
    loads = [
        [row for row in report.rows if row.load == load]
        for load in dict.fromkeys(row.load for row in report.rows)
    ]
    yield _figure(
        f"Task time against load{where}",
        "From a task's arrival to its last word; bars are 95\N{NO-BREAK SPACE}% intervals. Lower is better.",
        *_both(lambda width: against_load(report.rows, TIMES, width)),
    )
    compared = [row for row in report.rows if row.cell != "A" and row.ratio is not None]
    if compared:
        again = any(row.cell == "A'" for row in compared)
        yield _figure(
            f"Against native{where}",
            "Paired task by task; below the line a cell is faster than A."
            + " How far A' is off is what chance does." * again,
            *_both(lambda width: against_load(compared, RATIOS, width)),
        )
    yield _figure(
        f"How task times are distributed{where}",
        "The share of tasks that were done within a time; the mark is the median. Further left is better.",
        _panels(report.runs, distribution),
        full=True,
    )
    styles = [(style, what) for _, style, what in PARTS]
    if any(style == OTHERS[0] for row in report.rows for style, _, _ in parts(row)):
        styles.append(OTHERS)
    yield _figure(
        f"Where a task's time goes{where}",
        "Model: its turns in the engine. Waiting: for a place there or with us. Tools: what it waited for.",
        _keys(styles),
        _panels(loads, where_time_goes),
        full=True,
    )
    ahead = [row for row in report.rows if row.cell in ("B", "F", "O", "X", "XF")]
    if ahead:
        yield _figure(
            f"What it costs{where}",
            "Runs ahead of the model that served no call, and the time of tools that they took.",
            _panels((UNUSED, SECONDS), lambda of, width: waste(ahead, of, width)),
            full=True,
        )
    yield from _timeline(report, where)


def _timeline(report: Report, where: str) -> Iterable[str]:
    """The first load's: A beside the first cell that runs ahead, or else beside the next one."""
    runs = {run.cell: run for run in report.runs[0]}
    others = [cell for cell in ("B", "F", "O", *runs) if cell in runs and cell != "A"]
    if "A" not in runs or not others:
        return
    pair = [runs["A"], runs[others[0]]]
    task = report.task if report.task is not None else typical(*pair)
    keys = [
        ("part-model", "the model writes"),
        ("part-queue", "waits for a place"),
        ("part-tools", "waits for a tool"),
        ("run-used", "runs ahead, and serves its call"),
        ("run-unused", "runs ahead for nothing"),
    ]
    first, second = (f"{run.cell} ({LOOKS[run.cell].what.partition(':')[0]})" for run in pair)
    yield _figure(
        f"One task at load {pair[0].load}, second by second{where}",
        f"The same turns and the same calls in {first} and in {second}.",
        _keys(keys),
        *_both(lambda width: timeline(pair, task, width), FULL),
        full=True,
    )


def _both(draw: Callable[[float], Drawing], wide: float = WIDE) -> tuple[str, str]:
    """For wide pages, and for narrow ones."""
    return draw(wide).render("wide"), draw(NARROW).render("narrow")


def _figure(title: str, caption: str, *inside: str, full: bool = False) -> str:
    text = f"<p>{escape(caption)}</p>" if caption else ""
    style = ' class="full"' if full else ""
    return f"<figure{style}><figcaption><h2>{escape(title)}</h2>{text}</figcaption>{''.join(inside)}</figure>\n"


def _panels(items: Sequence[T], draw: Callable[[T, float], Drawing]) -> str:
    """Side by side where there is room: two of them, or three where that leaves fewer rows."""
    columns = 3 if len(items) in (3, 5, 6) else 2
    wide = WIDE * 2 / columns
    panels = "".join(
        f"<div>{''.join(_both(lambda width, item=item: draw(item, width), wide))}</div>"  # type: ignore[misc]
        for item in items
    )
    return f'<div class="panels" style="--columns: {columns}">{panels}</div>'


def _keys(styles: Iterable[tuple[str, str]]) -> str:
    keys = "".join(f'<span><i class="{style}"></i>{escape(what)}</span>' for style, what in styles)
    return f'<div class="keys">{keys}</div>'


def _table(rows: Sequence[Row]) -> str:
    """Columns without any value are left out, and the memory where it is one and the same."""
    shown = [(title, of) for title, of in COLUMNS if any(of(row) is not None for row in rows)]
    if len({row.kv for row in rows}) == 1:
        shown = [column for column in shown if column[0] != "KV"]
    head = "".join(f"<th>{title}</th>" for title, _ in shown)
    lines = ["".join(f"<td>{_cell(of(row))}</td>" for _, of in shown) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll" tabindex="0">{table}</div>'


def _cell(value: object) -> str:
    return "-" if value is None else escape(f"{value:,}" if isinstance(value, int) else str(value))
