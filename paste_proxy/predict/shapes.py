"""Shapes of values: what looks like an address, a path or a name, bounded walks over JSON.

Everything here is total: it never raises on any value that a JSON decoder can give, and its work is bounded.
"""

import re
from functools import lru_cache
from itertools import islice
from typing import Any, TypeAlias

from paste_proxy.predict.values import LONGEST, Key

Step: TypeAlias = str | None
Path: TypeAlias = tuple[Step, ...]
"""Into a JSON value: a string is a record's field, None all items of a list or map. As in JSONPath (RFC 9535),
where None is the wildcard."""

MENTIONS = 64
"""Addresses (and paths) kept per output: in agents' traces up to 24 stand there in the median."""
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


class Trail:
    """A path into one value, with all places of a list as one, and all names of a map: there is one object for
    all that stand alike."""

    __slots__ = ("_fields", "_steps", "path")

    def __init__(self, path: Path = ()) -> None:
        self.path = path
        self._steps: dict[Step, Trail] = {}
        self._fields: list[Any] = []
        """Keys of an object there that were a record's fields: others there mostly have the same."""

    def step(self, step: Step) -> "Trail":
        found = self._steps.get(step)
        if found is None:
            found = self._steps[step] = Trail((*self.path, step))
        return found

    def is_record(self, value: dict[Any, Any]) -> bool:
        """As the function, of an object there."""
        if len(value) > _FIELDS:
            return False
        names = list(value)
        if names == self._fields and names and type(value[names[0]]) is not dict:
            return True
        record = is_record(value)
        if record:
            self._fields = names
        return record


def leaves(value: Any, whole: Trail) -> list[tuple[Trail, Key | None]]:
    """The scalars in a JSON value, in document order; the first of many. None for those that say nothing by
    themselves: true, false and null. `whole` is the trail of the value."""
    found: list[tuple[Trail, Key | None]] = []
    stack: list[tuple[Trail, Any]] = [(whole, value)]
    for _ in range(_NODES):
        if not stack:
            break
        trail, node = stack.pop()
        kind = type(node)
        if kind is dict or kind is list:
            if len(trail.path) < _DEPTH:
                inside = _inside(trail, node)
                inside.reverse()
                stack += inside
        elif kind is not str:
            found.append((trail, (kind.__name__, node) if kind is int or kind is float else None))
        elif len(node) <= LONGEST:
            found.append((trail, ("str", node)))
    return found


def _inside(trail: Trail, node: Any) -> list[tuple[Trail, Any]]:
    if type(node) is dict and trail.is_record(node):
        step = trail.step
        return [(step(name), item) for name, item in node.items()]
    every = trail.step(None)
    return [(every, item) for item in islice(node if type(node) is list else node.values(), _NODES)]
