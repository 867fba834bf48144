"""What readers of a format find (names, JSON text, ends: `Found`) becomes calls; what agents write as plain
content (ReAct lines, fenced shell, fenced Python) goes on as content beside them.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from paste_proxy.grammar.calls import CallAssembler, Standing
from paste_proxy.grammar.events import ContentText, GrammarEvent, Malformed
from paste_proxy.grammar.formats.pythonic import Found
from paste_proxy.grammar.requests import RequestTool


class Observer(Protocol):
    """Reads content that stays content."""

    found: list[Found]

    def feed(self, text: str) -> None: ...

    def end(self, *, finished: bool) -> None: ...


def parameters(tools: Sequence[RequestTool]) -> dict[str, tuple[str, ...]]:
    """The names of the parameters of each tool, in the order of its schema."""
    known = {}
    for tool in tools:
        properties = tool.parameters.get("properties")
        known[tool.name] = tuple(properties) if isinstance(properties, Mapping) else ()
    return known


class FoundCalls:
    """Makes calls of what a reader found, one after the other."""

    __slots__ = ("_assembler", "_count", "is_open")

    def __init__(self, assembler: CallAssembler) -> None:
        self._assembler = assembler
        self._count = 0
        self.is_open = False
        """A call was opened, and not closed."""

    def tell(self, found: list[Found], at: int, out: list[GrammarEvent]) -> None:
        """Takes what is in `found`."""
        for kind, text in found:
            if kind == "open":
                self.open(text, "", at, out)
            elif kind == "text":
                self.say(text, at, out)
            elif kind == "close":
                self.close(at, out)
            else:
                self.fail(text, at, out)
        found.clear()

    def open(self, name: str, call_id: str, at: int, out: list[GrammarEvent]) -> None:
        self._count += 1
        self.is_open = True
        self._assembler.delta(self._count, call_id, name, "", at, out)

    def say(self, text: str, at: int, out: list[GrammarEvent]) -> None:
        """More of the JSON text of its arguments."""
        self._assembler.delta(self._count, "", "", text, at, out)

    def read(self, text: str, place: int, at: int, out: list[GrammarEvent]) -> tuple[int, Standing]:
        """As `CallAssembler.read`, for the call that is open."""
        stop, standing = self._assembler.read(self._count, text, place, at, out)
        self.is_open = standing == "open"
        return stop, standing

    def settle(self, at: int, out: list[GrammarEvent]) -> None:
        """The value at the end of what was said is complete."""
        self._assembler.settle(self._count, at, out)

    def close(self, at: int, out: list[GrammarEvent]) -> None:
        self.is_open = False
        self._assembler.close(self._count, at, out)

    def fail(self, why: str, at: int, out: list[GrammarEvent]) -> None:
        """The call that is open can't be told whole; without one, something that may have been one."""
        self.is_open = False
        before = len(out)
        self._assembler.fail(self._count, why, at, out)
        if len(out) == before:
            out.append(Malformed(why, at))

    def end(self, at: int, out: list[GrammarEvent], *, finished: bool) -> None:
        self._assembler.end(at, out, finished=finished)


class ObservedText:
    """Content that is given out as it comes, with the calls that an observer finds in it."""

    __slots__ = ("_observer", "_told")

    def __init__(self, observer: Observer, calls: CallAssembler) -> None:
        self._observer = observer
        self._told = FoundCalls(calls)

    def feed(self, text: str, at: int, out: list[GrammarEvent]) -> None:
        out.append(ContentText(text))
        observer = self._observer
        observer.feed(text)
        if observer.found:
            self._told.tell(observer.found, at, out)

    def end(self, at: int, out: list[GrammarEvent], *, finished: bool) -> None:
        self._observer.end(finished=finished)
        self._told.tell(self._observer.found, at, out)
        self._told.end(at, out, finished=finished)
