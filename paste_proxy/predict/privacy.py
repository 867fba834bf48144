"""What of the learnt may be kept on disk, and what may leave the house: shapes and counts, no session's values.

Names of tools and arguments must look like names, and have been offered by a request or have come in five
sessions: models make up others. A field of an output must have been useful in five sessions, since objects also
have data for keys, as in {"ann": {"mail": ...}}. Words of commands and constants come in five sessions before
they are learnt at all; they are kept for their tenant, and shown to nobody: in no export, to no other tenant.
"""

import re
from collections.abc import Container, Iterator
from typing import Any

from paste_proxy.predict.extractors import NAMES
from paste_proxy.predict.ledger import PRIVATE, SHARED, Group, GroupKey, Ledger, SavedGroup
from paste_proxy.predict.shapes import is_tool
from paste_proxy.predict.symbols import CALLED, is_symbol

_MASK = re.compile(r"(?:[^\w\ud800-\udfff]|_|(?<![^\W_])(?:a|A|Aa|aA|0|x\d{0,2})(?![^\W_]))*")
"""What `values.mask_of` gives; half a surrogate pair can't be stored."""
_OURS = frozenset(("none after", *NAMES))
"""Names of features: the only ones with spaces."""
_CONTEXTS = ("tool", "application", "last", "exact", "two", "three", "start", "ok", "error")
_PLACES = ("out", "key", "list", "text", "whole", "system", "user", "assistant", "arg", "said")
_FEATURES = ("none", "how", "kinds", "often", "stood", "age", "after", "next", "again", "weights", "joint")
_HEARD = ("hearing", "naming", "words", "best", "tied", "said", "silent", "done", "order", "likely", "labelled")
_SHAPES = ("int", "float", "bool", "null", "json", "empty", "url", "path", "folder", "file")
_WORDS = frozenset(
    (*_CONTEXTS, *_PLACES, *_FEATURES, *_HEARD, *_SHAPES, "text1", "text2", "text3", "text4", CALLED[1])
)
"""Our own in keys and labels. A test holds that none is missing."""
_DIGEST = re.compile(r"app_[0-9a-f]{12}")
APPLICATION = "app_"
"""Before the digest of a system prompt, which could be guessed."""
JSON_PLACES = ("out", "key", "list")
"""Kinds of sources that are told by a path."""


def savable(ledger: Ledger, key: GroupKey, group: Group) -> SavedGroup | None:
    """The group as it is stored; None where nothing of it may be."""
    if not _is_shape(ledger, key[1]):
        return None
    labels = list(group.items())
    if key[0] not in PRIVATE and key[0] != CALLED[0]:  # those were judged when they were learnt
        labels = [(label, value) for label, value in labels if _is_shape(ledger, label)]
    return SavedGroup(key[0], key[1], labels)


def shareable(saved: SavedGroup) -> SavedGroup | None:
    """Of what may be stored, what others may see, too."""
    if saved.section in PRIVATE or _has_words(saved.key):
        return None
    labels = [(label, value) for label, value in saved.labels if not _has_words(label)]
    return SavedGroup(saved.section, saved.key, labels) if labels or saved.section == SHARED else None


def exportable(ledger: Ledger) -> list[SavedGroup]:
    """Everything that may be shown to others."""
    groups = (savable(ledger, key, group) for key, group in ledger.groups())
    shown = (shareable(saved) for saved in groups if saved is not None)
    return [saved for saved in shown if saved is not None]


def _is_shape(ledger: Ledger, value: Any) -> bool:
    """Whether all strings in a key or label may be kept."""
    fields, called = ledger.find("names", None) or {}, ledger.find(*CALLED) or {}
    return all(one in fields if kind == "field" else _is_name(one, called) for kind, one in _strings(value))


def _strings(value: Any) -> Iterator[tuple[str, str]]:
    """All of them; a constant and a command's words have been judged when they were learnt."""
    if isinstance(value, str):
        yield "name", value
    elif isinstance(value, tuple) and value and value[0] != "constant":
        if is_symbol(value):
            value = value[:2]
        for item in value:
            if len(value) == 3 and value[0] in JSON_PLACES and item is value[2] and isinstance(item, tuple):
                yield from (("field", step) for step in item if isinstance(step, str))
            else:
                yield from _strings(item)


def _is_name(text: str, called: Container[str]) -> bool:
    """Of a tool or an argument; or ours; or a tool with its command."""
    tool, command, _ = text.partition(": ")
    name = tool if command else text
    return _is_ours(text) or (is_tool(name) and name in called)


def _is_ours(text: str) -> bool:
    return text in _WORDS or text in _OURS or any(shape.fullmatch(text) for shape in (_MASK, _DIGEST))


def _has_words(value: Any) -> bool:
    """Whether it holds a constant, or a command's words."""
    if isinstance(value, tuple):
        if is_symbol(value):
            return bool(value[1])
        return (bool(value) and value[0] == "constant") or any(map(_has_words, value))
    return isinstance(value, str) and (": " in value or value.startswith(APPLICATION))
