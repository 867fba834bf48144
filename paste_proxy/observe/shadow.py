"""The shadow report: what running ahead would have saved, tool by tool, and what to configure for it."""

from collections.abc import Iterable, Iterator

import msgspec

from paste_proxy.core import Core
from paste_proxy.predict.model import LEVELS
from paste_proxy.predict.shadow import Tally
from paste_proxy.tools.spec import Effect

ALLOWED, MAY_BE_ALLOWED, AGENT, WRITES, VARIOUS = "allowed", "may be allowed", "agent", "writes", "various"
OTHERS = "other tools"
"""The row of those that are not told apart."""
STANDINGS = {
    ALLOWED: "gateway, allowed",
    MAY_BE_ALLOWED: "gateway",
    AGENT: "agent",
    WRITES: "writes",
    VARIOUS: "various",
}


class LevelRow(msgspec.Struct, frozen=True):
    level: str
    used: int
    unused: int
    saved_s: float


class ToolRow(msgspec.Struct, frozen=True):
    """`used` guesses were right, `unused` ones run for nothing; what is still held is neither."""

    tool: str
    standing: str
    """`allowed`; `may be allowed`: the gateway's, reads; `agent`: run by the agent itself; `writes`: declared
    so, never guessed; `various`: of the row of all those beyond the first 256."""
    calls: int
    service_s: float | None
    """Mean time from the end of a turn to the request with the result, as far as results came."""
    used: int
    unused: int
    unused_per_used: float | None
    saved_s: float
    saved_per_call_s: float
    levels: tuple[LevelRow, ...]


class ShadowReport(msgspec.Struct, frozen=True):
    mode: str
    turns: int
    turns_with_tools: int
    """Whose requests offered tools."""
    calls: int
    used: int
    unused: int
    held: int
    unused_per_used: float | None
    saved_s: float
    levels: tuple[LevelRow, ...]
    tools: tuple[ToolRow, ...]
    """Those that would have saved most first; what is counted together last."""


def shadow_report(core: Core) -> ShadowReport:
    shadow = core.turns.expectations.shadow
    tools = [_tool_row(tool, _standing(core, tool), tally) for tool, tally in shadow.tallies.items()]
    tools.sort(key=lambda row: (-row.saved_s, -row.calls, row.tool))
    if shadow.others != Tally():
        tools.append(_tool_row(OTHERS, VARIOUS, shadow.others))
    used, unused = sum(row.used for row in tools), sum(row.unused for row in tools)
    return ShadowReport(
        mode=core.turns.expectations.speculation.mode,
        turns=core.turns.expectations.turns,
        turns_with_tools=core.turns.expectations.turns_with_tools,
        calls=sum(row.calls for row in tools),
        used=used,
        unused=unused,
        held=shadow.held,
        unused_per_used=_ratio(unused, used),
        saved_s=round(sum(row.saved_s for row in tools), 3),
        levels=level_rows(shadow.all),
        tools=tuple(tools),
    )


def level_rows(tallies: Iterable[Tally]) -> tuple[LevelRow, ...]:
    tallies = list(tallies)
    return tuple(
        LevelRow(
            name,
            sum(tally.used[level] for tally in tallies),
            sum(tally.unused[level] for tally in tallies),
            round(sum(tally.saved_s[level] for tally in tallies), 3),
        )
        for level, name in enumerate(LEVELS)
    )


def _tool_row(tool: str, standing: str, tally: Tally) -> ToolRow:
    used, unused, saved_s = sum(tally.used), sum(tally.unused), sum(tally.saved_s)
    return ToolRow(
        tool=tool,
        standing=standing,
        calls=tally.calls,
        service_s=_ratio(tally.service_s, tally.answered),
        used=used,
        unused=unused,
        unused_per_used=_ratio(unused, used),
        saved_s=round(saved_s, 3),
        saved_per_call_s=_ratio(saved_s, tally.calls) or 0.0,
        levels=level_rows([tally]),
    )


