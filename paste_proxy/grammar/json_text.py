"""How JSON spells the text of strings (RFC 8259 section 7): what may stand in one, and what its escapes mean.

Halves of surrogate pairs are no text, escaped or not: UTF-8 can't carry them on.
"""

import re

import msgspec

_HEX = "[0-9a-fA-F]"
_PLAIN = f"(?:[0-9a-cefA-CEF]{_HEX}|[dD][0-7]){_HEX}{{2}}"
_HIGH = f"[dD][89abAB]{_HEX}{{2}}"
_LOW = f"[dD][c-fC-F]{_HEX}{{2}}"
_ESCAPE = rf'\\(?:["\\/bfnrt]|u(?:{_PLAIN}|{_HIGH}\\u{_LOW}))'
_BEGUN = re.compile(
    rf"\\(?:u(?:{_HEX}?|[0-9a-cefA-CEF]{_HEX}{{1,2}}|[dD][0-7]{_HEX}?|[dD][89abAB]{_HEX}?"
    rf"|{_HIGH}(?:\\(?:u(?:[dD](?:[c-fC-F]{_HEX}?)?)?)?)?)?)?"
)
"""Any proper beginning of an escape, or of a surrogate pair of escapes."""
_HALVES = "\ud800-\udfff"

ESCAPE = re.compile(_ESCAPE)
ESCAPE_SIZE = 12
"""Characters of the longest: a surrogate pair."""

_RUN = f'[^"\\\\\x00-\x1f{_HALVES}]*+'
BODY = re.compile(f"{_RUN}(?:{_ESCAPE}{_RUN})*+")
"""All of a string up to its quote, or to what can't stand in it. It never goes back: linear time."""

_decode = msgspec.json.Decoder(str).decode


def is_half(char: str) -> bool:
    """Half a surrogate pair."""
    return "\ud800" <= char <= "\udfff"


def begun(escape: str) -> int:
    """How many characters can begin an escape; the first is its backslash."""
    size = len(escape)
    while not _BEGUN.fullmatch(escape, 0, size):
        size -= 1
    return size


def unescape(run: str) -> str:
    """What a run of a string stands for; its escapes are valid and whole."""
    return _decode(f'"{run}"')
