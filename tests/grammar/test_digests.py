"""Digests of texts that grow, and of arguments that went through another language."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.digests import TextDigest, canonical, of_doubles, prefix_digests, squeeze


@given(st.lists(st.binary(max_size=8), max_size=5))
def test_a_text_s_digest_does_not_depend_on_its_pieces(pieces: list[bytes]) -> None:
    text = TextDigest(b"")
    for piece in pieces:
        text.add(piece)
    whole = b"".join(pieces)
    assert (text.value(), text.size) == (TextDigest(whole).value(), len(whole))


@given(st.binary(max_size=30), st.sets(st.integers(0, 30)))
def test_prefixes_have_the_digests_of_texts(text: bytes, sizes: set[int]) -> None:
    sizes = {size for size in sizes if size <= len(text)}
    assert prefix_digests(text, sorted(sizes)) == {size: TextDigest(text[:size]).value() for size in sizes}


def test_texts_have_no_digest_of_anything_else() -> None:
    assert TextDigest(squeeze("a b")).value() == TextDigest(b"ab").value()
    assert TextDigest(b"").value() != TextDigest(b"a").value()


@pytest.mark.parametrize(
    ("written", "javascript"),
    [
        ('{"a": 1.0}', '{"a":1}'),
        ('{"a": [-2.0, {"b": 1e3}]}', '{"a":[-2,{"b":1000}]}'),
        ('{"a": -0.0}', '{"a":0}'),
        ('{"a": 1.5, "b": 2.50}', '{"a":1.5,"b":2.5}'),
        ('{"a": "1.0"}', '{"a":"1.0"}'),
        ('{"a": 1e300}', '{"a":1e300}'),
        ('{"a": 1.0', '{"a": 1.0'),
        ('{"a": 1e999}', '{"a": 1e999}'),
        ("", ""),
    ],
)
def test_numbers_as_javascript_writes_them(written: str, javascript: str) -> None:
    assert canonical(of_doubles(written)) == canonical(javascript)


@given(st.dictionaries(st.text(), st.floats(allow_nan=False) | st.integers() | st.text()))
def test_no_float_is_left_that_is_a_whole_number(value: dict[str, object]) -> None:
    try:
        text = json.dumps(value, allow_nan=False)
    except ValueError:
        return
    for one in json.loads(of_doubles(text)).values():
        assert not (isinstance(one, float) and one.is_integer() and abs(one) < 2**53)
