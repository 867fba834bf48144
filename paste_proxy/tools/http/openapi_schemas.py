"""Schemas of an OpenAPI document as plain JSON schemas: references written out, OpenAPI 3.0's own words said
in those of the standard, which 3.1 uses. Written out, since chat templates and grammar compilers of engines
handle `$ref` unequally.
"""

from typing import Any

OWN = frozenset({"discriminator", "xml", "externalDocs", "example", "examples", "$schema", "$id", "deprecated"})
"""Say nothing of which values are right, and cost a model's context."""
VALUES = 5_000
"""In one schema, references written out. Those of tools have up to some hundred; models read every one."""


class UnsupportedError(Exception):
    """What this reader of OpenAPI can't make a tool of; the message says why."""


class Schemas:
    """`root`: the document that references point into."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._left = VALUES

    def resolved(self, value: Any) -> dict[str, Any]:
        """An object, or the one that it refers to. Raises `UnsupportedError`."""
        seen: set[str] = set()
        while isinstance(value, dict) and isinstance(reference := value.get("$ref"), str):
            if reference in seen:
                raise UnsupportedError(f"{reference} refers to itself")
            seen.add(reference)
            value = self._target(reference)
        if not isinstance(value, dict):
            raise UnsupportedError(f"expected an object, got {type(value).__name__}")
        return value

    def plain(self, schema: Any) -> dict[str, Any]:
        """Raises `UnsupportedError`."""
        self._left = VALUES
        if schema is True:
            return {}
        plain = self._schema(schema, ())
        if not isinstance(plain, dict):
            raise UnsupportedError(f"{schema!r} is no schema of a value")
        return plain

    def _target(self, reference: str) -> Any:
        if not reference.startswith("#/"):
            raise UnsupportedError(f"$ref {reference!r} points outside the document: put both into one")
        found: Any = self._root
        for step in reference[2:].split("/"):
            key = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or key not in found:
                raise UnsupportedError(f"$ref {reference!r} points at nothing")
            found = found[key]
        return found

    def _schema(self, schema: Any, inside: tuple[str, ...]) -> Any:
        """A schema, or a boolean in the place of one."""
        if not isinstance(schema, dict):
            return schema
        reference = schema.get("$ref")
        if isinstance(reference, str):
            if reference in inside:
                raise UnsupportedError(f"{reference} contains itself, which can't be written out")
            target = self._schema(self._target(reference), (*inside, reference))
            beside = {key: part for key, part in schema.items() if key != "$ref"}
            return {**target, **self._schema(beside, inside)} if isinstance(target, dict) else target
        kept = {key: self._keyword(key, part, inside) for key, part in schema.items() if key not in OWN}
        plain = {key: part for key, part in kept.items() if not key.startswith("x-")}
        if isinstance(plain.get("required"), list):
            plain["required"] = [name for name in plain["required"] if name not in _hidden(schema)]
        return _in_words_of_the_standard(plain)

    def _keyword(self, key: str, value: Any, inside: tuple[str, ...]) -> Any:
        self._left -= 1
        if self._left < 0:
            raise UnsupportedError(f"more than {VALUES} values in one schema: too large for a model")
        if key in ("default", "const", "enum", "required"):
            return value
        if key in ("properties", "patternProperties", "$defs", "dependentSchemas") and isinstance(value, dict):
            return {name: self._schema(part, inside) for name, part in value.items() if not _is_hidden(part)}
        if isinstance(value, list):
            return [self._schema(part, inside) for part in value]
        return self._schema(value, inside)


def _is_hidden(schema: Any) -> bool:
    """The server's to say, not the caller's."""
    return isinstance(schema, dict) and schema.get("readOnly") is True


def _hidden(schema: dict[str, Any]) -> set[str]:
    properties = schema.get("properties")
    named = properties.items() if isinstance(properties, dict) else ()
    return {name for name, part in named if _is_hidden(part)}


def _in_words_of_the_standard(schema: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI 3.0 has `nullable`, and booleans in `exclusiveMinimum` and `exclusiveMaximum`."""
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(said := schema.get(exclusive), bool):
            del schema[exclusive]
            if said and bound in schema:
                schema[exclusive] = schema.pop(bound)
    if schema.pop("nullable", False) is True and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
    return schema
