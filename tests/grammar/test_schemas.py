"""What schemas refuse, and that no schema can raise, fetch, or hold the loop."""

import json
import threading
import time
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.calls import CallAssembler
from paste_proxy.grammar.events import CallSealed, GrammarEvent, Malformed
from paste_proxy.grammar.requests import RequestTool
from paste_proxy.grammar.schemas import DEPTH_LIMIT, TEXT_LIMIT, WEIGHT_LIMIT, WHY_LIMIT, WORK_LIMIT, Schemas

LOOK: dict[str, object] = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "pattern": r"^[\w/]{1,64}$"},
        "limit": {"type": "integer", "minimum": 1},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
        "kind": {"$ref": "#/$defs/kind~1of"},
    },
    "$defs": {"kind/of": {"anyOf": [{"type": "null"}, {"const": "x"}]}},
    "required": ["path"],
    "additionalProperties": False,
}


def refusal(schema: Any, arguments: dict[str, Any]) -> str:
    size = len(json.dumps(arguments, ensure_ascii=False))
    return Schemas([RequestTool("t", schema)]).refusal("t", arguments, size)


def in_lists(value: Any, levels: int) -> Any:
    for _ in range(levels):
        value = {"properties": {"a": value}}
    return value


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"path": "a/b"}, ""),
        ({"path": "a", "limit": 1.0, "tags": ["a", "b"], "kind": None}, ""),
        ({"path": "a", "limit": 10**30}, ""),
        ({}, '$: "path" is a required property'),
        ({"path": 1}, '$.path: the value is not of type "string"'),
        ({"path": "a b"}, "$.path: the value does not match"),
        ({"path": "a", "limit": 0}, "$.limit: the value is less than the minimum of 1"),
        ({"path": "a", "tags": ["a", "c"]}, "$.tags[1]: the value is not one of"),
        ({"path": "a", "kind": "y"}, "$.kind: the value is not valid under any"),
        ({"path": "a", "more": 1}, "'more' was unexpected"),
    ],
)
def test_what_a_schema_refuses(arguments: dict[str, Any], why: str) -> None:
    found = refusal(LOOK, arguments)
    assert why in found
    assert bool(found) == bool(why)


def test_a_reason_is_short() -> None:
    why = refusal({"enum": ["x" * 50_000]}, {})
    assert 0 < len(why) <= WHY_LIMIT + len("...")


def test_long_schemas_are_not_kept_nor_read_again_for_each_call() -> None:
    properties = {str(number): {"type": "string"} for number in range(300_000)}
    schemas = Schemas([RequestTool("t", {"properties": properties, "required": ["a"]})])
    begun = time.process_time()
    assert [schemas.refusal("t", {}, 2) for _ in range(100)] == [""] * 100
    for number in range(10):
        described: dict[str, object] = {"required": ["a"], "description": f"{number}" * 5_000_000}
        assert refusal(described, {}) == ""
    assert time.process_time() - begun < 0.5


def test_a_schema_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = {"required": ["a"], "title": "compiled once"}
    assert refusal(schema, {})
    monkeypatch.setattr(jsonschema_rs, "validator_for", None)
    assert refusal(dict(reversed(schema.items())), {})


def test_nothing_is_said_of_tools_without_a_schema() -> None:
    unlike = [RequestTool("two", {"required": ["a"]}), RequestTool("two", {"required": ["b"]})]
    schemas = Schemas([RequestTool("none", {}), *unlike])
    assert [schemas.refusal(name, {}, 2) for name in ("none", "two", "other")] == ["", "", ""]


