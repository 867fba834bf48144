"""How cells look."""

import re

from paste_proxy.lab.plots.cells import LOOKS, legend
from paste_proxy.lab.plots.page import page
from paste_proxy.lab.virtual.experiment import CELLS
from tests.lab.plots.made import report


def test_every_cell_has_a_look_of_its_own() -> None:
    assert set(LOOKS) == set(CELLS)
    assert len({look.style for look in LOOKS.values()}) == len(CELLS)


def test_the_legend_names_the_cells_that_are_shown() -> None:
    text = re.sub(r"<[^>]*>", "", legend(["A", "O∞"]))
    assert text == "A native: nothing runs aheadO∞ no task ever waits for a tool"


def _ratio(first: str, second: str) -> float:
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_everything_is_told_from_the_paper_in_light_in_dark_and_in_print() -> None:
    """WCAG's ratios: 4.5 for writing, 3 for what is drawn."""
    schemes = re.findall(r":root \{(.*?)\}", page(report()), re.DOTALL)
    assert len(schemes) == 3
    for scheme in schemes:
        colours = dict(re.findall(r"--([\w-]+): (#\w+)", scheme))
        for name in ("ink", "soft"):
            assert _ratio(colours[name], colours["paper"]) >= 4.5, name
        for name in ("a", "a2", "b", "e", "f", "o", "oinf", "x", "es", "model", "queue", "tools", "others"):
            assert _ratio(colours[name], colours["paper"]) >= 3, name
        for name in ("model", "queue", "tools", "others"):
            assert _ratio(colours[f"on-{name}"], colours[name]) >= 4.5, name
