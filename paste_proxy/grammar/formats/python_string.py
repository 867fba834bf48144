"""The inside of a Python string to the inside of a JSON string, as it arrives."""

import json
import re
import unicodedata
from collections.abc import Callable
from typing import TypeAlias

_NAME_LIMIT = 128
"""Characters of `\\N{...}`; the longest Unicode name has 88."""

_PLAIN = {quote: re.compile(rf"[^{quote}\\]+") for quote in "\"'"}
_COMMON = {quote: re.compile(rf"(?:[^{quote}\\]++|\\[nrt\\'\"])++") for quote in "\"'"}
"""Plain text and the escapes that models write all the time: these are decoded many at a time."""
_ESCAPE = re.compile(r"\\(.)")
_UNBRACED = {quote: re.compile(rf"[^{quote}\\{{}}]+") for quote in "\"'"}
_ESCAPES = {
    "\\": "\\",
    "'": "'",
    '"': '"',
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\n": "",
}
_encode = json.JSONEncoder(ensure_ascii=False).encode
_HEX_LENGTH = {"x": 2, "u": 4, "U": 8}
_HEX = frozenset("0123456789abcdefABCDEF")
_OCTAL = frozenset("01234567")


def json_string_body(text: str) -> str:
    """`text` as it stands between the quotes of a JSON string."""
    return _encode(text)[1:-1]


class StringStream:
    """Reads one string from behind its first quote, piece by piece, in linear time. Never raises.

    An empty string is complete with the first character behind it: until then it may be the beginning of a
    triple-quoted one. Raw line ends are let pass in all strings.
    """

    __slots__ = (
        "_escape",
        "_formatted",
        "_plain",
        "_quotes",
        "_raw",
        "_step",
        "complete",
        "fault",
        "out",
        "quote",
    )

    def __init__(self, quote: str, prefix: str = "") -> None:
        """`prefix`: of `r`, `u`, `f`. An f-string is a literal as long as nothing is put into it."""
        self.out: list[str] = []
        """Pieces of the inside of a JSON string, in order; the caller takes and clears."""
        self.complete = False
        self.fault = ""
        self.quote = quote
        """One character, or three."""
        self._raw = "r" in prefix.lower()
        self._formatted = "f" in prefix.lower()
        self._plain = _UNBRACED if self._formatted else _PLAIN if self._raw else _COMMON
        self._step: _Step = StringStream._begin
        self._quotes = 1
        """Quotes just read that may open a triple-quoted string, or close it."""
        self._escape = ""

    def feed(self, text: str, at: int) -> int:
        """Read `text[at:]`; returns where it stopped: the end of `text`, behind the string, or at the fault."""
        end = len(text)
        while at < end and not self.complete and not self.fault:
            at = self._step(self, text, at)
        return at

    def _begin(self, text: str, at: int) -> int:
        """One or two quotes were read: a string, the empty string, or the opening of a triple-quoted one."""
        if text[at] == self.quote:
            self._quotes += 1
            if self._quotes == 3:
                self.quote *= 3
                self._quotes = 0
                self._step = StringStream._inside
            return at + 1
        self.complete = self._quotes == 2
        self._quotes = 0
        self._step = StringStream._inside
        return at

    def _inside(self, text: str, at: int) -> int:
        char = self.quote[0]
        plain = self._plain[char].match(text, at)
        if plain is not None:
            self._flush_quotes()
            piece = plain[0]
            if "\\" in piece:
                piece = _ESCAPE.sub(_unescape, piece)
            self.out.append(json_string_body(piece))
            return plain.end()
        if text[at] == "\\":
            self._flush_quotes()
            self._escape = "\\"
            self._step = StringStream._raw_pair if self._raw else StringStream._escaped
        elif text[at] != char:
            return self._fail("a string with a placeholder", at)
        else:
            self._quotes += 1
            self.complete = self._quotes == len(self.quote)
        return at + 1

    def _flush_quotes(self) -> None:
        """Quotes that did not close the triple-quoted string are of its text."""
        if self._quotes:
            self.out.append(json_string_body(self.quote[0] * self._quotes))
            self._quotes = 0

    def _raw_pair(self, text: str, at: int) -> int:
        """A backslash stays, and so does what it protects."""
        if self._formatted and text[at] in "{}":
            return self._fail("a string with a placeholder", at)
        return self._end_escape("\\" + text[at], at + 1)

    def _escaped(self, text: str, at: int) -> int:
        """One more character of an escape."""
        escape, char = self._escape, text[at]
        kind = escape[1:2]
        if not kind:
            return self._begin_escape(text, at)
        if kind == "\r":  # A line that is continued, with a carriage return: its line feed belongs to it.
            return self._end_escape("", at + 1 if char == "\n" else at)
        if kind == "N":
            return self._name_escape(char, at)
        if kind in _HEX_LENGTH:
            return self._hex_escape(kind, char, at)
        if char in _OCTAL and len(escape) < 4:
            self._escape += char
            return at + 1
        return self._end_escape(chr(int(escape[1:], 8)), at)

    def _begin_escape(self, text: str, at: int) -> int:
        char = text[at]
        if char in _ESCAPES:
            return self._end_escape(_ESCAPES[char], at + 1)
        if char in _OCTAL or char in _HEX_LENGTH or char in "N\r":
            self._escape += char
            return at + 1
        return self._raw_pair(text, at)  # An escape that Python does not know stays as it is.

    def _hex_escape(self, kind: str, char: str, at: int) -> int:
        if char not in _HEX:
            return self._fail(f"the escape {self._escape!r} is cut short", at)
        self._escape += char
        if len(self._escape) < 2 + _HEX_LENGTH[kind]:
            return at + 1
        code = int(self._escape[2:], 16)
        if code > 0x10FFFF:
            return self._fail(f"the escape {self._escape!r} is no character", at)
        return self._end_escape(chr(code), at + 1)

    def _name_escape(self, char: str, at: int) -> int:
        self._escape += char
        if self._escape[2:3] != "{" or len(self._escape) > _NAME_LIMIT:
            return self._fail("an escape `\\N` without a name", at)
        if char != "}":
            return at + 1
        try:
            named = unicodedata.lookup(self._escape[3:-1])
        except (KeyError, UnicodeEncodeError):  # half a surrogate pair is in no name
            return self._fail(f"the escape {self._escape!r} is no character", at)
        return self._end_escape(named, at + 1)

    def _end_escape(self, decoded: str, at: int) -> int:
        if "\ud800" <= decoded[:1] <= "\udfff":
            # Two of them are one character for every JSON reader, which is what was meant.
            self.out.append(f"\\u{ord(decoded):04x}")
        elif decoded:
            self.out.append(json_string_body(decoded))
        self._escape = ""
        self._step = StringStream._inside
        return at

    def _fail(self, why: str, at: int) -> int:
        self.fault = why
        return at


def _unescape(match: re.Match[str]) -> str:
    return _ESCAPES[match[1]]


_Step: TypeAlias = Callable[[StringStream, str, int], int]
