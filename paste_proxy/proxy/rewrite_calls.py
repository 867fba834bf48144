"""`parse: proxy`: turns the raw text of one reply into the deltas that an engine with a parser would send.

Nothing of the model's text is lost: where the format's reader finds it malformed, the text goes on as content.
"""

import secrets
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from paste_proxy.grammar.events import (
    ArgumentText,
    CallOpened,
    CallSealed,
    ContentText,
    GrammarEvent,
    Malformed,
    ReasoningText,
)

Delta = dict[str, Any]
"""The `delta` of a chunk: what it says, without the keys that say nothing."""

FINISHED = frozenset({"stop", "tool_calls"})
"""Reasons that mean that the model said all it wanted (as in `grammar.dialects.chat`)."""


class RawReader(Protocol):
    """What is needed of `grammar.formats.TextReader`."""

    @property
    def settled(self) -> int: ...

    def feed(self, text: str, at: int, out: list[GrammarEvent]) -> None: ...

    def end(self, at: int, out: list[GrammarEvent], *, finished: bool) -> None: ...


def new_call_id() -> str:
    """As OpenAI and SGLang make them: `call_` and 24 hexadecimal digits."""
    return f"call_{secrets.token_hex(12)}"


class CallWriter:
    """Raw text of one reply in, deltas out, each as soon as the format's reader is sure of it."""

    def __init__(self, reader: RawReader, new_id: Callable[[], str] = new_call_id) -> None:
        self._reader = reader
        self._new_id = new_id
        self._at = 0
        self._plain = False
        """Malformed: from here on everything is content."""
        self._open: set[int] = set()
        self._without_arguments: set[int] = set()
        self.calls = 0
        self.ended = False
        self._raw: deque[str] = deque()
        """The text that is not settled, in the pieces in which it came."""
        self._raw_from = 0
        """Characters before it."""

    @property
    def open_calls(self) -> frozenset[int]:
        """Calls that were begun and are not whole, by their place."""
        return frozenset(self._open)

    def feed(self, text: str) -> list[Delta]:
        if self._plain:
            return [{"content": text}]
        events: list[GrammarEvent] = []
        self._reader.feed(text, self._at, events)
        self._at += len(text)
        self._raw.append(text)
        deltas: list[Delta] = []
        for event in events:
            if type(event) is Malformed:
                self._fall_back(deltas)
                return deltas
            self._tell(event, deltas)
        self._forget_settled()
        return deltas

    def end(self, reason: str) -> tuple[list[Delta], str]:
        """What was held back, and the finish reason: `tool_calls` for `stop` if there were calls, all whole."""
        self.ended = True
        deltas: list[Delta] = []
        if not self._plain:
            events: list[GrammarEvent] = []
            self._reader.end(self._at, events, finished=reason in FINISHED)
            self._tell_last(events, deltas, finished=reason in FINISHED)
        whole = self.calls and not self._open
        return deltas, "tool_calls" if whole and reason == "stop" else reason

    def give_up(self) -> list[Delta]:
        """What was held back, as content: no more of this reply will be read."""
        deltas: list[Delta] = []
        if not self._plain and not self.ended:
            self._fall_back(deltas)
        return deltas

    def _tell_last(self, events: list[GrammarEvent], deltas: list[Delta], *, finished: bool) -> None:
        """Of an open call that was cut off the client has what came of it, as from an engine."""
        for event in events:
            if type(event) is not Malformed:
                self._tell(event, deltas)
            elif finished or not self._open:
                self._fall_back(deltas)
                return

    def _tell(self, event: GrammarEvent, deltas: list[Delta]) -> None:
        match event:
            case ContentText(text):
                _add_text(deltas, "content", text)
            case ReasoningText(text):
                _add_text(deltas, "reasoning_content", text)
            case CallOpened(ordinal, call_id, name):
                self.calls += 1
                self._open.add(ordinal)
                self._without_arguments.add(ordinal)
                function = {"name": name, "arguments": ""}
                call = {
                    "id": call_id or self._new_id(),
                    "index": ordinal,
                    "type": "function",
                    "function": function,
                }
                deltas.append({"tool_calls": [call]})
            case ArgumentText(ordinal, text):
                self._without_arguments.discard(ordinal)
                _add_arguments(deltas, ordinal, text)
            case CallSealed(ordinal):
                self._open.discard(ordinal)
                if ordinal in self._without_arguments:
                    _add_arguments(deltas, ordinal, event.arguments)

    def _fall_back(self, deltas: list[Delta]) -> None:
        """The text that is not settled becomes content."""
        self._plain = True
        rest = "".join(self._raw)[max(0, self._reader.settled - self._raw_from) :]
        self._raw.clear()
        if rest:
            _add_text(deltas, "content", rest)

    def _forget_settled(self) -> None:
        settled = self._reader.settled
        while self._raw and self._raw_from + len(self._raw[0]) <= settled:
            self._raw_from += len(self._raw.popleft())


def _add_text(deltas: list[Delta], key: str, text: str) -> None:
    if deltas and key in deltas[-1]:
        deltas[-1][key] += text
    else:
        deltas.append({key: text})


def _add_arguments(deltas: list[Delta], ordinal: int, text: str) -> None:
    calls = deltas[-1].get("tool_calls") if deltas else None
    if calls and calls[-1]["index"] == ordinal:
        calls[-1]["function"]["arguments"] += text
    else:
        deltas.append({"tool_calls": [{"index": ordinal, "function": {"arguments": text}}]})
