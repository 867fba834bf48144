"""One reply as far as it has been read: what every dialect does with what it has decoded.

A dialect decodes the engine's JSON and says here what it means; the events come out the same for all of them.
"""

from collections.abc import Hashable, Sequence
from typing import Protocol

from paste_proxy.grammar.calls import CallAssembler
from paste_proxy.grammar.events import (
    CallOpened,
    ContentText,
    GrammarEvent,
    Malformed,
    ReasoningText,
    TurnEnded,
    Usage,
    UsageReported,
)
from paste_proxy.grammar.requests import RequestTool
from paste_proxy.grammar.sse import SseDecoder


class TextReader(Protocol):
    """Reads the content of one reply: tells it as content, and what calls it finds in it. Never raises."""

    def feed(self, text: str, at: int, out: list[GrammarEvent]) -> None: ...

    def end(self, at: int, out: list[GrammarEvent], *, finished: bool) -> None: ...


class Reply:
    """The state of one turn. Each method appends what its news mean to `out`; `at` is the byte it stands at."""

    __slots__ = ("_called_in_text", "_calls", "_reported", "_text", "_tools", "ended", "out")

    def __init__(self, text: TextReader | None = None, tools: Sequence[RequestTool] = ()) -> None:
        """`text` reads the content, where nobody before us has looked for calls in it; `tools` are those that
        the request offers, against whose schemas calls are held."""
        self._text = text
        self._tools = tools
        self._called_in_text = False
        self.out: list[GrammarEvent] = []
        self.ended = False
        """The model has stopped, or the reply was cut off: no more calls."""
        self._calls: CallAssembler | None = None
        self._reported: Usage | None = None

    def reasoning(self, text: str) -> None:
        self.out.append(ReasoningText(text))

    def content(self, text: str, at: int) -> None:
        if self._text is None:
            self.out.append(ContentText(text))
            return
        before = len(self.out)
        self._text.feed(text, at, self.out)
        if not self._called_in_text:
            self._called_in_text = any(type(one) is CallOpened for one in self.out[before:])

    def call(self, index: Hashable, call_id: str, name: str, arguments: str, at: int) -> None:
        """A delta of a call: see `CallAssembler.delta`."""
        if self._text is not None:
            self._calls_come_apart(at)
        if self.ended:
            self.out.append(Malformed("tool calls after the end of the turn", at))
        else:
            self._assembler().delta(index, call_id, name, arguments, at, self.out)

    def close_call(self, index: Hashable, at: int) -> None:
        """Nothing more will come for this call."""
        if not self.ended:
            self._assembler().close(index, at, self.out)

    def unreadable(self, why: str, at: int) -> None:
        """Part of the reply was lost, and any open call may have lost text with it."""
        self.out.append(Malformed(why, at))
        self._assembler().spoil()
        self._end_text(at, finished=False)

    def usage(self, usage: Usage) -> None:
        """Engines repeat the last report; it counts once."""
        if usage != self._reported:
            self._reported = usage
            self.out.append(UsageReported(usage))

    def end(self, reason: str, at: int, *, finished: bool) -> None:
        """The model stopped; only the first reason counts. `finished`: by itself, so that a call without
        arguments is a whole call."""
        if self.ended:
            return
        self.ended = True
        self._end_text(at, finished=finished)
        if self._calls is not None:
            self._calls.end(at, self.out, finished=finished)
        self.out.append(TurnEnded(reason))

    def cut(self, at: int) -> None:
        """The reply is over; if the model had not stopped, it was cut off."""
        if self.ended:
            return
        self.ended = True
        self._end_text(at, finished=False)
        if self._calls is not None:
            self._calls.end(at, self.out, finished=False)
        self.out.append(Malformed("the reply ended before the model did", at))

    def take(self) -> Sequence[GrammarEvent]:
        """The events since the last time."""
        out = self.out
        if out:
            self.out = []
        return out

    def _calls_come_apart(self, at: int) -> None:
        """Somebody has looked for calls in the content after all: what is left there is none."""
        if self._called_in_text:
            self.out.append(Malformed("calls both in the content and beside it", at))
        self._end_text(at, finished=False)

    def _end_text(self, at: int, *, finished: bool) -> None:
        text, self._text = self._text, None
        if text is not None:
            text.end(at, self.out, finished=finished)

    def _assembler(self) -> CallAssembler:
        """Made late: most replies have no call."""
        if self._calls is None:
            self._calls = CallAssembler(self._tools)
        return self._calls


class Dialect(Protocol):
    """How one API says a reply. An instance reads one reply, and may remember what it needs."""

    def read(self, payload: bytes, at: int) -> None:
        """One event of a stream, or the whole of a reply that is one JSON document. Never raises."""


class StreamReader:
    """Reads one streamed reply of any dialect. Neither method raises, whatever the bytes.

    After an event that can't be read no call is sealed any more: its text may have been in it. After an
    event over the size limit nothing more is read at all.
    """

    __slots__ = ("_at_end", "_read", "_reply", "_sse")

    def __init__(self, dialect: Dialect, reply: Reply) -> None:
        """`reply` is the one that `dialect` tells."""
        self._sse = SseDecoder()
        self._reply = reply
        self._read = dialect.read
        self._at_end = False
        """After `[DONE]`, or where the framing is lost."""

    def feed(self, data: bytes) -> Sequence[GrammarEvent]:
        """What these bytes of the body say; they may be cut anywhere."""
        if self._at_end:
            return ()
        reply, sse, read = self._reply, self._sse, self._read
        for at, payload in sse.feed(data):
            if payload == b"[DONE]":
                self._at_end = True
                reply.cut(at)
                return reply.take()
            if payload:
                read(payload, at)
        if sse.fault:
            self._at_end = True
            reply.out.append(Malformed(sse.fault, sse.at))
            reply.cut(sse.at)
        return reply.take()

    def end(self) -> Sequence[GrammarEvent]:
        """The body is over, or won't go on."""
        self._at_end = True
        self._reply.cut(self._sse.at)
        return self._reply.take()
