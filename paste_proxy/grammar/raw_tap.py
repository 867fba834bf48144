"""The raw text of a reply beside its parsed stream: what it says before the engine's parser lets it through.

Engines hold a call back while they parse it, some until its end. `RawTap` reads the text with the same format
and tells what is new in it, as `Foreseen`. The parsed stream remains what counts: where the two disagree,
nothing is foreseen any more in this reply.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from paste_proxy.grammar.events import (
    ArgumentGrown,
    ArgumentSealed,
    ArgumentText,
    CallOpened,
    CallSealed,
    Foreseen,
    GrammarEvent,
    Malformed,
    Path,
)


class RawReader(Protocol):
    """What is needed of `formats.TextReader`."""

    def feed(self, text: str, at: int, out: list[GrammarEvent]) -> None: ...


_CallEvent = CallOpened | ArgumentText | ArgumentGrown | ArgumentSealed | CallSealed


class _Told:
    """What one side has said of one call."""

    __slots__ = ("characters", "grown", "name", "sealed", "values")

    def __init__(self) -> None:
        self.name = ""
        self.characters = 0
        self.grown: dict[Path, int] = {}
        self.values: set[Path] = set()
        self.sealed: CallSealed | None = None

    def agrees(self, other: "_Told") -> bool:
        """As far as both have come."""
        if self.name and other.name and self.name != other.name:
            return False
        mine, theirs = self.sealed, other.sealed
        return mine is None or theirs is None or mine.canonical == theirs.canonical


class RawTap:
    """Merges the two sides of one reply. Calls of tools that the request does not offer are passed over:
    engines drop them, so that the ordinals of both sides agree."""

    def __init__(self, reader: RawReader, tools: Iterable[str]) -> None:
        """`reader` reads the backend's format; `tools` are the names that the request offers."""
        self._reader = reader
        self._tools = frozenset(tools)
        self._at = 0
        self._parsed: dict[int, _Told] = {}
        self._raw: dict[int, _Told] = {}
        self._ordinals: dict[int, int] = {}
        """Of a call in the text: its place among those whose tool is offered."""
        self.foreseen = 0
        """Events told ahead."""
        self.disagrees = False
        """The text said another call than the parsed stream: its format is another, or is read otherwise."""
        self._lost = False
        """The text could not be read on."""

    @property
    def missed(self) -> bool:
        """The parsed stream told calls, and the text none at all: it is of another format."""
        told = any(one.sealed is not None for one in self._parsed.values())
        return told and not self._raw and not self._lost

    def parsed(self, events: Sequence[GrammarEvent]) -> None:
        """What the parsed stream says. Nothing of it is foreseen from now on."""
        for event in events:
            if isinstance(event, _CallEvent):
                told = self._parsed.setdefault(event.ordinal, _Told())
                _note(told, event)
                if type(event) is CallOpened or type(event) is CallSealed:
                    self._compare(event.ordinal)

    def raw(self, text: str) -> list[Foreseen]:
        """More of the raw text: what it says that the parsed stream has not said yet."""
        if self.disagrees or self._lost or not text:
            return []
        events: list[GrammarEvent] = []
        self._reader.feed(text, self._at, events)
        self._at += len(text)
        out: list[Foreseen] = []
        for event in events:
            if isinstance(event, _CallEvent):
                self._foresee(event, out)
            elif type(event) is Malformed:
                self._lost = True
                break
        self.foreseen += len(out)
        return out

    def _foresee(self, event: _CallEvent, out: list[Foreseen]) -> None:
        if type(event) is CallOpened and event.name in self._tools:
            self._ordinals[event.ordinal] = len(self._ordinals)
        ordinal = self._ordinals.get(event.ordinal)
        if ordinal is None:
            return
        event = msgspec.structs.replace(event, ordinal=ordinal)
        raw = self._raw.setdefault(ordinal, _Told())
        parsed = self._parsed.get(ordinal)
        news = event if parsed is None else _beyond(event, raw, parsed)
        _note(raw, event)
        self._compare(ordinal)
        if news is not None and not self.disagrees:
            out.append(Foreseen(news))

    def _compare(self, ordinal: int) -> None:
        raw, parsed = self._raw.get(ordinal), self._parsed.get(ordinal)
        if raw is not None and parsed is not None and not raw.agrees(parsed):
            self.disagrees = True


def _note(told: _Told, event: _CallEvent) -> None:
    match event:
        case CallOpened(name=name):
            told.name = name
        case ArgumentText(text=text):
            told.characters += len(text)
        case ArgumentGrown(path=path, text=text):
            told.grown[path] = told.grown.get(path, 0) + len(text)
        case ArgumentSealed(path=path):
            told.values.add(path)
        case CallSealed():
            told.sealed = event


def _beyond(event: _CallEvent, raw: _Told, parsed: _Told) -> _CallEvent | None:
    """What of `event`, the next from the text, the parsed stream has not said."""
    if parsed.sealed is not None:
        return None
    match event:
        case CallOpened():
            return None if parsed.name else event
        case ArgumentText(ordinal, text):
            text = _tail(text, raw.characters, parsed.characters)
            return ArgumentText(ordinal, text) if text else None
        case ArgumentGrown(ordinal, path, text):
            if path in parsed.values:
                return None
            text = _tail(text, raw.grown.get(path, 0), parsed.grown.get(path, 0))
            return ArgumentGrown(ordinal, path, text) if text else None
        case ArgumentSealed(path=path):
            return None if path in parsed.values else event
        case CallSealed():
            return event


def _tail(text: str, begins: int, told: int) -> str:
    """That part of `text`, which begins at character `begins`, that is beyond `told` characters."""
    return text[max(0, told - begins) :]
