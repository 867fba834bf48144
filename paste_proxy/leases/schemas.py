"""A tool's schema comes from outside, and the core reads it: it must be one, of an object, and not too deep."""

from typing import Any

import jsonschema_rs

DEPTH = 64
"""Levels; as for the tools of requests. Nobody's schema has twenty."""


def check_schema(schema: dict[str, Any]) -> str:
    """Why it can't be the schema of a tool's arguments; "" where it can."""
    if _is_deeper(schema, DEPTH):
        return f"nested deeper than {DEPTH}"
    if schema.get("type", "object") != "object" or not isinstance(schema.get("properties", {}), dict):
        return "not the schema of an object"
    try:
        jsonschema_rs.meta.validate(schema)
    except (jsonschema_rs.ValidationError, ValueError) as error:
        return f"not a JSON schema: {getattr(error, 'message', error)}"
    return ""


def _is_deeper(value: Any, depth: int) -> bool:
    if depth == 0:
        return True
    if isinstance(value, dict):
        return any(_is_deeper(part, depth - 1) for part in value.values())
    return isinstance(value, list) and any(_is_deeper(part, depth - 1) for part in value)
