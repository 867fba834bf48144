"""Calls written as JSON objects, `{"name": "f", "arguments": {...}}`, one or a list of them, as they arrive.

A name is known at its closing quote, an argument as soon as its value is complete, the call at the end of its
arguments: before the object that holds it ends. The keys may come in any order, and others beside them are
passed over. A name or arguments that come twice are a fault: decoders disagree on which counts.
"""

import io
import re
from collections.abc import Callable, Collection
from typing import TypeAlias

from paste_proxy.grammar.calls import SIZE_LIMIT
from paste_proxy.grammar.formats.pythonic import Found
from paste_proxy.grammar.json_stream import BLANKS, Grown, JsonStream

ASIDE = frozenset({"type", "id", "index"})
"""Keys that models write before the name of a call; any other there, and a doubtful object is none."""

NAME = "name"
ARGUMENTS = frozenset({"arguments", "parameters"})
"""Keys: of the name, and of the arguments, which are an object, or one encoded as a string."""

UNTOLD_LIMIT = 1_000_000
"""Characters of one object or list that are kept without being told: keys, values beside the arguments, and
arguments that come before their name, which may have a file in them. All else has some hundreds."""

_BLANK = re.compile(f"[{BLANKS}]*+")


class ObjectCalls:
    """Reads one object or list, piece by piece, in linear time; never raises. In the manner of `CallList`."""

    __slots__ = (
        "_early",
        "_key",
        "_listed",
        "_named",
        "_room",
        "_step",
        "_stream",
        "_told",
        "_tools",
        "complete",
        "decided",
        "fault",
        "found",
        "refused",
    )

    def __init__(self, tools: Collection[str] = (), *, marked: bool = True) -> None:
        """Without a mark it is a call where it names one of `tools`; if no tools are known, where arguments
        follow a name."""
        self.found: list[Found] = []
        """In order; the caller takes and clears. Empty until `decided`."""
        self.decided = marked
        self.refused = False
        """What was fed is text."""
        self.complete = False
        self.fault = ""
        """Why it can't be read on; the calls that were closed before are whole."""
        self._tools = tools
        self._room = UNTOLD_LIMIT
        self._told = 0
        """Characters of arguments: the stream that reads them keeps them."""
        self._step: _Step = ObjectCalls._begin
        self._listed = False
        self._key = ""
        self._stream = JsonStream(root_object=False)
        """Reads the key or the value that is next."""
        self._named = ""
        """The name of this object's call."""
        self._early: io.StringIO | None = None
        """Arguments that came before the name; None while none came at all."""

    def feed(self, text: str, at: int = 0) -> int:
        """Read `text[at:]`; returns where it stopped: the end, the first character behind it, or the one at
        fault."""
        end = len(text)
        while at < end and not (self.complete or self.refused or self.fault):
            at = self._step(self, text, at)
        return at

    def give_up(self, why: str) -> None:
        """What comes next is nothing that could be fed."""
        self._fail(why, 0)

    # The list and its objects.

    def _begin(self, text: str, at: int) -> int:
        at = _skip(text, at)
        if at == len(text):
            return at
        if text[at] == "[" and not self._listed:
            self._listed = True
            self._step = ObjectCalls._item_or_end
            return at + 1
        if text[at] != "{":
            return self._fail("no JSON object where a call should be", at)
        self._named, self._early = "", None
        self._step = ObjectCalls._member_or_end
        return at + 1

    def _item_or_end(self, text: str, at: int) -> int:
        at = _skip(text, at)
        if at == len(text):
            return at
        if text[at] == "]":
            return self._end(at)
        self._step = ObjectCalls._begin
        return at

    def _behind(self, text: str, at: int) -> int:
        """Behind an object of a list."""
        at = _skip(text, at)
        if at == len(text):
            return at
        if text[at] == "]":
            return self._end(at)
        if text[at] != ",":
            return self._fail("no comma and no end behind a call", at)
        self._step = ObjectCalls._begin
        return at + 1

    def _end(self, at: int) -> int:
        """Nothing that was decided, and it is no call after all."""
        self.complete, self.refused = self.decided, not self.decided
        return at + 1

    # The members of one object.

    def _member_or_end(self, text: str, at: int) -> int:
        at = _skip(text, at)
        if at < len(text) and text[at] == "}":
            return self._close(at)
        return self._member(text, at)

    def _member(self, text: str, at: int) -> int:
        at = _skip(text, at)
        if at == len(text):
            return at
        if text[at] != '"':
            return self._fail("no key where one must be", at)
        self._stream = JsonStream(root_object=False)
        self._step = ObjectCalls._read_key
        return at

    def _read_key(self, text: str, at: int) -> int:
        at = self._read(text, at)
        if self._read_whole:
            self._key = self._stream.value
            self._step = ObjectCalls._colon
        return at

    def _colon(self, text: str, at: int) -> int:
        at = _skip(text, at)
        if at == len(text):
            return at
        if text[at] != ":":
            return self._fail("no colon behind a key", at)
        self._step = ObjectCalls._value
        return at + 1

    def _value(self, text: str, at: int) -> int:
        """Where a value begins: whose it is decides how it is read."""
        at = _skip(text, at)
        if at == len(text):
            return at
        self._stream = JsonStream(root_object=False)
        if self._key == NAME:
            if self._named:
                return self._fail("a call with two names", at)
            self._step = ObjectCalls._read_name
        elif self._key in ARGUMENTS:
            if self._early is not None:
                return self._fail("a call with two sets of arguments", at)
            return self._begin_arguments(text[at], at)
        elif not self.decided and self._key not in ASIDE:
            return self._refuse(at)
        else:
            self._step = ObjectCalls._pass_over
        return at

    def _begin_arguments(self, first: str, at: int) -> int:
        self._early = io.StringIO()
        self._step = _ARGUMENTS.get(first, ObjectCalls._no_arguments)
        return at

    def _read_name(self, text: str, at: int) -> int:
        if text[at] != '"' and not self._stream.started:
            return self._fail("a name that is no string", at)
        at = self._read(text, at)
        if self._read_whole:
            self._named = self._stream.value
            if not self._named:
                return self._fail("an empty name", at)
            self._decide()
            self._step = ObjectCalls._behind_member
        return at

    def _decide(self) -> None:
        """A name is known, and perhaps arguments."""
        early = self._early
        if not self.decided:
            known = self._named in self._tools if self._tools else early is not None
            if self._tools and not known:
                self.refused = True
            if not known:
                return
            self.decided = True
        self.found.append(("open", self._named))
        if early is not None and early.tell():
            self.found.append(("text", early.getvalue()))
            self._early = io.StringIO()

    def _object_arguments(self, text: str, at: int) -> int:
        stop = self._read_arguments(text, at)
        self._stream.found.clear()
        if stop > at:
            self._say(text[at:stop])
        return self._end_arguments(stop)

    def _encoded_arguments(self, text: str, at: int) -> int:
        """JSON text in a JSON string."""
        stop = self._read_arguments(text, at)
        for news in self._stream.found:
            if type(news) is Grown:
                self._say(news.text)
        self._stream.found.clear()
        return self._end_arguments(stop)

    def _null_arguments(self, text: str, at: int) -> int:
        """`null` stands for none."""
        stop = self._read_arguments(text, at)
        if self._read_whole:
            self._say("{}")
        return self._end_arguments(stop)

    def _no_arguments(self, text: str, at: int) -> int:
        return self._fail("arguments that are no object", at)

    def _read_arguments(self, text: str, at: int) -> int:
        if not self._named:
            return self._keep(at, self._stream.feed(text, at))
        end = at + SIZE_LIMIT - self._told
        stop = self._stream.feed(text[:end], at)
        self._told += stop - at
        if stop == end < len(text) and not self._stream.complete:
            return self._fail(f"arguments of more than {SIZE_LIMIT} characters", stop)
        return stop

    def _end_arguments(self, at: int) -> int:
        if self._read_whole:
            self._step = ObjectCalls._behind_member
        elif self._stream.fault and not self.fault:
            return self._fail(self._stream.fault, at)
        return at

    def _say(self, piece: str) -> None:
        """More of the arguments."""
        if self.decided and self._named:
            self.found.append(("text", piece))
        elif self._early is not None:
            self._early.write(piece)
            if self._named:
                self._decide()

    def _pass_over(self, text: str, at: int) -> int:
        at = self._read(text, at)
        if self._read_whole:
            self._step = ObjectCalls._behind_member
        return at

    def _behind_member(self, text: str, at: int) -> int:
        at = _skip(text, at)
        if at == len(text):
            return at
        if text[at] == "}":
            return self._close(at)
        if text[at] != ",":
            return self._fail("no comma and no end behind a value", at)
        self._step = ObjectCalls._member
        return at + 1

    def _close(self, at: int) -> int:
        """The object is over."""
        if not self.decided:
            return self._refuse(at)
        if not self._named:
            return self._fail("a call without a name", at)
        self.found.append(("close", ""))
        if self._listed:
            self._step = ObjectCalls._behind
            return at + 1
        return self._end(at)

    def _read(self, text: str, at: int) -> int:
        """On in the value; what is inside it is of no interest here."""
        stop = self._keep(at, self._stream.feed(text, at))
        self._stream.found.clear()
        if self._stream.fault and not self.fault:
            return self._fail(self._stream.fault, stop)
        return stop

    @property
    def _read_whole(self) -> bool:
        return self._stream.complete and not self.fault and not self.refused

    def _keep(self, at: int, stop: int) -> int:
        """What was read up to `stop` is kept, and not told; fails where that becomes too much."""
        if stop - at > self._room:
            return self._fail(
                f"more than {UNTOLD_LIMIT} characters beside the arguments of a call", at + self._room
            )
        self._room -= stop - at
        return stop

    def _refuse(self, at: int) -> int:
        self.refused = True
        return at

    def _fail(self, why: str, at: int) -> int:
        if not self.decided:
            return self._refuse(at)
        self.fault = why
        return at


_Step: TypeAlias = Callable[[ObjectCalls, str, int], int]
_ARGUMENTS: dict[str, _Step] = {
    "{": ObjectCalls._object_arguments,
    '"': ObjectCalls._encoded_arguments,
    "n": ObjectCalls._null_arguments,
}


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match is not None else at