def _standing(core: Core, tool: str) -> str:
    expectations = core.turns.expectations
    if expectations.writes(tool):
        return WRITES
    if tool not in core.broker.specs:
        return AGENT
    assert core.broker.specs[tool].effect is Effect.READ
    return ALLOWED if tool in expectations.speculation.allow else MAY_BE_ALLOWED


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 3) if whole else None


# -- for people -------------------------------------------------------------------------------------------


def report_lines(report: ShadowReport, url: str) -> Iterator[str]:
    yield f"Shadow report of {url}: {report.calls} calls seen, nothing was run ahead."
    yield ""
    if not report.tools:
        yield from _why_empty(report, url)
        return
    yield from _table(
        ["tool", "runs in", "calls", "right", "unused", "unused/right", "takes s", "saved s", "saved s/call"],
        [_cells(row) for row in report.tools],
    )
    yield ""
    yield from _table(
        ["rests on", "right", "unused", "saved s"],
        [[row.level, str(row.used), str(row.unused), f"{row.saved_s:.1f}"] for row in report.levels],
    )
    yield ""
    yield from _advice(report.tools)


def why_none(report: ShadowReport, url: str) -> str:
    """Empty where the proxy watches as a shadow."""
    if report.mode == "shadow":
        return ""
    instead = f"; what running ahead saves there is in {url}/paste/v1/stats" if report.mode == "on" else ""
    return (
        f"the proxy at {url} has speculation.mode: {report.mode}, so it counts nothing for this report: set "
        f"speculation.mode: shadow, start it anew, and ask again when agents have worked{instead}"
    )


def _why_empty(report: ShadowReport, url: str) -> Iterator[str]:
    if not report.turns:
        yield f"No agent has asked for anything yet: give one {url}/v1 as its base_url, and come back then."
        return
    offering = report.turns_with_tools
    yield f"No agent has called a tool in {report.turns} turns, of which {offering} offered tools."
    if offering < report.turns:
        yield "Agents that have no `tools` in their requests read calls out of the reply's text. Say how the"
        yield "model writes them (backend.tool_format, docs/formats.md): without that they are not seen."


def _cells(row: ToolRow) -> list[str]:
    return [
        row.tool,
        STANDINGS[row.standing],
        str(row.calls),
        str(row.used),
        str(row.unused),
        _or_dash(row.unused_per_used),
        _or_dash(row.service_s),
        f"{row.saved_s:.1f}",
        f"{row.saved_per_call_s:.2f}",
    ]


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _table(heading: list[str], rows: list[list[str]]) -> Iterator[str]:
    """Words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    words = [not any(row[at][-1:].isdigit() for row in rows) for at in range(len(heading))]
    words[0] = True
    for cells in (heading, *rows):
        parts = [
            cell.ljust(width) if word else cell.rjust(width)
            for cell, width, word in zip(cells, widths, words, strict=True)
        ]
        yield "  ".join(parts).rstrip()


def _advice(tools: Iterable[ToolRow]) -> Iterator[str]:
    worth = [row for row in tools if row.used and row.saved_s > 0]
    ready = [row for row in worth if row.standing in (ALLOWED, MAY_BE_ALLOWED)]
    elsewhere = [row for row in worth if row.standing == AGENT]
    if not worth:
        yield "Nothing would have been saved so far. Patterns are learnt as agents work: come back later."
    if ready:
        yield "To have it for real, put this into the configuration:"
        yield ""
        yield from ("speculation:", "  mode: on", "  allow:", *_listed(ready))
    if ready and elsewhere:
        yield ""
    if elsewhere:
        yield "These run in the agent itself, where nothing runs ahead. Where one only reads, serve it from"
        yield "a plugin with `effect=Effect.READ` (docs/plugins.md), and list it under speculation.allow:"
        yield ""
        yield from _listed(elsewhere)


def _listed(rows: list[ToolRow]) -> Iterator[str]:
    width = max(len(row.tool) for row in rows)
    for row in rows:
        yield (
            f"    - {row.tool.ljust(width)}  # {row.saved_per_call_s:.2f} s saved per call, "
            f"{row.unused_per_used or 0:.2f} unused per used"
        )
