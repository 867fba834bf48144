"""When two calls are the same call."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.broker.keys import call_key, canonical_text
from paste_proxy.tools.spec import ToolSpec


def spec(properties: dict[str, Any], inert: frozenset[str] = frozenset()) -> ToolSpec:
    return ToolSpec("t", "", {"type": "object", "properties": properties}, inert=inert)


ANY = spec({})
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), values, max_size=4))
def test_key_order_and_spelling_do_not_matter(arguments: dict[str, Any]) -> None:
    spelled_otherwise = json.loads(json.dumps(dict(reversed(arguments.items())), indent=3, ensure_ascii=False))
    assert canonical_text(ANY, arguments) == canonical_text(ANY, spelled_otherwise)


@given(values, values)
def test_different_values_are_different_calls(one: Any, other: Any) -> None:
    same = canonical_text(ANY, {"x": one}) == canonical_text(ANY, {"x": other})
    assert same == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))


@pytest.mark.parametrize(
    ("schema", "equal"),
    [
        ({"type": "number"}, True),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, True),
        ({"type": "integer"}, False),
        ({"type": ["integer", "number"]}, False),
        ({}, False),
    ],
)
def test_one_equals_one_point_zero_only_where_the_schema_says_number(
    schema: dict[str, Any], equal: bool
) -> None:
    tool = spec({"x": schema})
    assert (canonical_text(tool, {"x": 1}) == canonical_text(tool, {"x": 1.0})) is equal


def test_integers_are_exact_beyond_what_a_float_holds() -> None:
    tool = spec({"x": {"type": "number"}})
    assert canonical_text(tool, {"x": 2**53 + 1}) != canonical_text(tool, {"x": 2**53})
    assert canonical_text(tool, {"x": 10**400}) == '{"x":1' + "0" * 400 + "}"


def test_true_is_not_one() -> None:
    tool = spec({"x": {"type": "number"}})
    assert canonical_text(tool, {"x": True}) != canonical_text(tool, {"x": 1})


def test_a_default_that_is_left_out_equals_the_default_that_is_given() -> None:
    tool = spec({"limit": {"type": "integer", "default": 10}, "deep": {"properties": {"y": {"default": 2}}}})
    assert canonical_text(tool, {}) == canonical_text(tool, {"limit": 10})
    assert canonical_text(tool, {"deep": {}}) == canonical_text(tool, {"deep": {"y": 2}})
    assert canonical_text(tool, {}) != canonical_text(tool, {"limit": 11})


def test_arguments_without_influence_are_left_out_even_if_they_have_defaults() -> None:
    tool = spec({"reason": {"type": "string", "default": ""}}, inert=frozenset({"reason"}))
    assert canonical_text(tool, {"q": 1, "reason": "because"}) == canonical_text(tool, {"q": 1})


def test_numbers_inside_lists_follow_the_schema_of_the_items() -> None:
    tool = spec({"xs": {"type": "array", "items": {"type": "number"}}})
    assert canonical_text(tool, {"xs": [1, 2.5]}) == canonical_text(tool, {"xs": [1.0, 2.5]})


def test_tenant_session_and_tool_are_part_of_the_key() -> None:
    keys = {
        call_key(tenant, session, msg, {})
        for tenant in "ab"
        for session in "cd"
        for msg in (ANY, ToolSpec("u", "", {}))
    }
    assert len(keys) == 8
