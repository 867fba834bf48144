"""Drawing: an SVG picture as text, with axes whose marks are round numbers.

Colours are classes, which the page's style sheet resolves, so that pictures follow its light and dark modes.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape

TEXT_PX = 12
"""Of all writing: still legible where a picture is shown a little smaller than it was drawn."""
CHARACTER_PX = 6.6
"""What a character of it is wide, nearly all of them less."""


class Drawing:
    """Things lie over each other in the order in which they are added."""

    def __init__(self, width: float, height: float, label: str) -> None:
        """`label` says what is to be seen, to those who do not see it."""
        self.width = width
        self.height = height
        self._label = label
        self._parts: list[str] = []

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        self._add("line", style, x1=x1, y1=y1, x2=x2, y2=y2)

    def path(self, points: Sequence[tuple[float, float]], style: str) -> None:
        """From point to point."""
        steps = " ".join(f"{'L' if place else 'M'}{x:.1f} {y:.1f}" for place, (x, y) in enumerate(points))
        self._add("path", style, d=steps)

    def rect(self, x: float, y: float, width: float, height: float, style: str, title: str = "") -> None:
        """`title` is shown by a pointer that rests on it."""
        self._add("rect", style, title, x=x, y=y, width=max(0.0, width), height=height)

    def text(self, x: float, y: float, text: str, style: str = "", anchor: str = "start") -> None:
        """`y` is the base line's; `anchor` is start, middle or end."""
        anchored = {} if anchor == "start" else {"text-anchor": anchor}
        self._add("text", style, "", text, x=x, y=y, **anchored)

    def mark(self, x: float, y: float, shape: str, style: str, title: str = "") -> None:
        """A small shape: see `SHAPES`."""
        points = " ".join(
            f"{'L' if n else 'M'}{x + dx:.1f} {y + dy:.1f}" for n, (dx, dy) in enumerate(SHAPES[shape])
        )
        self._add("path", f"mark {style}", title, d=points + " Z")

    def render(self, style: str = "") -> str:
        return (
            f'<svg class="{style}" viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
            f'aria-label="{escape(self._label)}">{"".join(self._parts)}</svg>'
        )

    def _add(self, tag: str, style: str, title: str = "", text: str = "", **fields: float | str) -> None:
        written = "".join(
            f' {name}="{value if isinstance(value, str) else f"{value:.1f}"}"' for name, value in fields.items()
        )
        inside = (f"<title>{escape(title)}</title>" if title else "") + escape(text)
        self._parts.append(f"<{tag}{_class(style)}{written}>{inside}</{tag}>")


def _class(style: str) -> str:
    return f' class="{style}"' if style else ""


def _polygon(corners: int, turned: float, size: float = 5.0) -> tuple[tuple[float, float], ...]:
    angles = [math.tau * (place / corners + turned) for place in range(corners)]
    return tuple((size * math.sin(angle), -size * math.cos(angle)) for angle in angles)


def _star(rays: int) -> tuple[tuple[float, float], ...]:
    outer, inner = _polygon(rays, 0.0, 6.0), _polygon(rays, 0.5 / rays, 2.4)
    return tuple(point for pair in zip(outer, inner, strict=True) for point in pair)


SHAPES = {
    "circle": _polygon(16, 0.0, 4.4),
    "square": _polygon(4, 1 / 8),
    "triangle": _polygon(3, 0.0, 5.5),
    "flag": _polygon(3, 0.5, 5.5),
    "diamond": _polygon(4, 0.0, 5.5),
    "star": _star(5),
    "cross": _star(4),
}


class Scale:
    """Values to pixels, linear; its marks are round, and the last one is not below `high`."""

    def __init__(self, low: float, high: float, begin: float, end: float, marks: int) -> None:
        """About so many `marks` between `begin` and `end`, in pixels."""
        step = _round_step((high - low) / max(1, marks))
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        self.marks = [round(place * step, 10) for place in range(first, max(last, first + 1) + 1)]
        self._begin = begin
        self._per_unit = (end - begin) / (self.marks[-1] - self.marks[0])

    def __call__(self, value: float) -> float:
        return self._begin + (value - self.marks[0]) * self._per_unit


class LogScale:
    """The same, logarithmic: its marks are 1, 2 and 5 times powers of ten."""

    def __init__(self, low: float, high: float, begin: float, end: float) -> None:
        """0 < low < high."""
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        steps = [times * 10.0**power for power in powers for times in (1, 2, 5)]
        first = max(place for place, step in enumerate(steps) if step <= low * (1 + 1e-9))
        last = min(place for place, step in enumerate(steps) if step >= high * (1 - 1e-9))
        self.marks = [round(step, 10) for step in steps[first : last + 1]]
        self._begin = begin
        self._per_e = (end - begin) / math.log(self.marks[-1] / self.marks[0])

    def __call__(self, value: float) -> float:
        return self._begin + math.log(value / self.marks[0]) * self._per_e


def _round_step(step: float) -> float:
    """1, 2 or 5 times a power of ten, at least `step`."""
    if step <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= step * (1 - 1e-9))


def number(value: float) -> str:
    """As short as it is exact enough to read: 1,200; 35; 0.8; 0.25."""
    if value == round(value):
        return f"{value:,.0f}"
    return f"{value:.2f}".rstrip("0") if abs(value) < 10 else f"{value:,.1f}"


def spread(wanted: Iterable[float], gap: float, low: float, high: float) -> list[float]:
    """Places near those that are wanted, in their order, at least `gap` apart and inside of the limits."""
    order = sorted(enumerate(wanted), key=lambda one: one[1])
    places, before = dict[int, float](), low - gap
    for index, place in order:
        before = places[index] = max(place, before + gap)
    after = high + gap
    for index, _ in reversed(order):
        after = places[index] = min(places[index], after - gap)
    return [places[index] for index in range(len(order))]


def fits(text: str, width: float) -> bool:
    return len(text) * CHARACTER_PX <= width


def left_axis(
    drawing: Drawing, scale: Scale | LogScale, left: float, right: float, written: Callable[[float], str]
) -> None:
    """Lines across at the scale's marks, with their numbers to the left."""
    for mark in scale.marks:
        drawing.line(left, scale(mark), right, scale(mark), "grid")
        drawing.text(left - 6, scale(mark) + 4, written(mark), "tick", "end")


def bottom_axis(
    drawing: Drawing, scale: Scale, top: float, bottom: float, written: Callable[[float], str]
) -> None:
    """Lines down at the scale's marks, with their numbers below."""
    for mark in scale.marks:
        drawing.line(scale(mark), top, scale(mark), bottom, "grid")
        drawing.text(scale(mark), bottom + 16, written(mark), "tick", "middle")
