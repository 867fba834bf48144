"""Arguments that are written as text between tags: the JSON text that each of them stands for, as it arrives.

Which value a text is only the tool's schema can say: `123` is a string for a parameter of type string. Text
goes on as it comes; numbers, lists and the like when they are complete. What is not what its schema says stays
text, so that nothing of it is lost.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from paste_proxy.grammar.formats.python_literal import LiteralStream
from paste_proxy.grammar.formats.python_string import json_string_body
from paste_proxy.grammar.json_stream import JsonStream
from paste_proxy.grammar.requests import RequestTool

Types: TypeAlias = frozenset[str]
"""JSON schema's names of the types that a value may have; empty: any."""

TEXT: Types = frozenset({"string"})
ANY: Types = frozenset()
_TEXT_OR_NULL: Types = frozenset({"string", "null"})
_NULL = "null"
_REFERENCES = 8
"""References to references in a schema: generated ones have one or two."""

_NAMES: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
    type(None): _NULL,
}


class ParameterTypes:
    """The types of the parameters of a request's tools, each looked up when it is needed."""

    __slots__ = ("_schemas",)

    def __init__(self, tools: Sequence[RequestTool]) -> None:
        self._schemas = {tool.name: tool.parameters for tool in tools}

    def of(self, tool: str, key: str) -> Types:
        schema = self._schemas.get(tool)
        properties = schema.get("properties") if schema is not None else None
        if schema is None or not isinstance(properties, Mapping):
            return ANY
        return schema_types(properties.get(key), schema)


def schema_types(schema: Any, root: Mapping[str, Any], depth: int = _REFERENCES) -> Types:
    """What types a schema allows, as far as it says so plainly; `root` is where its references lead."""
    if not isinstance(schema, Mapping) or not depth:
        return ANY
    said = schema.get("type")
    if isinstance(said, str):
        return frozenset({said})
    if isinstance(said, list):
        return frozenset(one for one in said if isinstance(one, str))
    if isinstance(reference := schema.get("$ref"), str):
        return schema_types(_referred(reference, root), root, depth - 1)
    for key in ("anyOf", "oneOf", "allOf"):
        if isinstance(parts := schema.get(key), list):
            return _joined([schema_types(part, root, depth - 1) for part in parts[:16]])
    choices = schema.get("enum", [schema["const"]] if "const" in schema else ())
    return frozenset(_NAMES.get(type(one), "") for one in choices) if isinstance(choices, list) else ANY


def _referred(reference: str, root: Mapping[str, Any]) -> Any:
    """What `#/$defs/Name` names."""
    found: Any = root if reference.startswith("#/") else None
    for part in reference[2:].split("/"):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _joined(parts: list[Types]) -> Types:
    """If one of several may be anything, so may all."""
    return frozenset().union(*parts) if all(parts) else ANY


class ValueText:
    """Reads one value. Every method returns more of its JSON text."""

    __slots__ = ("_begun", "_kept", "_open", "_pad", "_parts", "_types")

    def __init__(self, types: Types, pad: str = "") -> None:
        """`pad`: a character that may stand before it and behind it, once each."""
        self._types = types
        self._pad = pad
        self._begun = False
        self._kept = ""
        """The pad, if it may be the one behind it."""
        self._open = False
        """Part of a string was told."""
        self._parts: list[str] = []
        """Of a value that is told when it is complete."""

    def feed(self, text: str) -> str:
        """More of the text as it stands, which is never empty."""
        if self._pad:
            text = self._unpadded(text)
        if not text:
            return ""
        if self._open:
            return json_string_body(text)
        self._parts.append(text)
        if self._types == TEXT or (self._types == _TEXT_OR_NULL and not self._may_be_null()):
            self._open = True
            return f'"{json_string_body("".join(self._parts))}'
        return ""

    def end(self) -> str:
        """The value is complete."""
        return '"' if self._open else json_text("".join(self._parts), self._types)

    def _unpadded(self, text: str) -> str:
        if not self._begun:
            self._begun = True
            text = text.removeprefix(self._pad)
        text, self._kept = self._kept + text, ""
        if text.endswith(self._pad):
            self._kept = self._pad
            text = text[:-1]
        return text

    def _may_be_null(self) -> bool:
        text = "".join(self._parts)
        self._parts[:] = [text]
        return _NULL.startswith(text)


def json_text(text: str, types: Types) -> str:
    """The JSON text of a whole value."""
    if types != TEXT:
        for value, name in (_as_json(text), _as_literal(text)):
            if value and _allowed(name, types):
                return value
    return f'"{json_string_body(text)}"'


def _allowed(name: str, types: Types) -> bool:
    """Where a string may stand, what is quoted is one with its quotes, and so is what has no other type."""
    if name == "string":
        return bool(types) and "string" not in types
    return not types or name in types or (name == "integer" and "number" in types) or "string" not in types


def _as_json(text: str) -> tuple[str, str]:
    """JSON text and the name of its type; empty where `text` is none."""
    stream = JsonStream(root_object=False)
    stop = stream.feed(text)
    if not stream.complete:
        stream.end()
    if not stream.complete or text[stop:].strip():
        return "", ""
    return text.strip(), _NAMES[type(stream.value)]


def _as_literal(text: str) -> tuple[str, str]:
    """Python's words and quotes, as models mix them up."""
    literal = LiteralStream()
    stop = literal.feed(text + "\n")
    if not literal.complete or text[stop:].strip():
        return "", ""
    return _as_json("".join(literal.out))
