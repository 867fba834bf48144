"""Tools that are faster than what running ahead costs stay at home."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.broker.overheads import FADE, KEPT, WEIGHT, Overheads
from tests.broker.desk import Desk


def test_a_tool_without_measurements_has_those_of_its_source() -> None:
    overheads = Overheads()
    assert overheads.of("a", "mcp:x") == 0.0
    overheads.began("a", "mcp:x", 1.0)
    assert overheads.of("a", "mcp:x") == overheads.of("b", "mcp:x") == WEIGHT
    assert overheads.of("b", "plugins") == 0.0


def test_what_runs_ahead_takes_longer_counts_too() -> None:
    overheads = Overheads()
    overheads.ran("a", 0.5, ahead=True)
    assert overheads.of("a", "plugins") == 0.0, "longer than what is not known yet"
    overheads.ran("a", 0.2, ahead=False)
    assert overheads.of("a", "plugins") == pytest.approx(0.3 * FADE)


def test_it_fades_with_the_calls_so_that_it_is_tried_again() -> None:
    overheads = Overheads()
    overheads.began("a", "plugins", 1.0)
    overheads.ran("a", 1.1, ahead=True)
    for _ in range(100):
        overheads.ran("a", 0.1, ahead=False)
    assert overheads.of("a", "plugins") == pytest.approx(1.2 * FADE**100)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 100), st.booleans())))
def test_it_is_never_negative_nor_more_than_what_was_measured(runs: list[tuple[str, float, bool]]) -> None:
    overheads = Overheads()
    for tool, seconds, ahead in runs:
        overheads.began(tool, "s", seconds)
        overheads.ran(tool, seconds, ahead=ahead)
    most = max((seconds for _, seconds, _ in runs), default=0.0)
    assert all(0 <= overheads.of(tool, "s") <= 2 * most + 1e-9 for tool in "abcd")


def test_it_is_bounded() -> None:
    overheads = Overheads()
    for number in range(KEPT + 1):
        overheads.began(f"t{number}", "s", 1.0)
        overheads.ran(f"t{number}", 1.0, ahead=True)
    assert len(overheads._start) == len(overheads._run) == KEPT


def _served(desk: Desk, seconds: float) -> None:
    """A call that is asked for, and takes so long."""
    [started] = desk.call(f"c{desk.now}", 9)
    desk.now += seconds
    desk.ended(started.split()[1])


def test_a_tool_runs_ahead_no_more_where_its_start_takes_longer_than_it_does() -> None:
    desk = Desk(min_service_s=0.001)
    _served(desk, 0.05)
    desk.prompt = False
    assert desk.guess(1) == ["start run-2 read speculative"]
    desk.now += 1.0
    desk.broker.began("run-2", desk.now)
    desk.now += 0.05
    desk.ended("run-2")
    assert desk.guess(2) == [], "the start is known to take 0.2 s, the tool 0.05 s"
    assert desk.guess(2, sealed=True) == []
    desk.prompt = True
    for _ in range(80):
        _served(desk, 0.05)
    assert len(desk.guess(3)) == 1, "it is tried again"
