"""What a server says on the side goes to the log, within bounds."""

from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.tools.mcp.stderr import LINE_LIMIT, LINES_AT_ONCE, WINDOW_S, StderrLines


def test_lines_are_told_when_they_are_whole() -> None:
    said = StderrLines()
    assert said.feed(b"Trace", 0) == []
    assert said.feed(b"back\n\n  \nValue\xffError\nand", 0) == [
        "Traceback",
        "Value\N{REPLACEMENT CHARACTER}Error",
    ]
    assert said.last == "Value\N{REPLACEMENT CHARACTER}Error"


def test_a_flood_is_cut_and_told_again_later() -> None:
    said = StderrLines()
    told = said.feed(b"x\n" * 1000, 0)
    assert told == ["x"] * (LINES_AT_ONCE - 1) + ["(more follows, and is dropped)"]
    assert said.feed(b"x\n", WINDOW_S - 0.1) == []
    assert said.feed(b"x\n", WINDOW_S) == ["x"]


@given(st.lists(st.binary(max_size=2 * LINE_LIMIT), max_size=50))
def test_memory_is_bounded(parts: list[bytes]) -> None:
    said = StderrLines()
    for part in parts:
        for line in said.feed(part, 0):
            assert len(line) <= LINE_LIMIT
        assert len(said._part) <= LINE_LIMIT
