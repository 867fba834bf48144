"""Arguments of a call: strict JSON in, the function's own types out.

Strict where JSON is loose (RFC 8259 leaves these open): integers are exact, an object key occurs once, and
there is no NaN or infinity. Two texts that decode to equal values are then the same call.
"""

import json
import math
from typing import Any, NoReturn

import msgspec

from paste_proxy.errors import InvalidArgumentsError
from paste_proxy.json_words import why_no_json
from paste_proxy.tools.authoring import Tool
from paste_proxy.tools.spec import ToolSpec


def decode_arguments(tool: Tool[..., Any] | ToolSpec, raw: bytes) -> dict[str, Any]:
    """Decode the JSON text of a call's arguments; empty text means no arguments.

    Returns JSON values as given: defaults are not filled in, types not converted. A `Tool` checks names and
    types, a `ToolSpec` alone only the names. Raises `InvalidArgumentsError`; `param` is the JSON path.
    """
    spec = tool.spec if isinstance(tool, Tool) else tool
    value = _strict_json(spec.name, raw) if raw.strip() else {}
    if not isinstance(value, dict):
        _refuse(spec.name, "$", f"Expected `object`, got `{_json_type(value)}`")
    if isinstance(tool, Tool):
        _converted(tool, value)
    else:
        _check_names(spec, value)
    return value


def typed_arguments(tool: Tool[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Decoded arguments in the types of the tool's parameters, defaults filled in; a copy.

    Raises `InvalidArgumentsError`; `param` is the JSON path.
    """
    try:
        copied = _copied(arguments)
    except (RecursionError, TypeError, ValueError) as error:
        _refuse(tool.spec.name, "$", f"not JSON: {error}")
    checked = _converted(tool, copied)
    return {name: getattr(checked, name) for name in tool.arguments.__struct_fields__}


def _copied(value: Any) -> Any:
    """A copy of a JSON value. Raises `TypeError` where it is none."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(part) for part in value]
    raise TypeError(f"{type(value).__name__} is no JSON type")


def _converted(tool: Tool[..., Any], arguments: dict[str, Any]) -> msgspec.Struct:
    try:
        return msgspec.convert(arguments, tool.arguments, str_keys=True)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `")
        _refuse(tool.spec.name, where.rstrip("`") or "$", reason)
    except RecursionError:
        _refuse(tool.spec.name, "$", "nested too deeply")


def _check_names(spec: ToolSpec, arguments: dict[str, Any]) -> None:
    for name in spec.parameters.get("required", ()):
        if name not in arguments:
            _refuse(spec.name, "$", f"Object missing required field `{name}`")
    if spec.parameters.get("additionalProperties") is False:
        for name in arguments.keys() - spec.parameters.get("properties", {}).keys():
            _refuse(spec.name, "$", f"Object contains unknown field `{name}`")


class _Repeated(dict[str, Any]):
    """An object in which `key` occurred more than once; kept in the tree, so that its path can be told."""

    key = ""


def _strict_json(tool: str, raw: bytes) -> Any:
    repeated: list[_Repeated] = []
    try:
        text = raw.decode("utf-8")
        try:
            value = _decoder.decode(text)
        except _RepeatedKeyError:  # once more, to tell where
            value = _decoder_to(repeated).decode(text)
        if b"\\u" in raw:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a surrogate pair is no text
        if repeated:
            _refuse(tool, _path_of(repeated[-1], value), f"key `{repeated[-1].key}` occurs twice")
    except RecursionError:
        _refuse(tool, "$", "nested too deeply")
    except ValueError as error:
        _refuse(tool, "$", f"not JSON: {why_no_json(raw, error)}")
    return value


class _RepeatedKeyError(Exception):
    pass


def _plain_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise _RepeatedKeyError
    return value


def _decoder_to(repeated: list[_Repeated]) -> json.JSONDecoder:
    """One that notes objects with repeated keys."""
    return json.JSONDecoder(
        object_pairs_hook=lambda pairs: _object(pairs, repeated),
        parse_float=_finite,
        parse_constant=_no_constant,
    )


def _object(pairs: list[tuple[str, Any]], repeated: list[_Repeated]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    names = [name for name, _ in pairs]
    marked = _Repeated(value)
    marked.key = next(name for name in names if names.count(name) > 1)
    repeated.append(marked)
    return marked


def _path_of(wanted: _Repeated, value: Any) -> str:
    """Where `wanted` stands below `value`; empty if nowhere. The last one decoded always stands somewhere."""
    if value is wanted:
        return "$"
    for name, part in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(part, dict | list) and (below := _path_of(wanted, part)):
            return f"$[{name}]{below[1:]}" if isinstance(value, list) else f"$.{name}{below[1:]}"
    return ""


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is beyond a 64-bit float")
    return number


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON value")


def _json_type(value: object) -> str:
    if value is None:
        return "null"
    names: dict[type, str] = {bool: "bool", int: "int", float: "float", str: "str", list: "array"}
    return names[type(value)]


def _refuse(tool: str, path: str, reason: str) -> NoReturn:
    raise InvalidArgumentsError(f"{tool}: {path}: {reason}", param=path)


_decoder = json.JSONDecoder(object_pairs_hook=_plain_object, parse_float=_finite, parse_constant=_no_constant)
