"""Where the arguments of a call stand in a request. Each is put in whole; nothing is composed of several.

In a path each argument is one segment, or within one: what could be read as another path (`..`, whichever way
it is written) is refused, also when a server decodes it twice.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn
from urllib.parse import quote, unquote

from paste_proxy.errors import InvalidArgumentsError

PATH_CHARACTERS = 2000
"""Of one argument: servers refuse requests whose first line has more than about 8,000 bytes."""

_SLOT = re.compile(r"\{([^{}/\s]+)\}")
_SEPARATORS = re.compile(r"[/\\]")
_SCALARS = (str, int, float)
_PATH = "/%:@!$&'()*+,;=~"
"""What stands in a path as it is: RFC 3986, section 3.3."""


def slots(text: str) -> list[str]:
    """The arguments that a path names."""
    return _SLOT.findall(text)


def fixed_path(template: str) -> str:
    """The path percent-encoded but for its slots."""
    parts = re.split(r"(\{[^{}/\s]+\})", template)
    return "".join(part if index % 2 else quote(part, safe=_PATH) for index, part in enumerate(parts))


def slot(text: object) -> str:
    """The argument that a value stands for, as in `{city}`; "" for a constant."""
    found = _SLOT.fullmatch(text) if isinstance(text, str) else None
    return found[1] if found is not None else ""


def filled_path(tool: str, template: str, arguments: Mapping[str, Any]) -> str:
    """The path, percent-encoded. Raises `InvalidArgumentsError`."""
    path = _SLOT.sub(lambda match: _segment(tool, match[1], arguments), template)
    if any(piece in (".", "..") for piece in path.split("/")):
        raise InvalidArgumentsError(f"{tool}: the arguments make another path of {template!r}", param="$")
    return path


def _segment(tool: str, name: str, arguments: Mapping[str, Any]) -> str:
    if name not in arguments:
        _refuse(tool, name, "is part of the path, so it is needed")
    text = _scalar(tool, name, arguments[name])
    if not text:
        _refuse(tool, name, "is part of the path, so it can't be empty")
    if len(text) > PATH_CHARACTERS:
        _refuse(tool, name, f"is part of the path, and longer than {PATH_CHARACTERS} characters")
    if any(piece in (".", "..") for piece in _SEPARATORS.split(_decoded(text))):
        _refuse(tool, name, "names a folder above: it is one piece of a path, and can't leave it")
    return quote(text, safe="")


def _decoded(text: str) -> str:
    """Some servers decode twice."""
    return unquote(unquote(unquote(text)))


def filled_query(
    tool: str, query: Mapping[str, str], arguments: Mapping[str, Any], joined: frozenset[str] = frozenset()
) -> Iterator[tuple[str, str]]:
    """Name and value, in order; a list is repeated, or joined by commas; what is absent is left out."""
    for key, template in query.items():
        name = slot(template)
        if not name:
            yield key, template
            continue
        value = arguments.get(name)
        if value is None:
            continue
        values = [_scalar(tool, name, one) for one in (value if isinstance(value, list) else [value])]
        if name in joined:
            values = [",".join(values)]
        for text in values:
            yield key, text


def encoded_query(pairs: Iterator[tuple[str, str]]) -> str:
    return "&".join(f"{quote(key, safe='')}={quote(text, safe='')}" for key, text in pairs)


def filled_body(template: Any, arguments: Mapping[str, Any]) -> Any:
    """The JSON value, in which a key or item whose argument is absent is left out."""
    if isinstance(template, dict):
        return {
            key: filled_body(part, arguments) for key, part in template.items() if _present(part, arguments)
        }
    if isinstance(template, list):
        return [filled_body(part, arguments) for part in template if _present(part, arguments)]
    return arguments[name] if (name := slot(template)) else template


def body_slots(template: Any) -> Iterator[str]:
    """The arguments that a body names."""
    if isinstance(template, dict | list):
        for part in template.values() if isinstance(template, dict) else template:
            yield from body_slots(part)
    elif name := slot(template):
        yield name


def _present(template: Any, arguments: Mapping[str, Any]) -> bool:
    name = slot(template)
    return not name or name in arguments


def _scalar(tool: str, name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, _SCALARS):
        _refuse(tool, name, "can't stand in an address: it takes a text, a number, true or false")
    return json.dumps(value)


def _refuse(tool: str, name: str, reason: str) -> NoReturn:
    raise InvalidArgumentsError(f"{tool}: $.{name}: {reason}", param=f"$.{name}")
