"""What is no JSON is told in words that lead to what is wrong."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.json_words import why_no_json

ERROR = ValueError("as the decoder says")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (rb'{"a":"\ud800"}', r"\ud800 at position 6 is half of a surrogate pair"),
        (rb'{"a":"\uDFFFx"}', r"\uDFFF at position 6 is half"),
        (rb'{"a":"\ud83d\ude00 \ude00"}', r"\ude00 at position 19 is half"),
        (rb'{"a":"\ud83d\ud83d\ude00"}', r"\ud83d at position 6 is half"),
        (rb'{"a":"\\\ud800"}', r"\ud800 at position 8 is half"),
        (rb'{"a":"\\ud800', "as the decoder says"),
        (rb'{"a":"\ud83d\ude00', "as the decoder says"),
        (b'{"a":"\xed\xa0\x80"}', "it is not UTF-8: byte 0xed at position 6"),
    ],
)
def test_what_is_wrong_is_said_and_where(text: bytes, why: str) -> None:
    assert why_no_json(text, ERROR).startswith(why)


@given(st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_itself_is_never_blamed(value: object) -> None:
    assert why_no_json(json.dumps(value).encode(), ERROR) == str(ERROR)
