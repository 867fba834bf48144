"""Curves against load, and distributions."""

import re

import msgspec

from paste_proxy.lab.plots.curves import against_load, distribution
from paste_proxy.lab.plots.page import RATIOS, TIMES
from paste_proxy.lab.virtual.rows import Row, rows_of
from tests.lab.virtual.test_rows import NATIVE, run, track

ROWS: list[Row] = [
    msgspec.structs.replace(row, load=load, mean_task_s=load * 10.0, ci95=(load * 9.0, load * 12.0))
    for load in (1, 4)
    for row in rows_of([NATIVE, run("B", *(track(8.0 + number) for number in range(8)))], 0)
]


def test_a_curve_passes_its_values_and_says_them() -> None:
    text = against_load(ROWS, TIMES, 600.0).render()
    assert re.findall(r"<title>(.*?)</title>", text) == [
        "A at load 1: 10",
        "A at load 4: 40",
        "B at load 1: 10",
        "B at load 4: 40",
    ]
    assert text.count('class="interval cell-a"') == 2
    assert re.findall(r'class="name"[^>]*>(.*?)<', text) == ["A", "B"]


def test_a_wide_range_is_logarithmic_and_says_so() -> None:
    rows = [*ROWS, msgspec.structs.replace(ROWS[0], load=8, mean_task_s=2000.0, ci95=(1900.0, 2100.0))]
    text = against_load(rows, TIMES, 600.0).render()
    assert "mean task time (s), logarithmic" in text
    assert re.findall(r'class="tick"[^>]*>([\d,]+)</text>', text)[:4] == ["5", "10", "20", "50"]
    assert "logarithmic" not in against_load(ROWS, TIMES, 600.0).render()


def test_what_is_compared_has_a_line_to_be_compared_with() -> None:
    text = against_load([row for row in ROWS if row.cell == "B"], RATIOS, 600.0).render()
    assert 'class="level"' in text
    assert 'class="level"' not in against_load(ROWS, TIMES, 600.0).render()


def test_a_distribution_ends_with_all_tasks_and_marks_the_median() -> None:
    drawing = distribution([NATIVE], 366.0)
    text = drawing.render()
    assert "A: median 14.0 s" in text
    [path] = re.findall(r'class="series cell-a" d="(.*?)"', text)
    heights = [float(step.split()[1]) for step in re.findall(r"[ML]([\d. ]+)", path)]
    assert heights == sorted(heights, reverse=True)
    assert (heights[0], heights[-1]) == (222.0, 48.0)
    assert "load 2: A 14 s" in text
