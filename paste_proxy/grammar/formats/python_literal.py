"""Python literals to JSON text, as they arrive: strings, numbers, True, False, None, lists, tuples and dicts.

What Python reads is read the same, and written as `json.dumps` writes it (a tuple is a list, a number as a key
is a string). Beyond Python, three things that models write and engines let pass: raw control characters in
strings and leading zeros of whole numbers (SGLang's lfm2 parser), and `true`, `false`, `null` (that one, and
vLLM's pythonic parser). Names, expressions, sets, bytes and strings with placeholders are faults: they are
no data before they have run.
"""

import io
import math
import re
from collections.abc import Callable
from typing import TypeAlias

from paste_proxy.grammar.calls import SIZE_LIMIT
from paste_proxy.grammar.formats.python_string import StringStream
from paste_proxy.grammar.json_stream import DEPTH_LIMIT

NUMBER_LIMIT = 1024
"""Characters of one number. Python itself refuses more than 4300 digits; no tool takes a hundred."""
_WORD_LIMIT = 16
"""Characters of a bare word; `False` has five, a prefix of a string two."""

_BLANK = re.compile(r"[ \t\r\n\f]*")
_WORD = re.compile(r"\w*")
_DIGITS = re.compile(r"[0-9A-Za-z_.]*")
_WHOLE = re.compile(r"[0-9](?:_?[0-9])*")
_BASED = re.compile(r"0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+")
_REAL = re.compile(r"[0-9_.]*(?:[eE][+-]?[0-9_]+)?")
_WORDS = {
    "True": "true",
    "False": "false",
    "None": "null",
    "true": "true",
    "false": "false",
    "null": "null",
}
_PREFIXES = frozenset({"r", "u", "f", "rf", "fr"})
_CLOSERS = {"[": "]", "(": ")", "{": "}"}


class _Frame:
    """An open bracket."""

    __slots__ = ("bracket", "count", "key", "slot")

    def __init__(self, bracket: str, slot: int) -> None:
        self.bracket = bracket
        self.count = 0
        """Elements, or pairs, that are complete."""
        self.key = bracket == "{"
        """The next value is a key."""
        self.slot = slot
        """Where `[` will be put if this parenthesis turns out to be a tuple's; -1 where that is settled."""


