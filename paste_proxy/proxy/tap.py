"""The tap: reads a turn while it passes, and tells the core of it.

It is the boundary behind which nothing can harm a request: whatever raises in a reader, in the
identity or in the runtime's hooks is counted, logged once per cause, and goes no further. The tap
sees a chunk only after it was written to the client.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from paste_proxy.events import AdmitTurn
from paste_proxy.grammar.dialects import Api, TextReader, read_reply, stream_reader
from paste_proxy.grammar.events import Foreseen, GrammarEvent, TurnEnded
from paste_proxy.grammar.requests import RequestTool
from paste_proxy.proxy.counters import RelayCounters
from paste_proxy.proxy.http1 import ReplyHead
from paste_proxy.proxy.upstream import Sink

log = logging.getLogger(__name__)

OFF_LOOP_BYTES = 256 * 1024
"""Larger bodies are parsed in a thread: decoding them holds the loop for more than about a millisecond."""


EVENT_STREAM = b"text/event-stream"
JSON = b"application/json"


def media_type(head: ReplyHead) -> bytes:
    return (head.get(b"content-type") or b"").partition(b";")[0].strip().lower()


def is_identity(head: ReplyHead) -> bool:
    """The body is not compressed."""
    return (head.get(b"content-encoding") or b"identity").lower() == b"identity"


class Turn(Protocol):
    """What the plane tells the runtime of an admitted turn: `turn_handle.TurnHandle`."""

    admission: AdmitTurn
    """To which backend it goes."""

    def sent(self) -> None: ...

    async def refused(self) -> bool:
        """The backend did not take it. True once another shall: `admission` says which."""
        ...

    def feed(self, events: Iterable[GrammarEvent]) -> None: ...

    def close(self, *, complete: bool, unread: bool = False) -> None: ...


class Failures:
    """Counts what fails behind the boundary, and logs each cause once."""

    def __init__(self, counters: RelayCounters) -> None:
        self._counters = counters

    def report(self, where: str, error: Exception) -> None:
        cause = f"{where}: {type(error).__name__}"
        if self._counters.tap_failure(cause):
            log.error("%s; the request is served all the same; logged once", cause, exc_info=error)


class _Reader(Protocol):
    def feed(self, data: bytes) -> Sequence[GrammarEvent]: ...

    def end(self) -> Sequence[GrammarEvent]: ...


class _WholeReply:
    """A reply that is one JSON object: kept until it is complete, up to `limit` bytes."""

    def __init__(self, api: Api, text: TextReader | None, tools: Sequence[RequestTool], limit: int) -> None:
        self._api = api
        self._text = text
        self._tools = tools
        self._left = limit
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> Sequence[GrammarEvent]:
        self._left -= len(data)
        if self._left < 0:
            raise ValueError("a reply longer than limits.body_bytes is not read")
        self._parts.append(data)
        return ()

    @property
    def size(self) -> int:
        return sum(map(len, self._parts))

    def end(self) -> Sequence[GrammarEvent]:
        return read_reply(self._api, b"".join(self._parts), self._text, tools=self._tools)


class Tap:
    """Follows one turn: `aim`, `sent`, `opened`, `feed` per chunk, `finish`, and `close`, once. As a context it
    closes what was left open: the turn has a place at its backend."""

    def __init__(
        self,
        turn: Turn | None,
        counters: RelayCounters,
        failures: Failures,
        limit: int,
        api: Api = Api.CHAT,
        tools: Sequence[RequestTool] = (),
    ) -> None:
        """`turn` is None where there is nobody to tell; `limit`: see `_WholeReply`. `tools` are those that the
        request offers."""
        self._turn = turn
        self._api = api
        self._new_text: Callable[[], TextReader | None] = lambda: None
        self._tools = tools
        self._counters = counters
        self._failures = failures
        self._limit = limit
        self._reader: _Reader | None = None
        self._begins = False
        """A stream of which nothing has come yet."""
        self._unread = False
        """The client got a reply that was not read, or not to its end."""
        self.ended = False
        """The model has stopped: a client that leaves now misses nothing of the turn."""
        self.heard: Callable[[Sequence[GrammarEvent]], None] | None = None
        """Is told the same events as the turn."""

    def __enter__(self) -> "Tap":
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close(complete=False)

    def aim(self, new_text: Callable[[], TextReader | None]) -> None:
        """At a backend, or at another. `new_text` makes what reads its reply's text, if calls are there."""
        self._new_text = new_text
        self.heard = None

    def sent(self) -> None:
        """To a backend, or then to another: each has its own time to read the prompt."""
        if self._turn is not None:
            try:
                self._turn.sent()
            except Exception as error:  # noqa: BLE001 - the boundary
                self._failures.report("turn sent", error)

    def opened(self, head: ReplyHead) -> None:
        """The reply begins: chooses how to read it. An error's body says nothing of the turn."""
        if self._turn is None or head.status != 200:
            return
        media = media_type(head) if is_identity(head) else b""
        try:
            if media == EVENT_STREAM:
                self._reader = stream_reader(self._api, self._new_text(), tools=self._tools)
                self._begins = True
            elif media == JSON:
                self._reader = _WholeReply(self._api, self._new_text(), self._tools, self._limit)
            else:
                self._counters.untapped_replies += 1
        except Exception as error:  # noqa: BLE001 - the boundary
            self._failures.report("choosing a reader", error)
        self._unread = self._reader is None

    def feed(self, data: bytes) -> None:
        reader = self._reader
        if reader is not None:
            try:
                if (events := reader.feed(data)) or self._begins:
                    self._begins = False
                    self._tell(events)
            except Exception as error:  # noqa: BLE001 - the boundary
                self._reader = None
                self._unread = True
                self._failures.report("reading a reply", error)

    async def finish(self) -> None:
        """The reply is complete: reads what only its end tells."""
        reader, self._reader = self._reader, None
        if reader is None:
            return
        try:
            if isinstance(reader, _WholeReply) and reader.size > OFF_LOOP_BYTES:
                self._tell(await asyncio.to_thread(reader.end))
            else:
                self._tell(reader.end())
        except Exception as error:  # noqa: BLE001 - the boundary
            self._unread = True
            self._failures.report("reading a reply", error)

    def close(self, *, complete: bool) -> None:
        turn, self._turn, self._reader = self._turn, None, None
        if turn is not None:
            try:
                turn.close(complete=complete or self.ended, unread=self._unread)
            except Exception as error:  # noqa: BLE001 - the boundary
                self._failures.report("turn close", error)

    def foresee(self, events: Sequence[Foreseen]) -> None:
        """What was read behind the reply's back. Raises what the turn raises."""
        if events and self._turn is not None:
            self._counters.events += len(events)
            self._turn.feed(events)

    def _tell(self, events: Sequence[GrammarEvent]) -> None:
        self._counters.events += len(events)
        for event in events:
            if type(event) is TurnEnded:
                self.ended = True
        if self._turn is not None:
            self._turn.feed(events)
        if events and self.heard is not None:
            self.heard(events)


class TappedSink:
    """A sink whose bytes the tap sees after they were written."""

    def __init__(self, sink: Sink, tap: Tap) -> None:
        self._take = sink.take
        self._drain = sink.drain
        self._feed = tap.feed

    def take(self, data: bytes) -> bool:
        takes_more = self._take(data)
        self._feed(data)
        return takes_more

    async def drain(self) -> None:
        await self._drain()
