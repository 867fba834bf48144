"""The leg to the client: a reply with the backend's own head and body, written to the socket at once."""

import asyncio
import socket
import struct

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

from paste_proxy.proxy.headers import reply_head
from paste_proxy.proxy.http1 import ReplyHead


class ClientLeg(web.StreamResponse):
    """A `StreamResponse` that aiohttp neither frames nor decorates; also the `Sink` of the reply.

    aiohttp's own would add Date, Server and Content-Type, re-encode header values as UTF-8, and
    spend four calls on each chunk. Response signals are not sent for it.
    """

    def __init__(self, request: web.Request, head: ReplyHead, request_id: str) -> None:
        super().__init__(status=head.status)
        self._request = request
        self._transport = request.transport
        self._protocol = request.protocol
        http_1_1 = request.version >= (1, 1)
        self._chunked_out = head.chunked and http_1_1
        self._framed = self._chunked_out or head.length is not None
        """The client can tell a whole body from one cut short."""
        self._stays_open = self._framed and request.keep_alive
        connection = b"" if http_1_1 else b"keep-alive"
        self._head = reply_head(
            head,
            request_id,
            connection if self._stays_open else b"close",
            chunked=self._chunked_out,
        )
        self.begun = False

    # -- the sink -------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Sends the head."""
        self.begun = True
        self._put(self._head)
        # What was written past aiohttp's writer must count, or it would answer into the middle
        # of this reply if the handler failed.
        self._request.writer.output_size += len(self._head)

    def take(self, data: bytes) -> bool:
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked_out else data)
        return not self._protocol.writing_paused

    async def drain(self) -> None:
        """Raises `ConnectionError` where the client has left."""
        await self._request.writer.drain()

    def end(self) -> None:
        """The body is complete."""
        if self._chunked_out:
            self._put(b"0\r\n\r\n")

    def cut(self) -> None:
        """The body won't be complete: ends the connection in a way that the client can't take for the end."""
        self._stays_open = False
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if not self._framed:
            _reset_on_close(transport)
            transport.abort()
        transport.close()

    def _put(self, data: bytes) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(data)

    # -- aiohttp's side -------------------------------------------------------------------------------

    @property
    def prepared(self) -> bool:
        return self.begun

    @property
    def keep_alive(self) -> bool:
        return self._stays_open

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


def _reset_on_close(transport: asyncio.Transport) -> None:
    """A body that ends with its connection is cut short by a RST, not by a FIN."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
