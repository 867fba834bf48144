"""An event stream that is rewritten event by event: what is not understood keeps its bytes."""

import re
from collections.abc import Callable

from paste_proxy.grammar.sse import EVENT_LIMIT

RewriteEvent = Callable[[bytes], bytes | None]
"""The payload of an event in; None: leave the event as it is; else the events to send in its place, framed."""

# The line endings of one event agree in practice; a mixed pair, LF and CR LF, ends one too.
_END = re.compile(rb"\r?\n\r?\n|\r\r")
_END_BYTES = 4


def framed(payload: bytes) -> bytes:
    """One event, as SGLang and vLLM write theirs."""
    return b"data: " + payload + b"\n\n"


class EventRewriter:
    """Bytes in, bytes out. A whole event leaves with the bytes that complete it; only a part of one is held.

    Holds at most one event of `EVENT_LIMIT` bytes: beyond it, everything passes as it is. Takes time linear in
    the bytes, however they come.
    """

    def __init__(self, rewrite: RewriteEvent) -> None:
        self._rewrite = rewrite
        self._parts: list[bytes] = []
        """Of an event that is not complete."""
        self._size = 0
        self._tail = b""
        """Its last bytes, in which its end may have begun."""
        self._held = b""
        self._at = 0
        """What is at hand, and how much of it is through."""
        self._done: list[bytes] = []
        """Events that are through, of the bytes at hand."""
        self._blind = False

    def feed(self, data: bytes) -> bytes:
        """What to send on. Where `rewrite` raises, `release` has all that was not sent."""
        if self._blind:
            return data
        if not self._parts and _is_one_event(data):
            return self._whole(data)
        window = self._tail + data
        self._parts.append(data)
        self._size += len(data)
        if _END.search(window) is None:
            return self._keep(window)
        self._rewrite_all(max(0, self._size - len(window)))
        done, self._done = self._done, []
        return done[0] if len(done) == 1 else b"".join(done)

    def _keep(self, window: bytes) -> bytes:
        self._tail = window[1 - _END_BYTES :]
        self._blind = self._size > EVENT_LIMIT
        return self.release() if self._blind else b""

    def _rewrite_all(self, searched: int) -> None:
        """The events that are complete; `searched` bytes hold no end."""
        self._held, self._at = b"".join(self._parts), 0
        self._parts.clear()
        for end in _END.finditer(self._held, searched):
            self._done.append(self._event(self._held[self._at : end.end()]))
            self._at = end.end()
        rest, self._held, self._at = self._held[self._at :], b"", 0
        self._size, self._tail = len(rest), rest[1 - _END_BYTES :]
        if rest:
            self._parts.append(rest)

    def _whole(self, event: bytes) -> bytes:
        self._held = event
        rewritten = self._rewrite(event[6:-2])
        self._held = b""
        return event if rewritten is None else rewritten

    def release(self) -> bytes:
        """What is held, as it came; for the end of a stream, and where rewriting failed."""
        held = b"".join((*self._done, self._held[self._at :], *self._parts))
        self._done, self._held, self._at, self._parts = [], b"", 0, []
        self._size, self._tail = 0, b""
        return held

    def _event(self, event: bytes) -> bytes:
        line = event.rstrip(b"\r\n")
        if not line.startswith(b"data:") or b"\n" in line or b"\r" in line:
            return event  # a comment, a named event, or data in several lines: not of a chat stream
        payload = line[5:].lstrip(b" ")
        rewritten = self._rewrite(payload)
        return event if rewritten is None else rewritten


def _is_one_event(data: bytes) -> bool:
    """As engines send them."""
    if not data.startswith(b"data: ") or not data.endswith(b"\n\n"):
        return False
    return data.find(b"\n") == len(data) - 2 and data.find(b"\r") < 0
