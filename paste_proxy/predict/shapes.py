"""Shapes of values: what looks like an address, a path or a name, exact equality, bounded walks over JSON.

Everything here is total: it never raises on any value that a JSON decoder can give, and its work is bounded.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, islice
from typing import Any, TypeAlias

Step: TypeAlias = str | int | None
Path: TypeAlias = tuple[Step, ...]
"""Into a JSON value: a string is a record's field, an integer a list's item, None all items of a list or map.
As in JSONPath (RFC 9535), where None is the wildcard."""
Key: TypeAlias = tuple[type, Any]
"""A scalar with its type: equal only if both are, so 1, 1.0 and True differ."""

MENTIONS = 64
"""Addresses (and paths) kept per output: in agents' traces up to 24 stand there in the median."""
_STRING = 1024
"""A longer string is content, not a reference to something: addresses and file paths stay far below."""
_NODES = 512
"""Values looked at per output: fifty results of ten fields."""
_DEPTH = 8
"""Deepest path: REST envelopes (data, edges, node, field) need five."""
_FIELDS = 64
"""An object with more keys is a map: declared records stay below."""

_ADDRESS = re.compile(r"https?://[^\s\"'`<>\\(){}\[\]|]{3,1024}")
_DOTTED = re.compile(r"(?<![\w./~@+-])[\w~@+-]*+[./][\w./~@+-]*+")
"""A word with a dot or a slash. The lookbehind and the possessive repeats keep plain words, which are most,
from being tried at each of their letters."""
_WORD_LENGTH = range(3, 513)
_EXTENSION = re.compile(r"\w{2}\.[A-Za-z][A-Za-z0-9]{0,4}$")
_FIELD = re.compile(r"[A-Za-z_$@][A-Za-z_$-]*(?:\d[A-Za-z_$-]*){0,2}")
_TOOL = re.compile(r"[A-Za-z_][\w.:/-]{0,127}")


def exact(value: Any) -> Key | None:
    """What decides equality of argument values; None for containers and for strings that are content."""
    kind = type(value)
    if kind is str:
        return (kind, value) if len(value) <= _STRING else None
    if kind in (int, float, bool) or value is None:
        return kind, value
    return None


def addresses(text: str) -> tuple[str, ...]:
    """The http(s) addresses in `text` in order, each once, without the punctuation of a sentence after them."""
    found = (match.group().rstrip(".,;:!?*") for match in _ADDRESS.finditer(text))
    return tuple(islice(dict.fromkeys(found), MENTIONS))


def paths(text: str) -> tuple[str, ...]:
    """Words of `text` shaped like a file: with a slash inside or a short extension. In order, each once."""
    words = (match.group() for match in _DOTTED.finditer(_ADDRESS.sub(" ", text)))
    kept = (word.rstrip(".-") for word in words if len(word) in _WORD_LENGTH)
    return tuple(islice(dict.fromkeys(word for word in kept if _is_path(word)), MENTIONS))


def _is_path(word: str) -> bool:
    slashed = "/" in word.rstrip("/") and "//" not in word
    return slashed or _EXTENSION.search(word) is not None


def is_field(name: Any) -> bool:
    """Whether an object's key or an argument's name is of a schema rather than data.

    An identifier of ASCII letters, at most 40 long, with at most two digits (`line1`, `base64`): ids, dates,
    mail addresses, titles and file names are not.
    """
    return type(name) is str and len(name) <= 40 and _is_field(name)


@lru_cache(maxsize=4096)
def _is_field(name: str) -> bool:
    """Cached, as the same few hundred names come in every output: it is most of a walk's time otherwise."""
    return _FIELD.fullmatch(name) is not None


def is_tool(name: str) -> bool:
    """Whether a tool's name is one by its shape, as it may have been made up by a model."""
    return _TOOL.fullmatch(name) is not None


def is_record(value: dict[Any, Any]) -> bool:
    """Whether an object's keys are a schema's fields; else it is a map, whose keys are data.

    A map has a key that is not a field's name, or many keys, or several values that are all objects of
    the same fields: {"ann": {"age": 1}, "bob": {"age": 2}}.
    """
    if len(value) > _FIELDS or not all(map(is_field, value)):
        return False
    values = list(value.values())
    if len(values) < 2 or not all(type(item) is dict for item in values):
        return True
    return any(item.keys() != values[0].keys() for item in values)


def leaves(value: Any) -> list[tuple[Path, Key]]:
    """The scalars in a JSON value with their paths, in document order; the first of many."""
    found: list[tuple[Path, Key]] = []
    stack: list[tuple[Path, Any]] = [((), value)]
    for _ in range(_NODES):
        if not stack:
            break
        path, node = stack.pop()
        if type(node) in (dict, list):
            if len(path) < _DEPTH:
                stack.extend(reversed([((*path, step), item) for step, item in _children(node)]))
        elif (key := exact(node)) is not None:
            found.append((path, key))
    return found


def _children(node: Any) -> Iterator[tuple[Step, Any]]:
    if type(node) is list:
        return islice(enumerate(node), _NODES)
    if is_record(node):
        return iter(node.items())
    return ((None, item) for item in islice(node.values(), _NODES))


def select(value: Any, path: Path) -> list[Any]:
    """What stands at `path`, in document order: at most one value where the path has no None in it."""
    nodes = [value]
    for step in path:
        nodes = list(islice(chain.from_iterable(_into(node, step) for node in nodes), _NODES))
    return nodes


def _into(node: Any, step: Step) -> list[Any]:
    if type(node) is list:
        if step is None:
            return node[:_NODES]
        return [node[step]] if type(step) is int and 0 <= step < len(node) else []
    if type(node) is not dict:
        return []
    if step is None:
        return [] if is_record(node) else list(islice(node.values(), _NODES))
    return [node[step]] if type(step) is str and step in node else []


def every_item(path: Path) -> Path:
    """`path` with each place in a list replaced by all places."""
    return tuple(step if type(step) is str else None for step in path)


def readable(path: Path) -> str:
    """As people write it: $.results[*].name."""
    return "$" + "".join(
        f".{step}" if type(step) is str else f"[{'*' if step is None else step}]" for step in path
    )
