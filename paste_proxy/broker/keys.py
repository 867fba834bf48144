"""When are two calls the same call? (DESIGN section 4, "call")

Arguments are compared in canonical form: defaults filled in, arguments without influence left out, keys
sorted, integers exact. 1 and 1.0 are equal only where the schema says `number` and not `integer`.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from paste_proxy.errors import InvalidArgumentsError
from paste_proxy.tools.spec import ToolSpec

DEPTH = 128
"""Levels of nesting; as in the grammar. Nobody's arguments have ten."""


class CallKey(msgspec.Struct, frozen=True):
    """The identity of a call: equal keys are the same call."""

    tenant: str
    session: str
    tool: str
    arguments: str
    """Canonical JSON text."""


def call_key(tenant: str, session: str, spec: ToolSpec, arguments: Mapping[str, Any]) -> CallKey:
    return CallKey(tenant, session, spec.name, canonical_text(spec, arguments))


def canonical_text(spec: ToolSpec, arguments: Mapping[str, Any]) -> str:
    """Canonical JSON text of a call's arguments. Raises `InvalidArgumentsError` if nested beyond `DEPTH`."""
    relevant = {name: value for name, value in arguments.items() if name not in spec.inert}
    try:
        canonical = _object({} if spec.exact else spec.parameters, relevant, skip=spec.inert)
    except _TooDeepError:
        raise InvalidArgumentsError(
            f"{spec.name}: arguments nested deeper than {DEPTH} are not accepted", param="$"
        ) from None
    return _encode(canonical)


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


class _TooDeepError(Exception):
    pass


def _canonical(schema: Mapping[str, Any], value: Any, depth: int) -> Any:
    if depth > DEPTH:
        raise _TooDeepError
    if isinstance(value, dict):
        return _object(schema, value, depth=depth + 1)
    if isinstance(value, list):
        items = schema.get("items")
        schema = items if isinstance(items, dict) else {}
        return [_canonical(schema, item, depth + 1) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and _is_number(schema):
        return _as_float(value)
    return value


def _object(
    schema: Mapping[str, Any], value: Mapping[str, Any], skip: frozenset[str] = frozenset(), depth: int = 0
) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        properties = {}
    filled = {
        name: part["default"]
        for name, part in properties.items()
        if isinstance(part, dict) and "default" in part and name not in skip
    }
    filled.update(value)
    return {name: _canonical(_schema_of(properties, name), part, depth) for name, part in filled.items()}


def _schema_of(properties: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """JSON Schema allows true and false as schemas, which say nothing of numbers."""
    schema = properties.get(name)
    return schema if isinstance(schema, dict) else {}


def _is_number(schema: Mapping[str, Any]) -> bool:
    types = _types(schema)
    return "number" in types and "integer" not in types


def _types(schema: Mapping[str, Any]) -> set[str]:
    """All the type names that a schema admits at its top, through `anyOf` and `oneOf`."""
    stated = schema.get("type", ())
    types = {stated} if isinstance(stated, str) else {str(name) for name in stated}
    for word in ("anyOf", "oneOf"):
        for branch in schema.get(word, ()):
            if isinstance(branch, dict):
                types |= _types(branch)
    return types


def _as_float(value: int) -> int | float:
    """`value` as a float where that loses nothing: beyond 2**53 most integers are no floats."""
    try:
        number = float(value)
    except OverflowError:
        return value
    return number if int(number) == value else value
