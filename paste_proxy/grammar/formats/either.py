"""Calls that are written as Python or as JSON objects: what stands in the list decides."""

from paste_proxy.grammar.formats.objects import OPENING_LIMIT, ObjectCalls
from paste_proxy.grammar.formats.pythonic import CallList, Found
from paste_proxy.grammar.json_stream import BLANKS

_OPENING = BLANKS + "["


class EitherCalls:
    """Reads one list, piece by piece, in linear time; never raises. In the manner of `CallList`."""

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
            if text[at] in _OPENING and len(self._opening) < OPENING_LIMIT:
                self._opening += text[at]
                at += 1
            else:
                self._reader = self._objects if text[at] == "{" else self._calls
                self._reader.feed(self._opening)
        return at if self._reader is None else self._reader.feed(text, at)
