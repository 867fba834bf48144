"""The JSON text of a call's arguments: what is accepted, what is refused, and where."""

import contextlib
import json
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.errors import InvalidArgumentsError
from paste_proxy.tools import tool
from paste_proxy.tools.arguments import decode_arguments, typed_arguments


class Point(msgspec.Struct, forbid_unknown_fields=True):
    x: int


@tool
def subject(
    path: str = "",
    limit: Annotated[int, msgspec.Meta(ge=1)] = 10,
    share: float = 0.5,
    points: tuple[Point, ...] = (),
    anything: Any = None,
) -> None: ...


@tool
def demanding(path: str) -> None: ...


@pytest.mark.parametrize("raw", [b"", b" \n", b"{}"])
def test_no_text_is_no_arguments(raw: bytes) -> None:
    assert decode_arguments(subject, raw) == {}


def test_values_come_as_they_were_given() -> None:
    raw = rb'{"path": "\u00e4", "share": 1, "anything": {"n": 12345678901234567890123}, "points": [{"x": 1}]}'
    assert decode_arguments(subject, raw) == {
        "path": "\u00e4",
        "share": 1,
        "anything": {"n": 12345678901234567890123},
        "points": [{"x": 1}],
    }


REFUSED = [
    (b'{"path": 1}', "$.path", "Expected `str`, got `int`"),
    (b'{"limit": 0}', "$.limit", "Expected `int` >= 1"),
    (b'{"limit": 1.0}', "$.limit", "Expected `int`, got `float`"),
    (b'{"limit": true}', "$.limit", "Expected `int`, got `bool`"),
    (b'{"points": [{"x": 1}, {"x": "1"}]}', "$.points[1].x", "Expected `int`, got `str`"),
    (b'{"points": [{"y": 1}]}', "$.points[0]", "unknown field `y`"),
    (b'{"nope": 1}', "$", "unknown field `nope`"),
    (b'{"path": "a", "path": "a"}', "$", "key `path` occurs twice"),
    (b'{"anything": [0, {"b": {"a": 1, "a": 2}}]}', "$.anything[1].b", "key `a` occurs twice"),
    (b'{"anything": {"a": 1, "a": 2}, "anything": 3}', "$", "key `anything` occurs twice"),
    (b'{"share": NaN}', "$", "NaN is no JSON value"),
    (b'{"share": -Infinity}', "$", "-Infinity is no JSON value"),
    (b'{"share": 1e999}', "$", "1e999 is beyond a 64-bit float"),
    (b'{"path": "\\ud800"}', "$", "\\ud800 at position 10 is half of a surrogate pair"),
    (b'{"path": "\xff"}', "$", "not JSON: it is not UTF-8: byte 0xff"),
    (b'\xef\xbb\xbf{}', "$", "not JSON"),
    (b'{"path": "a"', "$", "not JSON"),
    (b'{"path": "a"} {}', "$", "not JSON: Extra data"),
    (b'{"anything": ' + b"1" * 5000 + b"}", "$", "not JSON"),
    (b'{"anything": ' + b"[" * 200_000, "$", "nested too deeply"),
    (b"[]", "$", "Expected `object`, got `array`"),
    (b"null", "$", "Expected `object`, got `null`"),
    (b"1.5", "$", "Expected `object`, got `float`"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "path", "reason"), REFUSED, ids=lambda value: str(value)[:40])
def test_refusals_name_the_path(raw: bytes, path: str, reason: str) -> None:
    with pytest.raises(InvalidArgumentsError) as caught:
        decode_arguments(subject, raw)
    assert caught.value.param == path
    assert reason in caught.value.message
    assert caught.value.message.startswith(f"subject: {path}: ")


def test_a_missing_argument_is_named() -> None:
    for subject_or_spec in (demanding, demanding.spec):
        with pytest.raises(InvalidArgumentsError, match="missing required field `path`"):
            decode_arguments(subject_or_spec, b"")


def test_a_specification_alone_checks_the_names() -> None:
    assert decode_arguments(demanding.spec, b'{"path": 1}') == {"path": 1}
    with pytest.raises(InvalidArgumentsError, match="unknown field `nope`"):
        decode_arguments(demanding.spec, b'{"path": 1, "nope": 2}')


def test_typed_arguments_have_the_functions_types_and_defaults() -> None:
    given = decode_arguments(subject, b'{"points": [{"x": 1}], "share": 1}')
    typed = typed_arguments(subject, given)
    assert typed == {"path": "", "limit": 10, "share": 1.0, "points": (Point(1),), "anything": None}
    assert type(typed["share"]) is float


def test_a_tool_that_changes_its_arguments_changes_a_copy() -> None:
    given = {"anything": {"list": [1]}}
    typed_arguments(subject, given)["anything"]["list"].append(2)
    assert given == {"anything": {"list": [1]}}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_every_json_value_survives(value: Any) -> None:
    raw = json.dumps({"anything": value}).encode()
    decoded = decode_arguments(subject, raw)
    assert json.dumps(decoded) == json.dumps({"anything": value})
    assert json.dumps(typed_arguments(subject, decoded)["anything"]) == json.dumps(value)


@given(st.lists(st.tuples(st.sampled_from("abc"), JSON), max_size=5))
def test_an_object_is_refused_exactly_if_a_key_repeats(pairs: list[tuple[str, Any]]) -> None:
    members = ", ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in pairs)
    raw = f'{{"anything": [{{{members}}}]}}'.encode()
    if len({name for name, _ in pairs}) == len(pairs):
        assert decode_arguments(subject, raw) == {"anything": [dict(pairs)]}
    else:
        with pytest.raises(InvalidArgumentsError) as caught:
            decode_arguments(subject, raw)
        assert caught.value.param == "$.anything[0]"


@given(st.binary(max_size=40) | st.binary(max_size=20).map(lambda data: b'{"anything": "' + data + b'"}'))
def test_any_bytes_give_arguments_or_a_refusal(raw: bytes) -> None:
    with contextlib.suppress(InvalidArgumentsError):
        assert isinstance(decode_arguments(subject, raw), dict)
