"""What is told as text, and how far a reply is told."""

import pytest

from paste_proxy.grammar.events import ContentText, GrammarEvent, Malformed, ReasoningText
from paste_proxy.grammar.formats.telling import BLANK_LIMIT, Telling


def begun(size: int, out: list[GrammarEvent], held: int = 0) -> Telling:
    telling = Telling()
    telling.begin(size, held, 7, out)
    return telling


def test_white_space_waits_for_text_behind_it() -> None:
    out: list[GrammarEvent] = []
    telling = begun(5, out)
    telling.content(" \n", 2)
    assert (out, telling.settled) == ([], 0)
    telling.content("a ", 4)
    telling.content("", 4)
    assert (out, telling.settled) == ([ContentText(" \na ")], 4)
    telling.content(" ", 5)
    assert (out[1:], telling.settled) == ([ContentText(" ")], 5)


def test_white_space_beside_a_call_goes_with_it() -> None:
    out: list[GrammarEvent] = []
    telling = begun(9, out)
    telling.content(" ", 1)
    telling.mark()
    telling.end_call(5)
    telling.content(" ", 6)
    assert (out, telling.settled) == ([], 5)
    telling.end()
    assert out == []


@pytest.mark.parametrize("marked", [False, True])
def test_white_space_at_the_end_is_told_where_there_was_nothing_else(marked: bool) -> None:
    out: list[GrammarEvent] = []
    telling = begun(2, out)
    if marked:
        telling.mark()
    telling.content("\n", 2)
    telling.end()
    assert out == [ContentText("\n")] * (not marked)


def test_white_space_does_not_wait_for_ever() -> None:
    out: list[GrammarEvent] = []
    telling = begun(BLANK_LIMIT + 1, out)
    telling.content(" " * BLANK_LIMIT, BLANK_LIMIT)
    assert out == []
    telling.content(" ", BLANK_LIMIT + 1)
    assert out == [ContentText(" " * (BLANK_LIMIT + 1))]


def test_what_was_held_counts_once() -> None:
    out: list[GrammarEvent] = []
    telling = begun(4, out)
    telling.reasoning("ab", 2)
    assert telling.settled == 2
    telling.begin(3, 2, 7, out)
    telling.reasoning("cdefg", 5)
    assert (out, telling.settled) == ([ReasoningText("ab"), ReasoningText("cdefg")], 7)


def test_from_the_first_malformed_on_nothing_more_is_settled() -> None:
    out: list[GrammarEvent] = [Malformed("of another text", 0)]
    telling = begun(9, out)
    telling.content("a", 1)
    out.append(Malformed("no call", 7))
    telling.content("b", 9)
    assert telling.settled == 1
    telling.begin(1, 0, 7, [])
    telling.content("c", 1)
    assert telling.settled == 1
