"""Lists of Python calls, `[f(a=1, b="x"), g()]`, as they arrive: what llama 4, ToolACE and LFM2 write.

A call's name is known at its `(`, an argument with the character behind it, the call at its `)`. Names may be
dotted, and Python's keywords may name arguments (`f(from=1)`). A call with an argument that is no literal or
has no name (`f(1)`, `f(**d)`) is told as broken, and the calls behind it are read on: SGLang's pythonic parser
leaves positional arguments out instead, and hands on what is left of the call; its lfm2 parser drops the
call, as is done here.
"""

import re
from collections.abc import Callable, Collection
from typing import Literal, TypeAlias

from paste_proxy.grammar.formats.python_literal import LiteralStream, skip_blank
from paste_proxy.grammar.formats.python_source import SourceScanner

NAME_LIMIT = 256
"""Characters of a name. The OpenAI API allows 64; names with a server's prefix are longer."""

_NAME = re.compile(r"[\w.]*")
_WORD = re.compile(r"\w*")
_PLAIN_NAME = re.compile(r"[^\W\d]\w*")
_DOTTED = re.compile(rf"{_PLAIN_NAME.pattern}(?:\.{_PLAIN_NAME.pattern})*")

NO_LIST = r"[ \t\r\n\f]*+(?:[\w.]++[^\w.(]|[^ \t\r\n\f\w.])"
"""What a `CallList` that is in doubt refuses behind its `[`: anything but a name and `(`."""

Found: TypeAlias = tuple[Literal["open", "text", "close", "broken"], str]
"""News of one call after the other: its name, more of the JSON text of its arguments, its end, or why there is
none."""


