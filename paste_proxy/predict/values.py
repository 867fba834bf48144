"""Values as prediction sees them: what decides equality, what a value looks like, what in a text may be one.

A *mask* is a value's shape without its content: `#x8` for #W5918442, `a_a_0` for omar_davis_3817. An argument
that was always of one mask is filled with values of that mask.
"""

import math
import re
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

Key: TypeAlias = tuple[str, Any]
"""A kind and a value; equal only if both are, so 1, 1.0, True and "1" differ. Of a list or an object the value
is its JSON text, sorted."""

LONGEST = 1024
"""Characters of a value that is still a reference to something; what is longer is content."""
LONGEST_JSON = 4096
"""Of a list or an object, which is only ever taken as a whole: an edit that is tried again."""
SPOKEN = 200
"""Values kept of one text: in agents' traces outputs hold up to 24 addresses in the median, and fewer paths."""
READ = 16_384
"""Characters of a text that are searched: the list that is followed stands near its start."""

_KINDS = {str: "str", int: "int", float: "float", bool: "bool", type(None): "null"}
_SCALARS = {"str": str, "int": int, "float": float, "bool": bool}
_WORD = re.compile(
    r"(?:(?![a-z][a-z0-9+.-]{0,15}+://)[a-z]++(?!\w|[./@:~+#-]++\w)[^\w#@~/.]*+)*+"
    r"(?:([a-z][a-z0-9+.-]{0,15}+://[^\s\"'`<>\\(){}\[\]|]{3,400}|(?:[#@~/.][./@:~+#-]*+)?+\w++(?:[./@:~+#-]++\w++)*+)|[#@~/.][./@:~+#-]*+|\Z)"
)
"""In its group. Plain words before it, and rules of dots and dashes, are passed over as a whole: a text may be
nothing else. So its end matches, too, or it would be read again from each letter on."""
_LINE = re.compile(r"(?<=\w)(?::\d+){1,2}$")
"""A line number, and maybe a column, behind a file's name."""
_HALF = re.compile(r"[\ud800-\udfff]")
_RUN = re.compile(r"[^\W_]+")
_encode = msgspec.json.Encoder(order="deterministic").encode


def key_of(value: Any) -> Key | None:
    """None for what is content, or no JSON."""
    kind = _KINDS.get(type(value))
    if kind == "str":
        return ("str", value) if len(value) <= LONGEST else None
    if kind is not None:
        return kind, value
    try:
        text = _encode(value).decode()
    except (TypeError, ValueError, RecursionError):
        return None
    return ("json", text) if len(text) <= LONGEST_JSON else None


def value_of(key: Key) -> Any:
    kind, value = key
    return msgspec.json.decode(value) if kind == "json" else value


def can_be_stored(key: Key) -> bool:
    """Whether JSON can hold it: half a surrogate pair and infinity are values, too."""
    kind, value = key
    if kind == "str":
        return value.isascii() or _HALF.search(value) is None
    return kind != "float" or math.isfinite(value)


def as_number(key: Key) -> int | None:
    """Of an integer, or of a string of digits."""
    kind, value = key
    if kind == "int":
        return int(value)
    if kind == "str" and value.isascii() and value.isdigit() and len(value) < 12:
        return int(value)
    return None


def like(key: Key, number: int) -> Key:
    """`number` written as `key` is."""
    return ("int", number) if key[0] == "int" else ("str", str(number))


def twin(key: Key) -> Key | None:
    """The same number of the other kind: models write 13 and "13" by turns."""
    number = as_number(key)
    if number is None:
        return None
    return ("str", str(number)) if key[0] == "int" else ("int", number)


def mask_of(key: Key) -> str:
    return _mask(key[1]) if key[0] == "str" else key[0]


@lru_cache(maxsize=8192)
def _mask(text: str) -> str:
    """Cached: a session's values come again and again."""
    if not text:
        return "empty"
    if text.startswith(("http://", "https://")):
        return "url"
    spaces = text.count(" ") + text.count("\n")
    if spaces:
        return f"text{min(spaces, 4)}"
    if "/" in text:
        return "path" if "." in text.rsplit("/", 1)[-1] else "folder"
    shape = _RUN.sub(_run, text)
    if shape.endswith(".a"):
        return "file"
    return shape[:24]


def _run(match: re.Match[str]) -> str:
    run = match.group()
    if run.isdigit():
        return "0"
    if not run.isalpha():
        return f"x{len(run)}" if len(run) <= 10 else "x"
    if run.islower():
        return "a"
    if run.isupper():
        return "A"
    return "Aa" if run[0].isupper() and run[1:].islower() else "aA"


def spoken(text: str) -> list[str]:
    """What in a text may be a value, in order, each once: all words that are not plain lower-case ones."""
    found: dict[str, None] = {}
    for match in _WORD.finditer(text[:READ]):
        word = (match.group(1) or "").rstrip(".,:;")
        if 0 < len(word) <= LONGEST and not (word.isalpha() and word.islower()):
            if (line := _LINE.search(word)) is not None:
                found[word[: line.start()]] = None
            found[word] = None
            if len(found) >= SPOKEN:
                break
    return list(found)[:SPOKEN]


def bucket(count: int) -> int:
    """0, 1, 2, then 3-4, 5-8, 9-16 and more: how old something is matters less and less."""
    return count if count < 3 else min(3 + (count - 1).bit_length() - 2, 6)
