"""Reads one JSON value from text that arrives in pieces, and tells each value inside it as soon as it is known.

Strict RFC 8259, in time linear in the text however it is cut: every character is looked at once, long runs of
them by compiled patterns.
"""

import io
import re
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from paste_proxy.grammar import json_text
from paste_proxy.grammar.events import Path

DEPTH_LIMIT = 128
"""Levels of nesting. Tool schemas have a handful; decoders give up at about a thousand."""

REPORT_LIMIT = 16_384
"""Values told one by one, the first of each document. Batches of edits have some hundreds; and 10 MB of
`[1,1,...` would else become a GB of news that nobody can use."""

VALUE_LIMIT = 1_000_000
"""Values of one document: more than a million tokens spell. A bound on memory: an object takes 64 bytes and
more where its text takes three."""

BLANKS = " \t\n\r"
"""The white space of JSON."""


class Grown(msgspec.Struct, frozen=True, gc=False):
    """More of the string at `path`, decoded; half an escape or half a surrogate pair waits for the rest."""

    path: Path
    text: str


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """The value at `path` is complete. It is a part of the whole value: not to be changed."""

    path: Path
    value: Any


_Box: TypeAlias = dict[str, Any] | list[Any]

# States: what comes next, and what is being read.
_VALUE, _ITEM_OR_END, _KEY, _KEY_OR_END, _COLON, _COMMA_OR_END, _STRING, _NAME, _NUMBER, _WORD, _OVER = range(
    11
)

_Match: TypeAlias = Callable[[str, int], re.Match[str] | None]
_BLANK: _Match = re.compile(f"[{BLANKS}]*+").match
_NUMERIC: _Match = re.compile(r"[-+.0-9eE]*+").match
_BODY: _Match = json_text.BODY.match
_WORDS: dict[str, tuple[str, Any]] = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}

_decode_number = msgspec.json.Decoder().decode