class LiteralStream:
    """Reads one literal piece by piece, in linear time. Never raises; `fault` says what it could not read.

    A string or a scalar that is not inside brackets is complete with the first character behind it: until
    then it may go on (`"a" "b"` is one string unless `joins` is false, `12` may become `123`).
    """

    __slots__ = (
        "_frames",
        "_held",
        "_holds",
        "_joins",
        "_last",
        "_sign",
        "_step",
        "_string",
        "_token",
        "complete",
        "fault",
        "out",
    )

    def __init__(self, *, joins: bool = True) -> None:
        """`joins`: strings side by side are one string."""
        self._joins = joins
        self.out: list[str] = []
        """Pieces of JSON text, in order; the caller takes and clears."""
        self.complete = False
        self.fault = ""
        self._step: _Step = LiteralStream._value
        self._frames: list[_Frame] = []
        self._held: list[str] = []
        self._last = io.StringIO()
        self._holds = 0
        """Parentheses that may yet be a tuple or mere grouping: what is in them waits in `_held`, what came
        behind the last of them in `_last`."""
        self._token = ""
        self._sign = ""
        self._string = StringStream('"')
        """The one that is open, or was the last."""

    @property
    def depth(self) -> int:
        """Open brackets."""
        return len(self._frames)

    @property
    def quote(self) -> str:
        """The quotes of the string that is open; empty outside of strings."""
        inside = self._step is LiteralStream._in_string
        return self._string.quote if inside else ""

    def feed(self, text: str, at: int = 0) -> int:
        """Read `text[at:]`; returns where it stopped: the end of `text`, or the first character behind the
        literal, or that of the fault."""
        end = len(text)
        while at < end and not self.complete and not self.fault:
            at = self._step(self, text, at)
        return at

    # Values and brackets.

    def _value(self, text: str, at: int) -> int:
        """Where a value may begin, or a bracket close."""
        at = skip_blank(text, at)
        if at == len(text):
            return at
        char = text[at]
        frame = self._frames[-1] if self._frames else None
        if frame is not None and char == _CLOSERS[frame.bracket] and (frame.key or frame.bracket != "{"):
            return self._close(frame, at)
        if frame is not None and frame.count and (frame.key or frame.bracket != "{"):
            self._emit(", ")
        if char in "\"'":
            self._emit('"')
            return self._open_string(text, at)
        if char in "[({":
            return self._open(char, at)
        if char in "+-":
            self._sign = char
            self._step = LiteralStream._signed
            return at + 1
        if char.isdecimal() or char == ".":
            self._step = LiteralStream._number
        elif char.isidentifier():
            self._step = LiteralStream._word
        else:
            self._fail(f"{char!r} where a value should begin")
        return at

    def _open(self, bracket: str, at: int) -> int:
        if len(self._frames) == DEPTH_LIMIT:
            return self._fail(f"nested deeper than {DEPTH_LIMIT} levels", at)
        if self._frames and self._frames[-1].key:
            return self._fail("a key that is no string or number", at)
        slot = -1
        if bracket == "(":
            self._holds += 1
            self._held.append(self._last.getvalue())
            self._last = io.StringIO()
            slot = len(self._held)
            self._held.append("")
        else:
            self._emit(bracket)
        self._frames.append(_Frame(bracket, slot))
        self._step = LiteralStream._value
        return at + 1

    def _close(self, frame: _Frame, at: int) -> int:
        self._frames.pop()
        if frame.slot < 0:
            self._emit("}" if frame.bracket == "{" else "]")
        elif frame.count == 0:
            self._settle(frame, "[")
            self._emit("]")
        else:
            self._settle(frame, "")
        self._done()
        return at + 1

    def _settle(self, frame: _Frame, opening: str) -> None:
        """It is known now what a parenthesis was for."""
        self._held[frame.slot] = opening
        frame.slot = -1
        self._holds -= 1
        if not self._holds:
            self.out.extend(filter(None, (*self._held, self._last.getvalue())))
            self._held.clear()
            self._last = io.StringIO()

    def _after(self, text: str, at: int) -> int:
        """Behind an element, a key or a value in brackets."""
        at = skip_blank(text, at)
        if at == len(text):
            return at
        frame = self._frames[-1]
        char = text[at]
        if frame.bracket == "{" and frame.key:
            if char != ":":
                return self._fail(f"{char!r} where `:` should follow a key", at)
            self._emit(": ")
            frame.key = False
            self._step = LiteralStream._value
            return at + 1
        if char == ",":
            frame.count += 1
            frame.key = frame.bracket == "{"
            if frame.slot >= 0:
                self._settle(frame, "[")
            self._step = LiteralStream._value
            return at + 1
        if char == _CLOSERS[frame.bracket]:
            frame.count += 1
            return self._close(frame, at)
        return self._fail(f"{char!r} behind a value", at)

    def _done(self) -> None:
        """A value is complete."""
        if self._frames:
            self._step = LiteralStream._after
        else:
            self.complete = True

    # Words and numbers.

    def _word(self, text: str, at: int) -> int:
        at = self._gather(_WORD, text, at, _WORD_LIMIT, "a name")
        if at == len(text) or self.fault:
            return at
        if text[at] in "\"'":
            if self._token.lower() not in _PREFIXES:
                return self._fail(f"a string with the prefix {self._token!r}", at)
            self._emit('"')
            return self._open_string(text, at)
        word, self._token = self._token, ""
        if word in _WORDS:
            self._scalar(_WORDS[word])
        else:
            self._fail(f"the name {word!r}")
        return at

    def _signed(self, text: str, at: int) -> int:
        at = skip_blank(text, at)
        if at < len(text):
            if not (text[at].isdecimal() or text[at] == "."):
                return self._fail(f"{text[at]!r} behind a sign", at)
            self._step = LiteralStream._number
        return at

    def _number(self, text: str, at: int) -> int:
        at = self._gather(_DIGITS, text, at, NUMBER_LIMIT, "a number")
        if at == len(text) or self.fault:
            return at
        token = self._token
        if text[at] in "+-" and token[-1:] in {"e", "E"} and token[:2] not in {"0x", "0X"}:
            self._token += text[at]
            return at + 1
        self._token = ""
        number = _number_text(self._sign, token)
        self._sign = ""
        if number:
            self._scalar(number)
        else:
            self._fail(f"{token!r} is no number that JSON can hold")
        return at

    def _gather(self, pattern: re.Pattern[str], text: str, at: int, limit: int, what: str) -> int:
        match = pattern.match(text, at, at + limit + 1 - len(self._token))
        if match is not None and match.end() > at:
            self._token += match[0]
            at = match.end()
        if len(self._token) > limit:
            self._fail(f"{what} of more than {limit} characters")
        return at

    def _scalar(self, text: str) -> None:
        key = bool(self._frames) and self._frames[-1].key
        self._emit(f'"{text}"' if key else text)
        self._done()

    # Strings.

    def _open_string(self, text: str, at: int) -> int:
        prefix, self._token = self._token, ""
        self._string = StringStream(text[at], prefix)
        self._step = LiteralStream._in_string
        return at + 1

    def _in_string(self, text: str, at: int) -> int:
        string = self._string
        at = string.feed(text, at)
        if string.out:
            self._emit("".join(string.out))
            string.out.clear()
        if string.complete and self._joins:
            self._step = LiteralStream._after_string
        elif string.complete:
            self._end_string()
        elif string.fault:
            return self._fail(string.fault, at)
        return at

    def _after_string(self, text: str, at: int) -> int:
        """Strings side by side are one string."""
        at = skip_blank(text, at)
        if at == len(text):
            return at
        if text[at] in "\"'":
            return self._open_string(text, at)
        self._end_string()
        return at

    def _end_string(self) -> None:
        self._emit('"')
        self._done()

    def _emit(self, piece: str) -> None:
        if self._holds:
            self._last.write(piece)
            if self._last.tell() > SIZE_LIMIT:
                self._fail(f"a parenthesis of more than {SIZE_LIMIT} characters")
        elif piece:
            self.out.append(piece)

    def _fail(self, why: str, at: int = 0) -> int:
        self.fault = why
        return at


_Step: TypeAlias = Callable[[LiteralStream, str, int], int]


def skip_blank(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match is not None else at


def _number_text(sign: str, token: str) -> str:
    """A number of Python's as JSON; empty if it is none, or none that is finite."""
    minus = "-" if sign == "-" else ""
    if _WHOLE.fullmatch(token):
        return str(int(minus + token))
    if _BASED.fullmatch(token):
        return str(int(minus + token, 0))
    if not _REAL.fullmatch(token):
        return ""
    try:
        number = float(minus + token)
    except ValueError:
        return ""
    return repr(number) if math.isfinite(number) else ""
