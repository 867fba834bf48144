"""From a function's annotations to its arguments: a struct that checks them, a JSON schema that states them.

The schema goes to models as OpenAI's `tools[].function.parameters`, so it is self-contained: `$defs` are
inlined, since chat templates and grammar compilers of engines handle `$ref` unequally.
"""

import inspect
import typing
from collections.abc import Callable
from typing import Any

import msgspec

from paste_proxy.tools.ports import RunContext

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class SchemaError(Exception):
    """A signature that can't become a schema; the message says which parameter and why."""


class Signature(msgspec.Struct, frozen=True):
    """What the annotations of a tool's function say."""

    arguments: type[msgspec.Struct]
    """One field per parameter; refuses unknown ones."""
    parameters: dict[str, Any]
    """The JSON schema of `arguments`."""
    wants_context: bool
    """The first parameter is a `RunContext`, which is no argument."""


def read_signature(name: str, function: Callable[..., Any]) -> Signature:
    """Raises `SchemaError`."""
    hints = _hints(function)
    parameters = list(inspect.signature(function).parameters.values())
    wants_context = bool(parameters) and hints.get(parameters[0].name) is RunContext
    fields = [_field(parameter, hints) for parameter in parameters[wants_context:]]
    try:
        arguments = msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True, frozen=True)
        return Signature(arguments, json_schema(arguments), wants_context)
    except (TypeError, ValueError) as error:
        raise SchemaError(f"unsupported annotation: {_one_line(error)}") from error


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception as error:  # it evaluates what the author wrote between quotes
        raise SchemaError(f"unsupported annotation: {_one_line(error)}") from error


def _field(parameter: inspect.Parameter, hints: dict[str, Any]) -> tuple[str, Any] | tuple[str, Any, Any]:
    name = parameter.name
    if parameter.kind not in _NAMED:
        raise SchemaError(
            f"parameter {parameter}: arguments are passed by name, so each needs a named parameter"
        )
    if name not in hints:
        raise SchemaError(f"parameter {name!r} has no annotation: its type is what the model is told")
    if hints[name] is RunContext:
        raise SchemaError(f"parameter {name!r}: a RunContext must be the first parameter")
    if parameter.default is parameter.empty:
        return name, hints[name]
    _check_default(name, hints[name], parameter.default)
    return name, hints[name], parameter.default


def _check_default(name: str, annotation: Any, default: object) -> None:
    """Python lets `limit: str = None` pass; a caller who states the default would be refused."""
    try:
        msgspec.convert(msgspec.to_builtins(default, str_keys=True), annotation, str_keys=True)
    except (TypeError, ValueError) as error:
        raise SchemaError(f"parameter {name!r}, default {default!r}: {_one_line(error)}") from error


def json_schema(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The self-contained JSON schema of a struct's fields. Raises `TypeError` for recursive types."""
    (root,), definitions = msgspec.json.schema_components([struct], ref_template="{name}")
    schema: dict[str, Any] = _inlined(root, definitions, ())
    del schema["title"]
    schema.pop("description", None)
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(schema))  # defaults may be tuples, say
    return plain


def _inlined(schema: Any, definitions: dict[str, Any], inside: tuple[str, ...]) -> Any:
    if isinstance(schema, list):
        return [_inlined(part, definitions, inside) for part in schema]
    if not isinstance(schema, dict):
        return schema
    name = schema.get("$ref")
    if isinstance(name, str):
        if name in inside:
            raise TypeError(f"{name} contains itself; a schema without references can't say that")
        beside = {key: part for key, part in schema.items() if key != "$ref"}
        return {**_inlined(definitions[name], definitions, (*inside, name)), **beside}
    # A tagged union's `discriminator` is OpenAPI's, and names the definitions that were inlined.
    return {key: _inlined(p, definitions, inside) for key, p in schema.items() if key != "discriminator"}


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
