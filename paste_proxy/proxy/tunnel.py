"""The client's half of a connection that changed protocol (WebSocket): bytes, handed on unread.

Nothing is decoded, so that extensions, subprotocols, fragments and close codes are the two ends' own.
"""

from typing import cast

from aiohttp import web
from aiohttp.http import WebSocketReader

from paste_proxy.proxy.upstream import Exchange
from paste_proxy.tasks import TaskSet


class TunnelInlet:
    """Takes what the client sends after the 101, in the place where aiohttp puts a WebSocket parser."""

    def __init__(self, request: web.Request, exchange: Exchange, tasks: TaskSet) -> None:
        self._request = request
        self._exchange = exchange
        self._tasks = tasks

    def open(self) -> None:
        self._request.protocol.set_parser(cast(WebSocketReader, self))

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        transport = self._request.transport
        if not self._exchange.take(data) and transport is not None:
            transport.pause_reading()
            self._tasks.spawn(self._resume(), name="tunnel drain")
        return False, b""

    def feed_eof(self) -> None:
        """The client left; aiohttp cancels the handler, which closes the exchange."""

    async def _resume(self) -> None:
        await self._exchange.drain()
        if (transport := self._request.transport) is not None:
            transport.resume_reading()
