"""Reasoning in the beginning of a reply is parted from what follows, wherever the marks are cut."""

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.formats import find_reasoning, reasoning_names
from paste_proxy.grammar.formats.model import ReasoningFormat
from paste_proxy.grammar.formats.reasoning import ReasoningSplit
from paste_proxy.grammar.formats.telling import BLANK_LIMIT
from tests.grammar.formats.found import CUTS, pieces

TAGGED = [known for name in reasoning_names() if (known := find_reasoning(name)).marks is None]


def parted(known: ReasoningFormat, text: str, cuts: Sequence[int] = ()) -> tuple[str, str]:
    """Reasoning, and what follows it."""
    split = ReasoningSplit(known)
    reasoning: list[str] = []
    rest = "".join([split.feed(piece, reasoning.append) for piece in pieces(text, cuts)])
    rest += split.end(reasoning.append)
    assert "" not in reasoning
    return "".join(reasoning), rest


@pytest.mark.parametrize("known", TAGGED, ids=[known.name for known in TAGGED])
@pytest.mark.parametrize("cuts", [[], [1], [2, 5]])
def test_reasoning_and_what_follows(known: ReasoningFormat, cuts: list[int]) -> None:
    opening, closing = known.opening, known.closing
    assert parted(known, f"{opening}I <see>.\n{closing}\n\nSo {closing}", cuts) == (
        "I <see>.\n",
        f"\n\nSo {closing}",
    )
    assert parted(known, f" \n{opening}a", cuts) == ("a", "")
    assert parted(known, f"{opening}{closing}b", cuts) == ("", "b")
    assert parted(known, f"{opening}a{closing[:-1]}", cuts) == (f"a{closing[:-1]}", "")
    assert parted(known, f"a{opening}b{closing}c", cuts) == (
        (f"a{opening}b", "c") if known.inside else ("", f"a{opening}b{closing}c")
    )
    assert parted(known, opening[:-1], cuts) == ((opening[:-1], "") if known.inside else ("", opening[:-1]))
    assert parted(known, f" a{closing}b", cuts) == ((" a", "b") if known.inside else ("", f" a{closing}b"))
    assert parted(known, "", cuts) == ("", "")


@pytest.mark.parametrize("known", TAGGED, ids=[known.name for known in TAGGED])
def test_a_call_ends_reasoning_that_was_not_closed(known: ReasoningFormat) -> None:
    for mark in known.interrupted_by:
        for cuts in ([], [1]):
            assert parted(known, f"{known.opening}a{mark}b", cuts) == ("a", f"{mark}b")


@pytest.mark.parametrize("more", [0, 1])
def test_white_space_before_the_mark(more: int) -> None:
    blanks = " " * (BLANK_LIMIT + more)
    text = f"{blanks}<think>a</think>b"
    for cuts in ([], [1], [BLANK_LIMIT], [BLANK_LIMIT + 1]):
        assert parted(find_reasoning("think"), text, cuts) == (("", text) if more else ("a", "b"))


def test_endless_white_space_takes_linear_time() -> None:
    begun = time.process_time()
    text = "\n" * 300_000
    assert "".join(parted(find_reasoning("think"), text, [1])) == text
    assert time.process_time() - begun < 20


@given(
    st.sampled_from(TAGGED),
    st.lists(st.sampled_from(["O", "C", "I", "o", "c", "a", "<", " ", "\n"]), max_size=10),
    CUTS,
)
def test_no_cut_matters(known: ReasoningFormat, parts: list[str], cuts: list[int]) -> None:
    marks = {
        "O": known.opening,
        "C": known.closing,
        "I": "<tool_call>",
        "o": known.opening[:-1],
        "c": known.closing[:-1],
    }
    text = "".join(marks.get(part, part) for part in parts)
    assert parted(known, text, cuts) == parted(known, text)
