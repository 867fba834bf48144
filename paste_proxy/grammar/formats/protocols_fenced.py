"""Agents whose model writes into a block what to run: a shell command (mini-swe-agent), Python (smolagents).

The blocks are found where the agents' own regular expressions find them: anywhere in the text, inside of other
blocks too, and up to the first thing that looks like their end.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeAlias

from paste_proxy.grammar.formats.python_code import CodeReader
from paste_proxy.grammar.formats.python_string import json_string_body
from paste_proxy.grammar.formats.pythonic import Found
from paste_proxy.grammar.formats.until import Trim, Until

_INFO = re.compile(r"[^`\n]*")
_INFO_LIMIT = 64
"""Characters behind the back-ticks that open a block; more than any language's name."""


class Body:
    """What is done with the text of a block."""

    def open(self) -> None:
        """A block begins."""

    def feed(self, text: str) -> None:
        """More of its text."""

    def close(self, *, whole: bool) -> None:
        """It is over; `whole`: its end was read, or the agent takes the end of the turn for it."""


class CommandBody(Body):
    """The whole block is the one argument of one call, sealed at the block's end."""

    def __init__(self, tool: str, argument: str, found: list[Found]) -> None:
        self._tool = tool
        self._opening = f'{{"{json_string_body(argument)}": "'
        self._found = found
        self._trim = Trim()

    def open(self) -> None:
        self._trim = Trim()
        self._found += (("open", self._tool), ("text", self._opening))

    def feed(self, text: str) -> None:
        piece = self._trim.feed(text)
        if piece:
            self._found.append(("text", json_string_body(piece)))

    def close(self, *, whole: bool) -> None:
        if whole:
            self._found += (("text", '"}'), ("close", ""))
        else:
            self._found.append(("broken", "the block was not closed"))


class CodeBody(Body):
    """The block is Python code, and its calls are the calls."""

    def __init__(self, tools: Mapping[str, Sequence[str]], found: list[Found]) -> None:
        self._found = found
        self._code = CodeReader(tools)

    def feed(self, text: str) -> None:
        self._code.feed(text)
        self._move()

    def close(self, *, whole: bool) -> None:
        self._code.end(whole=whole)
        self._move()

    def _move(self) -> None:
        if self._code.found:
            self._found += self._code.found
            self._code.found.clear()


class BlockReader:
    """Finds blocks in plain text and hands their text to a `Body`; in linear time, never raises.

    Markdown blocks of some `languages`, which end at the next line that begins with three back-ticks; or what
    stands between two `tags`.
    """

    __slots__ = (
        "_body",
        "_closing",
        "_ends_open",
        "_info",
        "_languages",
        "_opening",
        "_step",
        "_until",
        "found",
    )

    def __init__(
        self,
        body: Callable[[list[Found]], Body],
        *,
        languages: Collection[str] = (),
        tags: tuple[str, str] = ("```", "\n```"),
        ends_open: bool = False,
    ) -> None:
        """`body` gets the list to tell its calls in. `ends_open`: the agent stops the model at the closing tag,
        so that a turn ends inside of its block."""
        self.found: list[Found] = []
        """The calls, as of `CallList`; the caller takes and clears."""
        self._body = body(self.found)
        self._languages = languages
        self._opening, self._closing = tags
        self._ends_open = ends_open
        self._until = Until(self._opening)
        self._step: _Step = BlockReader._outside
        self._info = ""

    def feed(self, text: str, at: int = 0) -> None:
        end = len(text)
        while at < end:
            at = self._step(self, text, at)

    def end(self, *, finished: bool) -> None:
        """The turn is over; `finished`: the model ended it, or one of the client's stop strings."""
        if self._step is BlockReader._inside:
            whole = finished and self._ends_open
            if whole:
                self._body.feed(self._until.held)
            self._body.close(whole=whole)
            self._step = BlockReader._outside

    def _outside(self, text: str, at: int) -> int:
        _, at = self._until.feed(text, at)
        if self._until.reached:
            self._info = ""
            if self._languages:
                self._step = BlockReader._language
            else:
                self._enter()
        return at

    def _language(self, text: str, at: int) -> int:
        """What stands behind the back-ticks, up to the end of the line."""
        if not self._info and text[at] == "`":
            return at + 1
        match = _INFO.match(text, at, at + _INFO_LIMIT)
        if match is not None:
            self._info += match[0]
            at = match.end()
        if len(self._info) >= _INFO_LIMIT:
            self._leave()
        elif at < len(text):
            if text[at] == "\n" and self._info.rstrip() in self._languages:
                self._enter()
                return at + 1
            self._leave()
        return at

    def _inside(self, text: str, at: int) -> int:
        piece, at = self._until.feed(text, at)
        if piece:
            self._body.feed(piece)
        if self._until.reached:
            self._body.close(whole=True)
            self._leave()
        return at

    def _enter(self) -> None:
        self._until = Until(self._closing)
        self._step = BlockReader._inside
        self._body.open()

    def _leave(self) -> None:
        self._until = Until(self._opening)
        self._step = BlockReader._outside


_Step: TypeAlias = Callable[[BlockReader, str, int], int]
