"""Markers are found wherever they are cut, and nothing is lost before them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.formats import until
from paste_proxy.grammar.formats.until import Trim, Until
from tests.grammar.formats.found import CUTS, pieces


@given(
    st.sampled_from(["\n```", "```", "</code>", "aab", "aa", "\nObservation"]),
    st.text(st.sampled_from("a`\nb<c/"), max_size=30),
    CUTS,
    st.booleans(),
)
def test_text_up_to_a_marker(marker: str, text: str, lengths: list[int], marked: bool) -> None:
    text += marker if marked else ""
    until = Until(marker)
    before = ""
    done = 0
    for piece in pieces(text, lengths):
        got, at = until.feed(piece)
        before += got
        if until.reached:
            assert before == text[: text.index(marker)]
            assert done + at == len(before + marker)
            return
        assert at == len(piece)
        done += at
        # No more is kept back than may be the beginning of the marker.
        assert marker.startswith(until.held)
        assert before + until.held == text[:done]
    assert marker not in text


def test_a_marker_is_looked_for_from_a_place() -> None:
    assert Until("#").feed("a#b#c", 2) == ("b", 4)


@given(st.text(st.sampled_from('a \n"'), max_size=20), CUTS)
def test_trimming(text: str, lengths: list[int]) -> None:
    for leading, trailing in ((None, None), ('"', '" '), ("", "a")):
        trim = Trim(leading, trailing)
        given_out = "".join(trim.feed(piece) for piece in pieces(text, lengths))
        stripped = text.lstrip(leading)
        assert given_out == stripped.rstrip(trailing)
        assert given_out + trim.tail == stripped


def test_what_is_kept_back_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(until, "SIZE_LIMIT", 3)
    for lengths in ([], [1]):
        trim = Trim()
        given_out = "".join(trim.feed(piece) for piece in pieces("a    ", lengths))
        assert given_out + trim.tail == "a    "
        assert len(trim.tail) <= 3
