"""The page, as text and in a browser."""

import asyncio
import os
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paste_proxy.lab.plots.page import page, write_page
from tests.lab.plots.browser import Page, find_chromium, opened
from tests.lab.plots.made import CELLS, report

TITLES = (
    "Task time against load",
    "Against native",
    "How task times are distributed",
    "Where a task's time goes",
    "What it costs",
    "One task at load 1, second by second",
    "All numbers",
)


def test_it_names_nothing_that_lies_elsewhere() -> None:
    text = page(report())
    assert not re.search(r"""(?:src|href)=["'](?!data:)|url\(|@import|<script""", text)
    assert "http" not in text


def test_what_is_said_is_escaped() -> None:
    text = page(report())
    assert "<h1>small &amp; quick</h1>" in text
    assert "lab run</span> <span>--x &#x27;a&lt;b&#x27;</span>" in text


def test_without_a_native_cell_nothing_is_compared() -> None:
    made = report()
    runs = [[run for run in of_load if run.cell != "A"] for of_load in made.runs]
    rows = [msgspec.structs.replace(row, ratio=None, ratio_ci95=None) for row in made.rows if row.cell != "A"]
    text = page(msgspec.structs.replace(made, runs=runs, rows=rows))
    assert "Task time against load" in text
    assert "Against native" not in text
    assert "second by second" not in text


def test_native_alone_has_no_costs() -> None:
    made = report()
    runs = [[run for run in of_load if run.cell == "A"] for of_load in made.runs]
    text = page(msgspec.structs.replace(made, runs=runs, rows=[row for row in made.rows if row.cell == "A"]))
    assert "Against native" not in text
    assert "What it costs" not in text


def test_the_timeline_is_of_the_task_that_one_asks_for() -> None:
    assert "small-3: " in page(report(task=3))


def test_the_same_runs_give_the_same_page(tmp_path: Path) -> None:
    path = write_page(report(), tmp_path / "new" / "folder")
    assert path.name == "index.html"
    assert path.read_text(encoding="utf-8") == page(report())


# -- in a browser -----------------------------------------------------------------------------------------

CHROMIUM = find_chromium()
in_a_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)"
)
VIEWS: dict[str, dict[str, Any]] = {
    "wide": {"width": 1280},
    "middle": {"width": 820},
    "narrow": {"width": 400},
    "dark": {"width": 1280, "dark": True},
    "dark and narrow": {"width": 400, "dark": True},
    "print": {"width": 718, "media": "print"},
}
SHOTS = os.environ.get("PASTE_SHOTS", "")
"""A folder in which to keep the pictures, for people to look at."""

OVERFLOWING = """
[...document.querySelectorAll('svg text')].filter(text => {
  const box = text.getBoundingClientRect(), all = text.closest('svg').getBoundingClientRect();
  return all.width && (box.left < all.left - 2 || box.right > all.right + 2
    || box.top < all.top - 2 || box.bottom > all.bottom + 2);
}).map(text => text.textContent)
"""
SMALLEST = """
Math.min(...[...document.querySelectorAll('svg')].filter(svg => svg.querySelector('text'))
  .map(svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width).filter(scale => scale)) * 12
"""
SHOWN = """
[...document.querySelectorAll('figure')].map(figure =>
  [...figure.querySelectorAll('svg, table')].filter(one => one.getBoundingClientRect().height > 40).length)
"""


async def look(browser: Page, name: str, folder: Path) -> None:
    """What must hold in every view."""
    await browser.size(**VIEWS[name])
    assert await browser.ask("document.documentElement.scrollWidth <= innerWidth"), f"{name}: too wide"
    assert await browser.ask(OVERFLOWING) == [], name
    assert await browser.ask(SMALLEST) >= 8.5, f"{name}: too small"
    assert await browser.ask(SHOWN) == [1, 1, 2, 2, 2, 1, 1], f"{name}: figures"
    words = await browser.ask("document.body.innerText")
    for title in (*TITLES, *CELLS, "small & quick", "native: nothing runs ahead"):
        assert title in words, f"{name}: {title}"
    picture = await browser.picture()
    assert len(picture) > 20_000, name
    await asyncio.to_thread((folder / f"{name}.png").write_bytes, picture)


@in_a_browser
async def test_it_can_be_read_in_every_view(tmp_path: Path) -> None:
    assert CHROMIUM is not None
    folder = Path(SHOTS) if SHOTS else tmp_path
    path = write_page(report(), tmp_path)
    colours = set()
    async with opened(CHROMIUM, path, tmp_path / "profile") as browser:
        for name in VIEWS:
            await look(browser, name, folder)
            colours.add(await browser.ask("getComputedStyle(document.body).backgroundColor"))
        assert [url for url in browser.requests if not url.startswith("data:")] == []
        assert browser.complaints == []
    assert len(colours) == 2, "dark and light"
