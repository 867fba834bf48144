"""Python literals come out as the JSON that `json.dumps` writes for what Python reads, however they are cut."""

import ast
import json
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.formats import python_literal
from paste_proxy.grammar.formats.python_literal import NUMBER_LIMIT, LiteralStream
from paste_proxy.grammar.json_stream import DEPTH_LIMIT
from tests.grammar.formats.found import CUTS, pieces


def convert(text: str, lengths: list[int]) -> tuple[str, bool, str]:
    """What comes out for a literal with a bracket behind it."""
    stream = LiteralStream()
    for piece in pieces(text + ")", lengths):
        stream.feed(piece)
    return "".join(stream.out), stream.complete, stream.fault


def python_says(text: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.literal_eval(text)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(TEXTS | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES, CUTS)
def test_what_python_writes_is_read(value: Any, lengths: list[int]) -> None:
    assert convert(repr(value), lengths) == (json.dumps(value, ensure_ascii=False), True, "")


PARTS = (
    *("\\", "\\n", "\\x41", "\\u00e9", "\\U0001F600", "\\N{BULLET}", "\\101", "\\7", "\\777", "\\d", "\\'"),
    *('\\"', "\\\n", "a", "é", "😀", " ", "7", "'", '"', "''", '""'),
)


@given(
    st.sampled_from(["", "r", "R", "u"]),
    st.sampled_from(["'", '"', "'''", '"""']),
    st.lists(st.sampled_from(PARTS), max_size=8).map("".join),
    CUTS,
)
def test_strings_are_read_as_python_reads_them(prefix: str, quote: str, body: str, lengths: list[int]) -> None:
    source = f"{prefix}{quote}{body}{quote}"
    try:
        value = python_says(source)
    except SyntaxError:
        # Not one literal: wherever ours stops, it stops there for every cut.
        assert convert(source, lengths) == convert(source, [])
        return
    assert convert(source, lengths) == (json.dumps(value, ensure_ascii=False), True, "")


@pytest.mark.parametrize(
    "source",
    [
        *(
            "0x_1F",
            "0o17",
            "0b1_0",
            "1_000",
            "00",
            "1.",
            ".5",
            "-.5e-3",
            "1e5",
            "1_0.2_5",
            "+7",
            "- 3",
            "-0",
            "-0.0",
        ),
        *("'a' \"b\"", "('a'\n'b')", "(1)", "((1))", "(1,)", "()", "((1, 2), [3,],)", "[]", "{}", "[ ]", "{ }"),
        *("{'a': (1, {'b': 'c' 'd'}), 2: None, 1.5: True,}", "(((('x',),),),)", "''", "'' ''", "''''''"),
    ],
)
@pytest.mark.parametrize("lengths", [[], [1], [2]])
def test_all_ways_to_write_a_value(source: str, lengths: list[int]) -> None:
    expected = json.dumps(python_says(source.strip()), ensure_ascii=False)
    assert convert(source, lengths) == (expected, True, "")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("[true, false, null]", "[true, false, null]"),
        ("'a\nb\tc'", '"a\\nb\\tc"'),
        ("[007, -08]", "[7, -8]"),
        ("'\\ud83d\\ude00'", '"\\ud83d\\ude00"'),
        ("{True: 1, None: 2}", '{"true": 1, "null": 2}'),
        ("'a\\\r\nb'", '"ab"'),
        ("'a\\\rb'", '"ab"'),
        ("[F'a\\n', fR'\\n\"' '{']", '["a\\n", "\\\\n\\"{"]'),
    ],
)
@pytest.mark.parametrize("lengths", [[], [1]])
def test_what_goes_beyond_python_or_json_dumps(source: str, expected: str, lengths: list[int]) -> None:
    assert convert(source, lengths) == (expected, True, "")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("x", "the name 'x'"),
        ("nan", "the name 'nan'"),
        ("f'x{1}'", "a string with a placeholder"),
        ("rf'x\\{1}'", "a string with a placeholder"),
        ("f'x\\}'", "a string with a placeholder"),
        ("b'x'", "a string with the prefix 'b'"),
        ("{1, 2}", "where `:` should follow a key"),
        ("{[1]: 2}", "a key that is no string or number"),
        ("[1 2]", "behind a value"),
        ("[1 + 2]", "behind a value"),
        ("[,]", "where a value should begin"),
        ("(,)", "where a value should begin"),
        ("--1", "behind a sign"),
        ("+'a'", "behind a sign"),
        ("1j", "is no number that JSON can hold"),
        ("1e999", "is no number that JSON can hold"),
        ("1__0", "is no number that JSON can hold"),
        ("0x", "is no number that JSON can hold"),
        ("1.2.3", "is no number that JSON can hold"),
        ("'\\xz'", "is cut short"),
        ("'\\U00110000'", "is no character"),
        ("'\\N{NO SUCH}'", "is no character"),
        ("'\\N{\ud800}'", "is no character"),
        ("'\\Nx'", "without a name"),
        ("'\\N{" + "A" * 200 + "}'", "without a name"),
        ("1" * (NUMBER_LIMIT + 1), f"a number of more than {NUMBER_LIMIT} characters"),
        ("a" * 50, "a name of more than 16 characters"),
        ("[" * (DEPTH_LIMIT + 1), f"nested deeper than {DEPTH_LIMIT} levels"),
        ("#", "where a value should begin"),
        ("\u0663", "is no number"),
        ("\u2118", "the name ''"),
    ],
)
def test_what_is_no_literal_is_said(source: str, why: str) -> None:
    text, complete, fault = convert(source, [])
    assert why in fault
    assert not complete
    assert convert(source, [1]) == (text, complete, fault)


@given(st.text(st.sampled_from("\"'\\x41uN{}[](),:._eE+- \n\rtrueNone#f"), max_size=30), CUTS)
def test_no_text_raises_and_no_cut_matters(source: str, lengths: list[int]) -> None:
    assert convert(source, lengths) == convert(source, [])


def test_text_comes_out_as_it_arrives() -> None:
    stream = LiteralStream()
    seen = []
    for piece in ("{'pa", "th': 'a/", "b', 'n", "': [1", "2, 3", "]}"):
        stream.feed(piece)
        seen.append("".join(stream.out))
        stream.out.clear()
    assert seen == ['{"pa', 'th": "a/', 'b", "n', '": [', "12, ", "3]}"]


def test_reading_stops_behind_the_literal() -> None:
    assert LiteralStream().feed("[1] tail") == 3
    assert LiteralStream().feed("12, 3") == 2
    assert LiteralStream().feed("--'a' , 3", 2) == 6


@pytest.mark.parametrize("lengths", [[], [1], [7]])
def test_what_is_held_has_an_end(monkeypatch: pytest.MonkeyPatch, lengths: list[int]) -> None:
    monkeypatch.setattr(python_literal, "SIZE_LIMIT", 20)
    assert convert("('a' " + "'b' " * 17 + ")", lengths)[1:] == (True, "")
    assert convert("('a' " + "'b' " * 18 + ")", lengths)[2] == "a parenthesis of more than 20 characters"
