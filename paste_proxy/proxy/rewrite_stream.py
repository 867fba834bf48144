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

    Holds at most one event of `EVENT_LIMIT` bytes: beyond it, everything passes as it is.
    """

    def __init__(self, rewrite: RewriteEvent) -> None:
        self._rewrite = rewrite
        self._held = b""
        self._at = 0
        """How much of it is through."""
        self._done: list[bytes] = []
        """Events that are through, of the bytes at hand."""
        self._blind = False

    def feed(self, data: bytes) -> bytes:
        """What to send on. Where `rewrite` raises, `release` has all that was not sent."""
        if self._blind:
            return data
        if (
            not self._held
            and data.startswith(b"data: ")
            and data.endswith(b"\n\n")
            and data.find(b"\n") == len(data) - 2
            and data.find(b"\r") < 0
        ):  # one whole event, as engines send them
            return self._whole(data)
        searched = max(0, len(self._held) - _END_BYTES + 1)
        self._held = held = self._held + data if self._held else data
        self._at = 0
        for end in _END.finditer(held, searched):
            self._done.append(self._event(held[self._at : end.end()]))
            self._at = end.end()
        self._held, self._at = held[self._at :], 0
        self._blind = len(self._held) > EVENT_LIMIT
        if self._blind:
            return self.release()
        done, self._done = self._done, []
        return done[0] if len(done) == 1 else b"".join(done)

    def _whole(self, event: bytes) -> bytes:
        self._held = event
        rewritten = self._rewrite(event[6:-2])
        self._held = b""
        return event if rewritten is None else rewritten

    def release(self) -> bytes:
        """What is held, as it came; for the end of a stream, and where rewriting failed."""
        held = b"".join((*self._done, self._held[self._at :]))
        self._done, self._held, self._at = [], b"", 0
        return held

    def _event(self, event: bytes) -> bytes:
        line = event.rstrip(b"\r\n")
        if not line.startswith(b"data:") or b"\n" in line or b"\r" in line:
            return event  # a comment, a named event, or data in several lines: not of a chat stream
        payload = line[5:].lstrip(b" ")
        rewritten = self._rewrite(payload)
        return event if rewritten is None else rewritten
