"""Terminals are found wherever the text is cut, and no more is held back than may become one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.formats.lexer import TERMINAL_LIMIT, Terminals
from tests.grammar.formats.found import CUTS, pieces

SETS = (
    ("<tool_call>", "</tool_call>"),
    ("aab", "ab"),
    ("/>", ">"),
    ("[ARGS]", "[CALL_ID]", "{"),
    ("\n",),
    ("<a", "b<c", "ab"),
)


def lexed(strings: tuple[str, ...], parts: list[str]) -> tuple[list[tuple[str, str]], str]:
    """Each terminal with the text before it; and what is left at the end."""
    known = Terminals(strings)
    found, before, held = [], "", ""
    for part in parts:
        text, at = held + part, 0
        while True:
            stop, terminal = known.find(text, at)
            before += text[at:stop]
            if not terminal:
                break
            found.append((before, terminal))
            before, at = "", stop + len(terminal)
        held = text[stop:]
        assert not held or any(string.startswith(held) for string in strings)
    return found, before + held


def expected(strings: tuple[str, ...], text: str) -> tuple[list[tuple[str, str]], str]:
    found, at = [], 0
    for match in re.finditer("|".join(map(re.escape, strings)), text):
        found.append((text[at : match.start()], match[0]))
        at = match.end()
    return found, text[at:]


@pytest.mark.parametrize("strings", SETS)
@given(data=st.data(), cuts=CUTS)
def test_terminals_in_any_text(strings: tuple[str, ...], data: st.DataObject, cuts: list[int]) -> None:
    parts = st.sampled_from([*strings, *(string[:-1] for string in strings), "x", "<", "a", "["])
    text = "".join(data.draw(st.lists(parts, max_size=12)))
    assert lexed(strings, list(pieces(text, cuts))) == expected(strings, text)


def test_the_beginning_of_one_is_held_only_at_the_end() -> None:
    known = Terminals(("<tool_call>",))
    assert known.find("a <tool b", 0) == (9, "")
    assert known.find("a <tool", 0) == (2, "")
    assert known.find("a <tool<too", 0) == (7, "")
    assert known.find("<tool_call>", 1) == (11, "")


def test_what_begins_behind_a_limit_is_not_looked_for() -> None:
    known = Terminals(("<tool_call>", "</tool_call>"))
    text = "a" * 10 + "<tool_call>" + "a" * TERMINAL_LIMIT
    assert known.find(text, 0, 10) == (10, "<tool_call>")
    assert known.find(text, 0, 0)[0] > 0
    assert known.find(text, 10, 0) == (10, "<tool_call>")
    assert known.find(text[:15], 10, 0) == (10, "")
    assert known.find("a" * 1000 + "<tool_call>", 0, 0) == (TERMINAL_LIMIT, "")


def test_without_terminals_all_is_text() -> None:
    assert Terminals(()).find("<x", 0) == (2, "")


def test_what_stands_behind_may_make_it_none() -> None:
    known = Terminals(("[", "<x>"), {"[": "[0-9]+;"})
    assert known.find("[1;[2[", 0) == (3, "[")
    assert known.find("[12;<x>", 0) == (4, "<x>")
    assert known.find("[12", 0) == (0, "[")
    assert known.find("[12;", 0) == (4, "")
