"""The text of an argument becomes the JSON value that its schema says it is, however the text is cut."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.formats import values
from paste_proxy.grammar.formats.values import ANY, TEXT, ParameterTypes, Types, ValueText, schema_types
from paste_proxy.grammar.requests import RequestTool
from tests.grammar.formats.found import CUTS, pieces

NAMES = ("string", "null", "integer", "number", "boolean", "array", "object")
TYPES = st.frozensets(st.sampled_from(NAMES), max_size=3)


def value(text: str, types: Types, cuts: Sequence[int] = (), pad: str = "") -> str:
    """The JSON text, or why there is none."""
    reader = ValueText(types, pad)
    told = "".join(reader.feed(piece) for piece in pieces(text, cuts)) + reader.end()
    return reader.fault or told


@given(st.text(), CUTS)
def test_text_stays_text(text: str, cuts: list[int]) -> None:
    assert json.loads(value(text, TEXT, cuts)) == text
    reader = ValueText(TEXT)
    if text:
        assert json.loads(reader.feed(text) + '"') == text


@given(
    st.lists(st.sampled_from([*"01-.e\"'[]{},: \nab", "null", "None", "true", "True", "nul"])).map("".join),
    TYPES,
    CUTS,
)
def test_no_text_raises_and_no_cut_matters(text: str, types: Types, cuts: list[int]) -> None:
    for pad in ("", "\n"):
        whole = value(text, types, pad=pad)
        assert value(text, types, cuts, pad) == whole
        if "behind" not in whole:
            json.loads(whole)


@pytest.mark.parametrize(
    ("text", "types", "expected"),
    [
        ("12", {"integer"}, 12),
        ("12", {"number"}, 12),
        (" 12 ", {"integer"}, 12),
        ("12", {"string", "integer"}, 12),
        ("12", {"string", "array"}, "12"),
        ("12", ANY, 12),
        ("twelve", {"integer"}, "twelve"),
        ("True", {"boolean"}, True),
        ("['a', None]", {"array"}, ["a", None]),
        ('{"a": 1}', {"object"}, {"a": 1}),
        ('{"a": 1, "a": 2}', {"object"}, '{"a": 1, "a": 2}'),
        ('"a"', {"integer"}, "a"),
        ('"a"', ANY, '"a"'),
        ("", {"integer"}, ""),
        ("null", {"string", "null"}, None),
        ("None", {"string", "null"}, None),
        ("nullable", {"string", "null"}, "nullable"),
        ("N", {"string", "null"}, "N"),
    ],
)
@pytest.mark.parametrize("cuts", [[], [1]])
def test_what_a_text_means(text: str, types: set[str], expected: Any, cuts: list[int]) -> None:
    assert json.loads(value(text, frozenset(types), cuts)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", ""), ("\n", ""), ("\n\n", ""), ("\n\n\n", "\n"), ("\na\n", "a"), ("a", "a"), ("\n\na\n\n", "\na\n")],
)
@pytest.mark.parametrize("cuts", [[], [1], [2]])
def test_one_pad_on_either_side_is_none_of_it(text: str, expected: str, cuts: list[int]) -> None:
    assert json.loads(value(text, TEXT, cuts, pad="\n")) == expected


def test_what_is_kept_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "SIZE_LIMIT", 4)
    for cuts in ([], [1], [3]):
        assert value("1234", frozenset({"integer"}), cuts) == "1234"
        assert value("12345", frozenset({"integer"}), cuts) == "a value of more than 4 characters"
        assert value("12345", TEXT, cuts) == '"12345"'
        assert value("12345", frozenset({"string", "null"}), cuts) == '"12345"'


LOOP = {"$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}] * 16}}}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, {"string"}),
        ({"type": ["string", "null", 1]}, {"string", "null"}),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, {"integer", "null"}),
        ({"oneOf": [{"anyOf": [{"type": "integer"}]}, {"const": "a"}]}, {"integer", "string"}),
        ({"allOf": [{"$ref": "#/$defs/Level"}]}, {"string"}),
        ({"$ref": "#/$defs/Level", "description": "how much"}, {"string"}),
        ({"enum": [1, 2.5, None, [], {}, True]}, {"integer", "number", "null", "array", "object", "boolean"}),
        ({"anyOf": [{"type": "integer"}, {}]}, set()),
        ({"anyOf": []}, set()),
        ({"description": "anything"}, set()),
        ({"$ref": "#/$defs/None"}, set()),
        ({"$ref": "http://example.org/schema"}, set()),
        ({"$ref": "#/$defs/A"}, set()),
        ({"enum": "a"}, set()),
        ({"type": 1}, set()),
        (True, set()),
    ],
)
def test_types_of_a_schema(schema: Any, expected: set[str]) -> None:
    root = {"$defs": {"Level": {"enum": ["low", "high"]}} | LOOP["$defs"]}
    assert schema_types(schema, root) == expected


def test_types_of_the_parameters_of_tools() -> None:
    types = ParameterTypes(
        [
            RequestTool(
                "f",
                {
                    "properties": {"a": {"type": "string"}, "b": {"$ref": "#/$defs/B"}},
                    "$defs": {"B": {"type": "null"}},
                },
            ),
            RequestTool("g", {"properties": []}),
            RequestTool("h", {}),
        ]
    )
    assert [types.of("f", key) for key in ("a", "a", "b", "c")] == [TEXT, TEXT, {"null"}, ANY]
    assert [types.of(tool, "a") for tool in ("g", "h", "i")] == [ANY, ANY, ANY]
