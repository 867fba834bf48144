"""Replies that are rewritten on their way (`raw_tap`, `parse: proxy`), and what happens when that fails.

Promise 3 holds here too: whatever raises in a rewriter is counted, and from there on bytes pass as they are.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec

from paste_proxy.proxy.http1 import ReplyHead
from paste_proxy.proxy.rewrite_calls import CallWriter
from paste_proxy.proxy.rewrite_chat import ChatStreamWriter
from paste_proxy.proxy.rewrite_stream import EventRewriter, RewriteEvent
from paste_proxy.proxy.tap import OFF_LOOP_BYTES
from paste_proxy.proxy.upstream import Exchange, Outgoing, Sink

Report = Callable[[str, Exception], None]
"""Counts and logs a failure: `tap.Failures.report`."""

Begin = Callable[[ReplyHead], Sink]
"""Sends the head to the client; gives the sink for the body, which the tap sees."""


class OptIn(Protocol):
    """What an opt-in does to one request and its reply."""

    def sent_as(self, outgoing: Outgoing) -> Outgoing: ...

    def refused(self, head: ReplyHead) -> bool:
        """Perhaps because of what was added: the request goes again as it came."""
        ...

    def sent_again(self, head: ReplyHead) -> None:
        """That request's reply begins, which is relayed as it is."""
        ...

    async def relay(self, head: ReplyHead, exchange: Exchange, begin: Begin) -> None:
        """Carries the reply to its end. Raises as `Exchange.relay`."""
        ...


class Rewriter(Protocol):
    """Of one streamed reply: bytes in, bytes out, nothing held that could go out."""

    def feed(self, data: bytes) -> bytes: ...

    def held(self) -> bytes:
        """New events for text that was read and not told; for the end, and after a failure."""
        ...

    def release(self) -> bytes:
        """Bytes that were not read; never raises."""
        ...


class EventsRewriter:
    """One event for another, or for none."""

    def __init__(self, rewrite: RewriteEvent) -> None:
        events = EventRewriter(rewrite)
        self.feed = events.feed
        self.release = events.release

    def held(self) -> bytes:
        return b""


class CallsRewriter(EventsRewriter):
    """Raw text for tool calls."""

    def __init__(self, new_writer: Callable[[], CallWriter]) -> None:
        chat = ChatStreamWriter(new_writer)
        super().__init__(chat)
        self._chat = chat

    def held(self) -> bytes:
        return self._chat.give_up()


class RewritingSink:
    """A sink that passes on what its rewriter makes of the bytes; `after` runs when they have gone on."""

    def __init__(
        self, sink: Sink, rewriter: Rewriter, report: Report, after: Callable[[], None] | None = None
    ) -> None:
        self._sink = sink
        self._rewriter: Rewriter | None = rewriter
        self._report = report
        self._after = after
        self.drain = sink.drain

    def take(self, data: bytes) -> bool:
        takes_more = self._put(self._rewritten(data))
        if self._after is not None:
            self._after()
        return takes_more

    def end(self) -> None:
        """The body is over."""
        rewriter, self._rewriter = self._rewriter, None
        if rewriter is not None:
            self._put(self._left(rewriter))

    def _rewritten(self, data: bytes) -> bytes:
        rewriter = self._rewriter
        if rewriter is None:
            return data
        try:
            return rewriter.feed(data)
        except Exception as error:  # noqa: BLE001 - the boundary, as in tap.py
            self._rewriter = None
            self._report("rewriting a reply", error)
            return self._left(rewriter)

    def _left(self, rewriter: Rewriter) -> bytes:
        held = b""
        try:
            held = rewriter.held()
        except Exception as error:  # noqa: BLE001 - the boundary, as in tap.py
            self._report("rewriting the rest of a reply", error)
        return held + rewriter.release()

    def _put(self, data: bytes) -> bool:
        """An empty chunk would be the end of a chunked body."""
        return self._sink.take(data) if data else True


class WholeReplySink:
    """Keeps a reply that is one JSON document until it is complete; then sends it rewritten, its length too.

    Its head waits as long, which costs no time: such a reply comes in one piece. Beyond `limit` bytes it
    passes as it is.
    """

    def __init__(
        self,
        head: ReplyHead,
        begin: Begin,
        rewrite: Callable[[bytes], bytes],
        report: Report,
        limit: int,
    ) -> None:
        self._head = head
        self._begin = begin
        self._rewrite = rewrite
        self._report = report
        self._left = limit
        self._parts: list[bytes] = []
        self._sink: Sink | None = None

    def take(self, data: bytes) -> bool:
        if self._sink is not None:
            return self._sink.take(data)
        self._parts.append(data)
        self._left -= len(data)
        if self._left >= 0:
            return True
        self._sink = self._begin(self._head)
        return self._sink.take(b"".join(self._parts))

    async def drain(self) -> None:
        if self._sink is not None:
            await self._sink.drain()

    async def end(self) -> None:
        """The body is complete."""
        if self._sink is not None:
            return
        body = b"".join(self._parts)
        try:
            if len(body) > OFF_LOOP_BYTES:
                body = await asyncio.to_thread(self._rewrite, body)
            else:
                body = self._rewrite(body)
        except Exception as error:  # noqa: BLE001 - the boundary, as in tap.py
            self._report("rewriting a reply", error)
        sink = self._begin(with_length(self._head, len(body)))
        if body:
            sink.take(body)


def with_length(head: ReplyHead, length: int | None) -> ReplyHead:
    """`head` for a body of another length; None: chunked."""
    fields = tuple(field for field in head.fields if field[0].lower() != b"content-length")
    if length is not None:
        fields = (*fields, (b"content-length", b"%d" % length))
    return msgspec.structs.replace(head, fields=fields, chunked=length is None, length=length)
