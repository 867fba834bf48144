"""What agents write as plain content, read beside it: ReAct lines, fenced shell, fenced Python, lists of calls.

The readers of these texts know nothing of events: they find names, JSON text and ends (`Found`). Here the text
goes on as content, and what is found becomes calls.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from paste_proxy.grammar.calls import CallAssembler
from paste_proxy.grammar.events import ContentText, GrammarEvent
from paste_proxy.grammar.formats.pythonic import CallList, Found
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
    """Makes calls of what a reader found."""

    __slots__ = ("_calls", "_count")

    def __init__(self, calls: CallAssembler) -> None:
        self._calls = calls
        self._count = 0

    def tell(self, found: list[Found], at: int, out: list[GrammarEvent]) -> None:
        """Takes what is in `found`."""
        calls = self._calls
        for kind, text in found:
            if kind == "open":
                self._count += 1
                calls.delta(self._count, "", text, "", at, out)
            elif kind == "text":
                calls.delta(self._count, "", "", text, at, out)
            elif kind == "close":
                calls.close(self._count, at, out)
            else:
                calls.fail(self._count, text, at, out)
        found.clear()

    def end(self, at: int, out: list[GrammarEvent], *, finished: bool) -> None:
        self._calls.end(at, out, finished=finished)


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


class ListedCalls:
    """Content with lists of calls in it, which are taken out of it.

    A list is looked for in the beginning of the content, behind white space; where the tools are known,
    at any `[`, as SGLang's pythonic parser does. Text that may yet be a list is held back: no more than a name.
    """

    __slots__ = ("_held", "_list", "_make", "_seek", "_started", "_told")

    def __init__(self, make: Callable[[], CallList], calls: CallAssembler, *, anywhere: bool) -> None:
        self._make = make
        self._list: CallList | None = make()
        self._seek = "[" if anywhere else ""
        self._held: list[str] = []
        """What was fed to a list that is not decided."""
        self._told = FoundCalls(calls)

    def feed(self, text: str, at: int, out: list[GrammarEvent]) -> None:
        place = 0
        while place < len(text):
            if self._list is None:
                place = self._content(text, place, out)
            else:
                place = self._listed(self._list, text, place, at, out)

    def end(self, at: int, out: list[GrammarEvent], *, finished: bool) -> None:
        self._give_back(out)
        self._told.end(at, out, finished=finished)

    def _content(self, text: str, place: int, out: list[GrammarEvent]) -> int:
        found = text.find(self._seek, place) if self._seek else -1
        stop = found if found >= 0 else len(text)
        if stop > place:
            out.append(ContentText(text[place:stop]))
        if found >= 0:
            self._list = self._make()
        return stop

    def _listed(self, calls: CallList, text: str, place: int, at: int, out: list[GrammarEvent]) -> int:
        stop = calls.feed(text, place)
        if not calls.decided:
            self._held.append(text[place:stop])
        elif calls.found:
            self._held.clear()
            self._told.tell(calls.found, at, out)
        if calls.refused:
            self._give_back(out)
        if calls.complete or calls.fault or calls.refused:
            self._list = None
        return stop

    def _give_back(self, out: list[GrammarEvent]) -> None:
        if self._held:
            out.append(ContentText("".join(self._held)))
            self._held.clear()
