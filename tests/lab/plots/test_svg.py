"""Drawing."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.lab.plots.svg import SHAPES, Drawing, LogScale, Scale, fits, number, spread


def test_a_drawing_is_well_formed_and_says_what_it_shows() -> None:
    drawing = Drawing(100, 50, 'A < B & "C"')
    drawing.line(0, 1, 2, 3, "grid")
    drawing.path([(0, 0), (1, 2.26)], "series")
    drawing.rect(0, 0, -1, 5, "bar", "5 < 6")
    drawing.text(1, 2, "a & b", "tick", "end")
    for shape in SHAPES:
        drawing.mark(5, 5, shape, "cell-a")
    root = ET.fromstring(drawing.render("wide"))
    assert root.get("aria-label") == 'A < B & "C"'
    assert root.get("class") == "wide"
    line, path, rect, text, *marks = list(root)
    assert line.attrib == {"class": "grid", "x1": "0.0", "y1": "1.0", "x2": "2.0", "y2": "3.0"}
    assert path.get("d") == "M0.0 0.0 L1.0 2.3"
    assert (rect.get("width"), rect[0].text) == ("0.0", "5 < 6")
    assert (text.text, text.get("text-anchor")) == ("a & b", "end")
    assert len({mark.get("d") for mark in marks}) == len(SHAPES)


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [
        (0.0, 100.0, [0, 20, 40, 60, 80, 100]),
        (0.0, 934.0, [0, 200, 400, 600, 800, 1000]),
        (0.74, 1.22, [0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3]),
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (5.0, 5.0, [5, 6]),
    ],
)
def test_marks_are_round_and_hold_the_values_between_them(low: float, high: float, marks: list[float]) -> None:
    scale = Scale(low, high, 10.0, 110.0, 5)
    assert scale.marks == pytest.approx(marks)
    assert scale(marks[0]) == 10.0
    assert scale(marks[-1]) == pytest.approx(110.0)


@given(st.floats(0, 1e6), st.floats(1e-3, 1e6), st.integers(1, 10))
def test_any_values_lie_on_their_scale(low: float, span: float, marks: int) -> None:
    scale = Scale(low, low + span, 300.0, 10.0, marks)
    assert 10.0 - 1e-6 <= scale(low + span) <= scale(low) <= 300.0 + 1e-6
    assert 2 <= len(scale.marks) <= marks + 3


def test_a_wide_range_has_marks_that_double() -> None:
    scale = LogScale(70.0, 1650.0, 300.0, 0.0)
    assert scale.marks == [50, 100, 200, 500, 1000, 2000]
    assert scale(50.0) == 300.0
    assert scale(2000.0) == pytest.approx(0.0)
    assert scale(100.0) - scale(200.0) == pytest.approx(scale(500.0) - scale(1000.0))


def test_numbers_are_as_short_as_they_may_be() -> None:
    assert [number(value) for value in (0.0, 0.8, 0.25, 3.0, 35.5, 1200.0)] == [
        "0",
        "0.8",
        "0.25",
        "3",
        "35.5",
        "1,200",
    ]


def test_names_keep_their_order_and_their_distance() -> None:
    assert spread([10, 11, 50], 14, 0, 100) == [10, 24, 50]
    assert spread([95, 99, 97], 14, 0, 100) == [72, 100, 86]


def test_text_fits_where_it_fits() -> None:
    assert fits("42", 14)
    assert not fits("1,234", 14)