class CallList:
    """Reads one list piece by piece, in linear time. Never raises.

    The text is ambiguous: `[1] as said there` and `[a link](there)` begin alike. It is a list of calls
    (`decided`) where the first name is one of `names`, or, if no names are known, where `name=` or `)` follows
    the bracket behind it. Else it is `refused`, and what was fed is text.
    """

    __slots__ = (
        "_any_name",
        "_bare",
        "_first",
        "_literal",
        "_names",
        "_pending",
        "_skipper",
        "_step",
        "_token",
        "complete",
        "decided",
        "fault",
        "found",
        "refused",
    )

    def __init__(self, names: Collection[str] = (), *, marked: bool = False, any_name: bool = False) -> None:
        """`marked`: the list stands behind a special token, so that there is no doubt; one call may stand there
        without a list too. `any_name`: the shape decides, as if no names were known."""
        self.found: list[Found] = []
        """In order; the caller takes and clears. Empty until `decided`."""
        self.decided = marked
        self.refused = False
        self.complete = False
        """The list's `]` was read, or the end of a call without one."""
        self.fault = ""
        """Why a list that was decided can't be read on; the calls before are whole."""
        self._names = names
        self._any_name = any_name
        self._step: _Step = CallList._bracket
        self._bare = False
        """One call without a list."""
        self._token = ""
        self._pending = ""
        """The name of a call that is not yet decided to be one."""
        self._first = True
        """No argument of this call has come yet."""
        self._literal: LiteralStream | None = None
        """Reads the value of this argument."""
        self._skipper: SourceScanner | None = None
        """Looks for the end of a call that is broken."""

    def feed(self, text: str, at: int = 0) -> int:
        """Read `text[at:]`; returns where it stopped: the end, or the first character behind the list."""
        end = len(text)
        while at < end and not (self.complete or self.refused or self.fault):
            at = self._step(self, text, at)
        return at

    def _bracket(self, text: str, at: int) -> int:
        at = skip_blank(text, at)
        if at == len(text):
            return at
        if text[at] == "[":
            self._step = CallList._item
            return at + 1
        self._bare = self.decided
        if not self._bare:
            return self._refuse("no list", at)
        self._step = CallList._name
        return at

    def _item(self, text: str, at: int) -> int:
        """Where a call begins, or the list ends behind a comma."""
        at = skip_blank(text, at)
        if at == len(text):
            return at
        if text[at] == "]" and self.decided:
            self.complete = True
            return at + 1
        self._step = CallList._name
        return at

    def _name(self, text: str, at: int) -> int:
        at = self._gather(_NAME, text, at)
        if at == len(text) or self.refused or self.fault:
            return at
        name, self._token = self._token, ""
        if text[at] != "(" or not _DOTTED.fullmatch(name):
            return self._refuse(f"{name + text[at]!r} where a call should begin", at)
        self._first = True
        self._pending = name
        if self.decided or name in self._names:
            self._decide()
        elif self._names and not self._any_name:
            return self._refuse("no known name", at)
        self._step = CallList._argument
        return at + 1

    def _decide(self) -> None:
        """This is a call."""
        if self._pending:
            self.decided = True
            self.found.append(("open", self._pending))
            self._pending = ""

    def _argument(self, text: str, at: int) -> int:
        """Where an argument begins, or the call ends."""
        at = skip_blank(text, at)
        if at == len(text):
            return at
        if text[at] == ")":
            self._decide()
            return self._close(at)
        self._step = CallList._key
        return at

    def _key(self, text: str, at: int) -> int:
        at = self._gather(_WORD, text, at)
        if at < len(text) and not (self.refused or self.fault):
            self._step = CallList._equals
        return at

    def _equals(self, text: str, at: int) -> int:
        at = skip_blank(text, at)
        if at == len(text):
            return at
        key, self._token = self._token, ""
        if text[at] != "=" or not _PLAIN_NAME.fullmatch(key):
            return self._break("an argument without a name", text, at)
        self._decide()
        opening = "{" if self._first else ", "
        self._first = False
        self.found.append(("text", f'{opening}"{key}": '))
        self._literal = LiteralStream()
        self._step = CallList._value
        return at + 1

    def _value(self, text: str, at: int) -> int:
        literal = self._literal
        assert literal is not None
        at = literal.feed(text, at)
        if literal.out:
            self.found.append(("text", "".join(literal.out)))
            literal.out.clear()
        if literal.complete:
            self._step = CallList._behind_value
        elif literal.fault:
            return self._break(literal.fault, text, at)
        return at

    def _behind_value(self, text: str, at: int) -> int:
        at = skip_blank(text, at)
        if at == len(text):
            return at
        if text[at] == ",":
            self._step = CallList._argument
            return at + 1
        if text[at] == ")":
            return self._close(at)
        return self._break("an expression as an argument", text, at)

    def _close(self, at: int) -> int:
        self.found.append(("text", "{}" if self._first else "}"))
        self.found.append(("close", ""))
        self._end_call()
        return at + 1

    def _end_call(self) -> None:
        self.complete = self._bare
        self._step = CallList._behind_call

    def _behind_call(self, text: str, at: int) -> int:
        at = skip_blank(text, at)
        if at == len(text):
            return at
        if text[at] not in ",]":
            return self._refuse(f"{text[at]!r} behind a call", at)
        self.complete = text[at] == "]"
        self._step = CallList._item
        return at + 1

    def _break(self, why: str, text: str, at: int) -> int:
        """This call can't be told whole; find its end, so that the next one can."""
        if not self.decided:
            return self._refuse(why, at)
        self.found.append(("broken", why))
        literal = self._literal or LiteralStream()
        self._skipper = SourceScanner(depth=1 + literal.depth, quote=literal.quote)
        self._literal = None
        self._step = CallList._skip
        return at

    def _skip(self, text: str, at: int) -> int:
        skipper = self._skipper
        assert skipper is not None
        at = skipper.feed(text, at)
        if skipper.depth == 0:
            self._end_call()
        return at

    def _gather(self, pattern: re.Pattern[str], text: str, at: int) -> int:
        match = pattern.match(text, at, at + NAME_LIMIT + 1 - len(self._token))
        if match is not None:
            self._token += match[0]
            at = match.end()
        if len(self._token) > NAME_LIMIT:
            return self._refuse(f"a name of more than {NAME_LIMIT} characters", at)
        return at

    def _refuse(self, why: str, at: int) -> int:
        """Text, if no call was told of; else the end of what can be read."""
        if self.decided:
            self.fault = why
        else:
            self.refused = True
        return at


_Step: TypeAlias = Callable[[CallList, str, int], int]
