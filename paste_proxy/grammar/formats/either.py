"""Calls that may be written in two ways: what stands in their beginning decides."""

from paste_proxy.grammar.formats.objects import ObjectCalls
from paste_proxy.grammar.formats.python_literal import LiteralStream
from paste_proxy.grammar.formats.pythonic import CallList, Found
from paste_proxy.grammar.json_stream import BLANKS

OPENING_LIMIT = 64
"""Characters of white space and brackets before what decides: two brackets, and indentation."""


class EitherCalls:
    """Python's calls, or JSON objects in their place. In the manner of `CallList`."""

    __slots__ = ("_calls", "_objects", "_opening", "_reader")

    def __init__(self, calls: CallList, objects: ObjectCalls) -> None:
        """Both behind a mark, so that what stands there is a call."""
        self._calls = calls
        self._objects = objects
        self._opening = ""
        """What came before anything that decides."""
        self._reader: CallList | ObjectCalls | None = None

    @property
    def found(self) -> list[Found]:
        return (self._reader or self._calls).found

    @property
    def decided(self) -> bool:
        return True

    @property
    def refused(self) -> bool:
        return False

    @property
    def complete(self) -> bool:
        return self._reader is not None and self._reader.complete

    @property
    def fault(self) -> str:
        return "" if self._reader is None else self._reader.fault

    def feed(self, text: str, at: int = 0) -> int:
        """As `CallList.feed`."""
        end = len(text)
        while self._reader is None and at < end:
            if text[at] in BLANKS + "[" and len(self._opening) < OPENING_LIMIT:
                self._opening += text[at]
                at += 1
            else:
                self._reader = self._objects if text[at] == "{" else self._calls
                self._reader.feed(self._opening)
        return at if self._reader is None else self._reader.feed(text, at)


class LiteralCalls:
    """JSON objects, or Python's dicts: the first quote decides. In the manner of `CallList`."""

    __slots__ = ("_decides", "_literal", "_objects", "_opening")

    def __init__(self, objects: ObjectCalls) -> None:
        self._objects = objects
        self._opening = ""
        """What came before the first quote."""
        self._decides = True
        """No quote yet, or what else can't stand before one."""
        self._literal: LiteralStream | None = None

    @property
    def found(self) -> list[Found]:
        return self._objects.found

    @property
    def decided(self) -> bool:
        return self._objects.decided

    @property
    def refused(self) -> bool:
        return self._objects.refused

    @property
    def complete(self) -> bool:
        return self._objects.complete

    @property
    def fault(self) -> str:
        literal = self._literal
        over = literal is None or literal.complete or literal.fault
        return self._objects.fault if over else ""

    def feed(self, text: str, at: int = 0) -> int:
        """As `ObjectCalls.feed`."""
        if self._decides:
            at = self._open(text, at)
        if self._literal is not None:
            return self._read_literal(self._literal, text, at)
        return at if self._decides else self._objects.feed(text, at)

    def _open(self, text: str, at: int) -> int:
        end = len(text)
        while at < end and text[at] in BLANKS + "[{" and len(self._opening) < OPENING_LIMIT:
            self._opening += text[at]
            at += 1
        if at < end:
            self._decides = False
            if text[at] == "'":
                self._literal = LiteralStream(joins=False)
                self._read_literal(self._literal, self._opening, 0)
            else:
                self._objects.feed(self._opening)
        return at

    def _read_literal(self, literal: LiteralStream, text: str, at: int) -> int:
        """While there is doubt one character at a time, and behind a fault to the literal's end, so that where
        it stops does not depend on the cuts."""
        objects, end = self._objects, len(text)
        while at < end and not (self.complete or self.refused or self.fault):
            if objects.decided:
                at = literal.feed(text, at)
            else:
                at += literal.feed(text[at])
            if literal.out:
                objects.feed("".join(literal.out))
                literal.out.clear()
            if literal.fault:
                objects.give_up(literal.fault)
        return at
