"""Arguments that are written as text between tags: the JSON text that each of them stands for, as it arrives.

Which value a text is only the tool's schema can say: `123` is a string for a parameter of type string. Text
goes on as it comes; numbers, lists and the like when they are complete. What is not what its schema says stays
text, so that nothing of it is lost.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from paste_proxy.grammar.calls import SIZE_LIMIT
from paste_proxy.grammar.formats.python_literal import LiteralStream
from paste_proxy.grammar.formats.python_string import json_string_body
from paste_proxy.grammar.json_stream import BLANKS, JsonStream
from paste_proxy.grammar.requests import RequestTool

Types: TypeAlias = frozenset[str]
"""JSON schema's names of the types that a value may have; empty: any."""

TEXT: Types = frozenset({"string"})
ANY: Types = frozenset()
_TEXT_OR_NULL: Types = frozenset({"string", "null"})
_NULLS = ("null", "None")
_PARTS = 64
"""Parts of one parameter's schema that are looked at, references followed: a handful, in ordinary ones."""

_NAMES: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}


class ParameterTypes:
    """The types of the parameters of a request's tools, each looked up when it is first needed."""

    __slots__ = ("_known", "_schemas")

    def __init__(self, tools: Sequence[RequestTool]) -> None:
        self._schemas = {tool.name: tool.parameters for tool in tools}
        self._known: dict[tuple[str, str], Types] = {}

    def of(self, tool: str, key: str) -> Types:
        schema = self._schemas.get(tool)
        properties = schema.get("properties") if schema is not None else None
        if schema is None or not isinstance(properties, Mapping) or key not in properties:
            return ANY
        known = self._known.get((tool, key))
        if known is None:
            known = self._known[tool, key] = schema_types(properties[key], schema)
        return known


def schema_types(schema: Any, root: Mapping[str, Any]) -> Types:
    """What types a schema allows, as far as it says so plainly; `root` is where its references lead. If one of
    several parts may be anything, so may all."""
    types: set[str] = set()
    waiting = [schema]
    for _ in range(_PARTS):
        if not waiting:
            return frozenset(types)
        part = waiting.pop()
        if not isinstance(part, Mapping):
            return ANY
        if said := _said(part):
            types |= said
        elif parts := _parts(part, root):
            waiting += parts
        else:
            return ANY
    return ANY


def _said(schema: Mapping[str, Any]) -> set[str]:
    """The types that it names, or those of the values that it lists."""
    said = schema.get("type")
    if isinstance(said, str):
        return {said}
    if isinstance(said, list):
        return {one for one in said if isinstance(one, str)}
    listed = schema.get("enum", [schema["const"]] if "const" in schema else ())
    return {_NAMES.get(type(one), "") for one in listed} if isinstance(listed, list) else set()


def _parts(schema: Mapping[str, Any], root: Mapping[str, Any]) -> list[Any]:
    if isinstance(reference := schema.get("$ref"), str):
        return [_referred(reference, root)]
    found = (schema.get(key) for key in ("anyOf", "oneOf", "allOf"))
    return next((parts[:_PARTS] for parts in found if isinstance(parts, list)), [])


def _referred(reference: str, root: Mapping[str, Any]) -> Any:
    """What `#/$defs/Name` names."""
    found: Any = root if reference.startswith("#/") else None
    for part in reference[2:].split("/"):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


class ValueText:
    """Reads one value. Every method returns more of its JSON text."""

    __slots__ = ("_begun", "_json", "_kept", "_open", "_pad", "_padding", "_types", "fault", "told")

    def __init__(self, types: Types, pad: str = "") -> None:
        """`pad`: a character that may stand before it and behind it, once each."""
        self._types = types
        self._pad = pad
        self._begun = False
        self._padding = ""
        """The pad, if it may be the one behind it."""
        self._open = False
        """Part of a string was told."""
        self._kept = io.StringIO()
        """Of a value that is told when it is complete."""
        self._json = JsonStream(root_object=False) if types and "string" not in types else None
        """Where no text may stand: as long as the value may be JSON, which says itself where it ends."""
        self.told = False
        """It is complete, though its end has not come."""
        self.fault = ""
        """Why it can't be told."""

    def feed(self, text: str) -> str:
        """More of the text as it stands, which is never empty."""
        if self._pad:
            text = self._unpadded(text)
        if self._open:
            return json_string_body(text)
        if not text:
            return ""
        if self._types == TEXT or (self._types == _TEXT_OR_NULL and not self._may_be_null(text)):
            self._open = True
            return f'"{json_string_body(self._kept.getvalue() + text)}'
        if self.told:
            self._refuse_text(text)
            return ""
        if self._json is not None:
            return self._read_json(self._json, text)
        self._keep(text)
        return ""

    def end(self) -> str:
        """The value is complete."""
        if self._open or self.told:
            return '"' if self._open else ""
        return json_text(self._kept.getvalue(), self._types)

    def _read_json(self, stream: JsonStream, text: str) -> str:
        """All of its text, if it is complete with `text`."""
        stop = stream.feed(text)
        stream.found.clear()
        if stream.fault:
            self._json = None
        if not stream.complete:
            self._keep(text)
            return ""
        self.told = True
        self._keep(text[:stop])
        value = self._kept.getvalue().strip(BLANKS)
        self._refuse_text(text[stop:])
        return value

    def _refuse_text(self, text: str) -> None:
        if not self.fault and text.strip(BLANKS):
            self.fault = "text behind a complete value"

    def _unpadded(self, text: str) -> str:
        if not self._begun:
            self._begun = True
            text = text.removeprefix(self._pad)
        text, self._padding = self._padding + text, ""
        if text.endswith(self._pad):
            self._padding = self._pad
            text = text[:-1]
        return text

    def _keep(self, text: str) -> None:
        if self._kept.tell() + len(text) > SIZE_LIMIT:
            self.fault = f"a value of more than {SIZE_LIMIT} characters"
            self._kept, self._json = io.StringIO(), None
        elif not self.fault:
            self._kept.write(text)

    def _may_be_null(self, more: str) -> bool:
        text = self._kept.getvalue() + more
        return any(null.startswith(text) for null in _NULLS)


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