class JsonStream:
    """Reads one value. Keeps it, and so all of its text: whoever feeds it bounds its length.

    About 1 us per value and 1 us per piece; the characters of long strings cost next to nothing.
    """

    __slots__ = (
        "_box",
        "_escape",
        "_key",
        "_left",
        "_meaning",
        "_path",
        "_prefix",
        "_room",
        "_root_object",
        "_sink",
        "_stack",
        "_state",
        "_word",
        "complete",
        "fault",
        "found",
        "value",
    )

    def __init__(self, *, root_object: bool = True) -> None:
        """`root_object`: anything but an object is a fault, at its first character."""
        self.found: list[Grown | Sealed] = []
        """What became known, in this order; whoever reads it clears it. Each value inside the whole one, the
        first `REPORT_LIMIT` of them: items before their list. A string that is the whole grows at path `()`."""
        self.complete = False
        self.fault = ""
        """Why this can't become a value; once set, it stays."""
        self.value: Any = None
        """The whole value, when complete."""
        self._root_object = root_object
        self._state = _VALUE
        self._box: _Box | None = None
        """The innermost list or object that is open, its path, and the key in it that has no value yet."""
        self._prefix: Path = ()
        self._key = ""
        self._stack: list[tuple[_Box | None, Path, str]] = []
        self._left = REPORT_LIMIT
        self._room = VALUE_LIMIT
        """How many more values are told, and how many may come."""
        self._path: Path = ()
        """Of the string that is being read."""
        self._sink: io.StringIO | None = None
        """Earlier pieces of the string or number that is being read."""
        self._escape = ""
        """The beginning of an escape."""
        self._word = ""
        self._meaning: bool | None = None
        """What is missing of `true`, `false` or `null`, and its value."""

    @property
    def started(self) -> bool:
        """Something other than white space has come."""
        return self._state != _VALUE or self._box is not None

    def feed(self, text: str, at: int = 0) -> int:
        """Reads `text[at:]`. Returns where it stopped: at the end of `text`, just behind the last character of
        the value, or at the one that is at fault, which is the same character however the text is cut."""
        if self._state >= _STRING and at < len(text):
            at = self._resume(text, at)
        while at < len(text) and (state := self._state) < _STRING:
            if (char := text[at]) not in BLANKS:
                at = self._read_mark(text, at, char, state)
            else:
                at = _end(_BLANK, text, at)
        return at

    def _resume(self, text: str, at: int) -> int:
        """On with what the last text was cut in."""
        state = self._state
        if state <= _NAME:
            return self._read_string(text, at)
        if state == _NUMBER:
            return self._read_number(text, at)
        if state == _WORD:
            return self._read_word(text, at)
        return at

    def settle(self) -> None:
        """The number at hand won't go on: it is complete, though no other character has come."""
        if self._state == _NUMBER:
            self._end_number("", 0)

    def end(self) -> None:
        """No more text: what is not complete is at fault. Only a number can become complete by that."""
        self.settle()
        if self._state != _OVER:
            self._fail("incomplete", 0)

    def _read_mark(self, text: str, at: int, char: str, state: int) -> int:
        """The first character of something; no white space."""
        if state == _COMMA_OR_END:
            if char == ",":
                self._state = _KEY if type(self._box) is dict else _VALUE
            elif char == ("}" if type(self._box) is dict else "]"):
                self._close()
            else:
                return self._fail("no comma and no end behind a value", at)
            return at + 1
        if state == _COLON:
            if char != ":":
                return self._fail("no colon behind a key", at)
            self._state = _VALUE
            return at + 1
        if state >= _KEY:
            return self._begin_key(text, at, char, state)
        return self._begin_value(text, at, char, state)

    def _begin_key(self, text: str, at: int, char: str, state: int) -> int:
        if char == '"':
            self._state = _NAME
            return self._read_string(text, at + 1)
        if char == "}" and state == _KEY_OR_END:
            self._close()
            return at + 1
        return self._fail("no key where one must be", at)

    def _begin_value(self, text: str, at: int, char: str, state: int) -> int:
        if char == "]" and state == _ITEM_OR_END:
            self._close()
            return at + 1
        if not self._room:
            return self._fail(f"more than {VALUE_LIMIT} values", at)
        self._room -= 1
        if char == "{":
            return self._open({}, _KEY_OR_END, at)
        if self._root_object and self._box is None:
            return self._fail("not a JSON object", at)
        if char == '"':
            self._state = _STRING
            if self._left:
                self._path = self._place()
            return self._read_string(text, at + 1)
        if char in "-0123456789":
            self._state = _NUMBER
            return self._read_number(text, at)
        if char == "[":
            return self._open([], _ITEM_OR_END, at)
        if char in _WORDS:
            self._state = _WORD
            self._word, self._meaning = _WORDS[char]
            return self._read_word(text, at)
        return self._fail("no value where one must be", at)

    def _open(self, box: _Box, state: int, at: int) -> int:
        if len(self._stack) == DEPTH_LIMIT:
            return self._fail(f"nested deeper than {DEPTH_LIMIT} levels", at)
        prefix = self._place() if self._left else ()
        self._stack.append((self._box, self._prefix, self._key))
        self._box, self._prefix, self._state = box, prefix, state
        return at + 1

    def _close(self) -> None:
        value = self._box
        self._box, self._prefix, self._key = self._stack.pop()
        self._put(value)

    def _place(self) -> Path:
        """Where the next value stands."""
        box = self._box
        if box is None:
            return ()
        return (*self._prefix, self._key if type(box) is dict else len(box))

    def _put(self, value: Any) -> None:
        """A value is complete."""
        box = self._box
        if box is None:
            self.value = value
            self.complete = True
            self._state = _OVER
            return
        if self._left:
            self._left -= 1
            self.found.append(Sealed(self._place(), value))
        if type(box) is dict:
            box[self._key] = value
        else:
            box.append(value)  # type: ignore[union-attr]
        self._state = _COMMA_OR_END

    def _read_string(self, text: str, at: int) -> int:
        """On from inside a string."""
        head = ""
        if self._escape:
            at, head = self._end_escape(text, at)
            if not head:
                return at
        end = _end(_BODY, text, at)
        run = text[at:end]
        if "\\" in run:
            run = json_text.unescape(run)
        if head:
            run = head + run
        if run and self._left and self._state == _STRING:
            self.found.append(Grown(self._path, run))
        if end == len(text):
            self._keep(run)
            return end
        if text[end] == '"':
            self._end_string(run)
            return end if self.fault else end + 1
        self._keep(run)
        return self._stop_in_string(text, end)

    def _stop_in_string(self, text: str, at: int) -> int:
        """At half an escape, or at what can't stand in a string."""
        if text[at] == "\\":
            rest = text[at : at + json_text.ESCAPE_SIZE]
            begun = json_text.begun(rest)
            if begun == len(rest):
                self._escape = rest
                return at + begun
            return self._fail("an invalid escape in a string", at + begun)
        lone = json_text.is_half(text[at])
        return self._fail("half a surrogate pair" if lone else "a control character in a string", at)

    def _end_escape(self, text: str, at: int) -> tuple[int, str]:
        """Reads on in an escape; the text that it stands for is empty while it is not complete."""
        before = len(self._escape)
        escape = self._escape + text[at : at + json_text.ESCAPE_SIZE]
        match = json_text.ESCAPE.match(escape)
        if match is not None:
            self._escape = ""
            return at + match.end() - before, json_text.unescape(match[0])
        begun = json_text.begun(escape)
        if begun == len(escape):
            self._escape = escape
            return len(text), ""
        return self._fail("an invalid escape in a string", at + begun - before), ""

    def _end_string(self, run: str) -> None:
        if self._sink is not None:
            run = self._take(run)
        if self._state == _STRING:
            self._put(run)
        elif run in self._box:  # type: ignore[operator]
            self._fail("an object with duplicate keys", 0)
        else:
            self._key = run
            self._state = _COLON

    def _read_number(self, text: str, at: int) -> int:
        """It ends where another character stands."""
        end = _end(_NUMERIC, text, at)
        if end == len(text):
            self._keep(text[at:end])
            return end
        return self._end_number(text[at:end], end)

    def _end_number(self, run: str, at: int) -> int:
        if self._sink is not None:
            run = self._take(run)
        try:
            value = _decode_number(run)
        except msgspec.ValidationError:
            return self._fail("a number out of range", at)
        except msgspec.DecodeError:
            return self._fail("an invalid number", at)
        self._put(value)
        return at

    def _read_word(self, text: str, at: int) -> int:
        word = self._word
        come = text[at : at + len(word)]
        if not word.startswith(come):
            wrong = next(n for n, char in enumerate(come) if char != word[n])
            return self._fail("no value where one must be", at + wrong)
        self._word = word[len(come) :]
        if not self._word:
            self._put(self._meaning)
        return at + len(come)

    def _keep(self, run: str) -> None:
        if self._sink is None:
            self._sink = io.StringIO()
        self._sink.write(run)

    def _take(self, run: str) -> str:
        """All of the string or number, with its last run."""
        sink = self._sink
        assert sink is not None
        self._sink = None
        sink.write(run)
        return sink.getvalue()

    def _fail(self, why: str, at: int) -> int:
        self.fault = why
        self._state = _OVER
        return at


def _end(match: _Match, text: str, at: int) -> int:
    """Where what matches from `at` on ends; the pattern matches nothing, too."""
    found = match(text, at)
    assert found is not None
    return found.end()