REFUSES_ALL: dict[str, object] = {"required": ["no"]}
"""Says that a schema was not used, where it is a part of it."""
HOSTILE: dict[str, dict[str, object]] = {
    "over the network": {"$ref": "http://127.0.0.1:9/schema"},
    "from a file": {"$ref": "file:///etc/hostname"},
    "no such place": {"$ref": "#/$defs/no"},
    "another base": {"properties": {"a": {"$id": "http://x/y", "$ref": "#/$defs/b"}}},
    "by a name": {"$ref": "#name", "$defs": {"a": {"$anchor": "name"}}},
    "dynamic": {"$dynamicRef": "#"},
    "unknown standard": {"$schema": "http://example.com/none"},
    "itself": {"$ref": "#"},
    "each other": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    "two ways into itself": {"allOf": [{"properties": {"a": {"$ref": "#"}}}] * 2},
    "doubling": {
        "$ref": "#/$defs/0",
        "$defs": {f"{n}": {"allOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(30)} | {"30": {}},
    },
    "many values": {"enum": list(range(WEIGHT_LIMIT))},
    "long": {"description": "x" * TEXT_LIMIT},
    "deep": in_lists({}, DEPTH_LIMIT),
    "no schema": {"type": "objekt"},
    "no pattern": {"properties": {"a": {"pattern": "("}}},
    "look ahead": {"properties": {"a": {"pattern": "(?=a)"}}},
    "huge pattern": {"properties": {"a": {"pattern": r"(\w{100}){100}"}}},
    "many patterns": {"patternProperties": {f"^{n}": {} for n in range(500)}},
}


@pytest.mark.parametrize("schema", [pytest.param(schema, id=name) for name, schema in HOSTILE.items()])
def test_schemas_that_are_not_used(schema: dict[str, object]) -> None:
    begun = time.process_time()
    assert refusal({**schema, **REFUSES_ALL}, {"a": {"a": 1}}) == ""
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        ({"properties": {"a": {"pattern": "^(a+)+$"}}}, {"a": "a" * 20_000 + "!"}),
        ({"properties": {"a": {"pattern": "(?:a?){300}a{300}"}}}, {"a": "é" * 20_000}),
        ({"properties": {"a": {"items": {"enum": [n + 0.5 for n in range(300)]}}}}, {"a": [299.5] * 50}),
        ({"properties": {"a": {"uniqueItems": True}}}, {"a": [[n] for n in range(30_000)]}),
        ({"properties": {"a": {"items": {"allOf": [{"minimum": 0}] * 600}}}}, {"a": [1] * 600}),
        ({"properties": {"a": {"format": "regex"}}}, {"a": r"(\w{100}){100}"}),
    ],
)
def test_arguments_that_are_held_against_hostile_schemas(
    schema: dict[str, object], arguments: dict[str, Any]
) -> None:
    begun = time.process_time()
    refusal(schema, arguments)
    assert refusal({**schema, **REFUSES_ALL}, arguments)
    assert time.process_time() - begun < 2


def test_arguments_are_not_held_against_a_schema_where_that_could_take_long() -> None:
    schema: dict[str, object] = {"properties": {"a": {"enum": [n + 0.5 for n in range(250)]}}}
    schemas = Schemas([RequestTool("t", schema)])
    assert schemas.refusal("t", {"a": 1}, 10)
    assert schemas.refusal("t", {"a": 1}, WORK_LIMIT // 1000) == ""


def test_a_compiled_schema_serves_other_threads() -> None:
    """Large replies are read in a thread."""
    found = [refusal(LOOK, {})]
    thread = threading.Thread(target=lambda: found.append(refusal(LOOK, {})))
    thread.start()
    thread.join()
    assert found[0] == found[1] != ""


NAMES = st.sampled_from(["$ref", "properties", "items", "allOf", "not", "pattern", "enum", "type", "$id", "a"])
VALUES = st.recursive(
    st.sampled_from(["#", "#/a", "#/properties/a", "string", "(a", "", "http://x"])
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.dictionaries(NAMES, VALUES, max_size=3))
def test_no_schema_raises(schema: dict[str, Any], arguments: dict[str, Any]) -> None:
    assert isinstance(refusal(schema, arguments), str)


def test_calls_are_held_against_the_schemas_of_their_request() -> None:
    calls = CallAssembler([RequestTool("look", LOOK)])
    out: list[GrammarEvent] = []
    for name, text in [("look", '{"path":"a"}'), ("look", '{"limit":1}'), ("other", "{}"), ("look", "")]:
        calls.delta(len(out), "", name, text, 0, out)
    calls.end(0, out, finished=True)
    sealed = [one for one in out if isinstance(one, CallSealed)]
    required = '$: "path" is a required property'
    assert [one.invalid for one in sealed] == ["", required, "", required]
    assert not any(isinstance(one, Malformed) for one in out)


def test_a_panic_of_the_library_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyO3 raises it past `except Exception`."""
    panic = type("PanicException", (BaseException,), {})

    def fail(*_args: object, **_options: object) -> None:
        raise panic

    monkeypatch.setattr(jsonschema_rs, "validator_for", fail)
    assert refusal({**REFUSES_ALL, "title": "compiled by no other test"}, {}) == ""
