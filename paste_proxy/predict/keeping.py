"""How much of a call, and of a text, is kept: enough to tell calls and applications apart, and bounded."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

ARGUMENTS = 64
"""A call with more is kept without them: it is data."""
NAME = 128
"""Characters of a tool's or an argument's name; so many has the longest that is learnt (`shapes.is_tool`)."""
VALUE_LIMIT = 4096
"""Characters of an argument that is kept: longer edits are hardly ever tried again as they were."""
CUT = 512
"""Of a text that is longer: how a command begins."""
CALL_LIMIT = 16_384
"""Of all arguments of a call that are kept: as of a result."""
HEAD = 200
"""Characters of a system prompt, less its numbers, that tell applications apart."""


def in_bounds(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a call with many arguments, or long names of them, none."""
    return arguments if len(arguments) <= ARGUMENTS and max(map(len, arguments), default=0) <= NAME else {}


def short(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is too long to be a reference to something (`shapes`), files that are written."""
    found, left = {}, CALL_LIMIT
    for name, value in arguments.items():
        size = _size(value)
        if size <= VALUE_LIMIT and size + len(name) <= left:
            found[name] = value
            left -= size + len(name)
    return found


def cut(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """As much of `arguments` as tells a call's symbol, and equal to what `short` keeps of them."""
    whole = short(arguments)
    return {
        name: whole[name] if name in whole else value[:CUT] if isinstance(value, str) else None
        for name, value in arguments.items()
    }


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    try:
        return len(msgspec.json.encode(value))
    except (
        OverflowError,
        ValueError,
        RecursionError,
        msgspec.MsgspecError,
    ):  # it is kept nowhere
        return VALUE_LIMIT + 1


def is_same(asked: tuple[str, Mapping[str, Any]], given: tuple[str, Mapping[str, Any]]) -> bool:
    """Of calls that are `cut`. The history may hold fewer arguments: it leaves long ones out."""
    tool, arguments = asked
    if tool != given[0] or not arguments:
        return tool == given[0]
    return all(arguments.get(name) == value for name, value in given[1].items())


def application(prompt: str) -> str:
    """A digest of how a system prompt begins."""
    masked = re.sub(r"\d+", "0", prompt[:HEAD]).encode(errors="replace")
    return "app_" + hashlib.blake2b(masked, digest_size=6).hexdigest()


def plain_words(text: str) -> Iterable[str]:
    """Its words in lower case."""
    return "".join(char if char.isalpha() else " " for char in text[:4096].lower()).split()
