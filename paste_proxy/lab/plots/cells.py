"""How cells look in every plot, and what they are: a colour, a shape and a dash each, so that no plot needs
its colours to be told apart."""

from collections.abc import Iterable, Mapping

import msgspec

from paste_proxy.lab.plots.svg import Drawing
from paste_proxy.lab.virtual.experiment import CellName


class Look(msgspec.Struct, frozen=True):
    style: str
    """The class that the style sheet gives its colour and dash."""
    shape: str
    what: str


LOOKS: Mapping[CellName, Look] = {
    "A": Look("cell-a", "circle", "native: nothing runs ahead"),
    "A'": Look("cell-a2", "circle", "native in another order: what chance alone does"),
    "B": Look("cell-b", "square", "runs ahead what it predicts"),
    "E": Look("cell-e", "triangle", "schedules, runs nothing ahead"),
    "F": Look("cell-f", "diamond", "runs ahead and schedules"),
    "O": Look("cell-o", "flag", "runs ahead with an oracle: a call is known once its values are"),
    "O∞": Look("cell-oinf", "star", "no task ever waits for a tool"),
    "X": Look("cell-x", "cross", "runs ahead what is always wrong"),
    "XF": Look("cell-xf", "cross", "schedules, and runs ahead what is always wrong"),
    "E*": Look("cell-es", "triangle", "native behind the best semaphore of sessions and engine policy"),
    "T": Look("cell-t", "star", "native behind ThunderAgent's rule: pauses and resumes whole programs"),
    "lpm": Look("cell-lpm", "square", "native, the engine takes the longest cached prefix first"),
    "hrrn": Look("cell-hrrn", "diamond", "native, the engine takes the highest response ratio first"),
    "spf": Look("cell-spf", "flag", "native, the engine takes the shortest prefill first"),
}


def legend(cells: Iterable[CellName]) -> str:
    """One line per cell: its mark, its name, and what it is."""
    lines = []
    for cell in cells:
        drawing = Drawing(34, 14, "")
        drawing.line(0, 7, 34, 7, f"series {LOOKS[cell].style}")
        drawing.mark(17, 7, LOOKS[cell].shape, LOOKS[cell].style)
        mark = drawing.render("key").replace('role="img" aria-label=""', 'aria-hidden="true"')
        lines.append(f"<li>{mark}<b>{cell}</b> {LOOKS[cell].what}</li>")
    return f'<ul class="legend">{"".join(lines)}</ul>'
