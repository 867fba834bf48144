"""One HTTP/1.1 connection to the backend, as an asyncio.Protocol.

The body goes from `data_received` straight into the sink: no task is woken per chunk. That, more
than anything else, is what a relayed event costs, and it leaves the tap room within the same budget.
"""

import asyncio
from typing import cast

from paste_proxy.errors import BackendTimeoutError, BackendUnreachableError, PasteError
from paste_proxy.proxy.http1 import SWITCHING_PROTOCOLS, BadReplyError, Body, ReplyHead, read_head
from paste_proxy.proxy.upstream import Sink

HELD_LIMIT = 256 * 1024
"""Reply bytes kept between the head and `relay`; a task switch long, so one socket read at most."""
SILENCE_TICKS = 8
"""The silence timeout is checked in eighths: a counter per stream instead of a timer per chunk."""


class StaleConnectionError(BackendUnreachableError):
    """A kept connection was closed by the backend before it answered anything."""

    code = "backend_closed_idle_connection"


class Connection(asyncio.Protocol):
    """Carries one exchange at a time: `start`, `reply`, `relay`, and again if `reusable`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, silence_s: float) -> None:
        self._loop = loop
        self._tick_s = silence_s / SILENCE_TICKS
        self._transport: asyncio.Transport | None = None
        self._resumed: asyncio.Future[None] | None = None
        """Waits for the transport to take more of a request."""
        self._reset("", reused=False)

    def _reset(self, method: str, *, reused: bool) -> None:
        self._method = method
        self._reused = reused
        self._busy = False
        self._heard = False
        self._answered = False
        self._silent_ticks = 0
        self._timer: asyncio.TimerHandle | None = None
        self._held = b""
        self._head: ReplyHead | None = None
        self._body: Body | None = None
        self._sink: Sink | None = None
        self._full = False
        self._failure: PasteError | None = None
        self._news: asyncio.Future[None] | None = None
        """Wakes whoever waits for the head, the end, or a full sink."""

    # -- the exchange ---------------------------------------------------------------------------------

    @property
    def lost(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    @property
    def reusable(self) -> bool:
        """The exchange is over and the connection may carry another."""
        if self.lost or self._busy or self._failure or self._head is None or self._body is None:
            return False
        # After a failure some servers close, though they say nothing of it (uvicorn behind SGLang 0.5.23).
        whole = self._body.ended and not self._body.surplus
        return whole and self._head.keep_alive and self._head.status < 500

    def start(self, method: str, data: bytes, *, reused: bool) -> None:
        """Begins an exchange by sending `data`."""
        self._reset(method, reused=reused)
        self._busy = True
        self._timer = self._loop.call_later(self._tick_s, self._tick)
        if self._transport is None:
            self._fail(self._loss(None))
        self.take(data)

    def take(self, data: bytes) -> bool:
        if self._transport is not None and not self._transport.is_closing():
            self._heard = True  # While a request goes out, the silence is not the backend's.
            self._transport.write(data)
        return self._resumed is None

    async def drain(self) -> None:
        """Returns when the transport takes more. A loss is reported by `reply` or `relay`."""
        if self._resumed is not None:
            await asyncio.shield(self._resumed)

    async def reply(self) -> ReplyHead:
        while self._head is None:
            await self._wait()
        return self._head

    async def relay(self, sink: Sink) -> None:
        body = self._body
        if body is None:
            raise RuntimeError("relay() before reply()")
        self._sink = sink
        held, self._held = self._held, b""
        if held:
            self.data_received(held)
        while not body.ended:
            if self._full:
                await sink.drain()
                self._full = False
                self._resume()
            else:
                await self._wait()
        self._over()

    def close(self) -> None:
        """Drops the connection, and with it what is left of an exchange."""
        self._over()
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._news = self._loop.create_future()
        try:
            await self._news
        finally:
            self._news = None

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _fail(self, failure: PasteError) -> None:
        self._failure = self._failure or failure
        self._over()
        self._wake()

    def _over(self) -> None:
        self._busy, self._sink = False, None
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _tick(self) -> None:
        """An eighth of the longest silence has passed."""
        waiting = not (self._heard or self._full)
        self._silent_ticks = self._silent_ticks + 1 if waiting else 0
        self._heard = False
        if self._silent_ticks < SILENCE_TICKS:
            self._timer = self._loop.call_later(self._tick_s, self._tick)
            return
        silence = self._tick_s * SILENCE_TICKS
        self._fail(
            BackendTimeoutError(
                f"the backend has been silent for {silence:g} s (backend.silence_timeout_s)",
                param="backend.silence_timeout_s",
            )
        )
        self.close()

    # -- asyncio.Protocol -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Both asyncio and uvloop set TCP_NODELAY on every TCP transport.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        body, sink = self._body, self._sink
        if body is None or sink is None:
            self._before_relay(data)
            return
        try:
            part = body.feed(data)
        except BadReplyError as error:
            self._fail(error)
            self.close()
            return
        if part and not sink.take(part) and not self._full:
            self._hold()
        if body.ended:
            self._wake()

    def _hold(self) -> None:
        """The sink is full: reading stops, so that the backend is slowed down and memory is bounded."""
        self._full = True
        if self._transport is not None:
            self._transport.pause_reading()
        self._wake()

    def _before_relay(self, data: bytes) -> None:
        """Reads the head; body bytes that come with it are kept for `relay`."""
        if not self._busy:
            self.close()  # Bytes that nobody asked for: whatever they are, no reply can follow them.
            return
        self._answered = True
        self._held += data
        if self._head is None:
            try:
                read = read_head(self._held, self._method)
            except BadReplyError as error:
                self._fail(error)
                self.close()
                return
            if read is None:
                return
            self._head, self._body, self._held = read
            if self._head.status == SWITCHING_PROTOCOLS:
                self._stop_timer()  # A tunnel may be silent for as long as its ends like.
            self._wake()
        if len(self._held) > HELD_LIMIT and not self._full:
            self._hold()

    def pause_writing(self) -> None:
        self._resumed = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._resumed is not None:
            self._resumed.set_result(None)
            self._resumed = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.resume_writing()
        body = self._body
        if body is not None and exc is None and self._head is not None and not body.ended:
            # Without a length the end of the connection is the end of the body.
            body.ended = self._head.length is None and not self._head.chunked
        if body is None or not body.ended:
            self._fail(self._loss(exc))
        self._wake()

    def _loss(self, exc: Exception | None) -> PasteError:
        how = f"reset the connection ({exc})" if exc is not None else "closed the connection"
        if self._answered:
            return BackendUnreachableError(f"the backend {how} before its reply was complete")
        if self._reused:
            return StaleConnectionError(
                f"the backend {how} that was kept from the previous request, as the next one was sent; "
                "whether it began to work on it is unknown, so it was not sent again"
            )
        return BackendUnreachableError(f"the backend {how} without a reply")
