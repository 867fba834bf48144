"""Serves an ASGI application (https://asgi.readthedocs.io, HTTP 2.3) on an aiohttp route.

Only the `http` scope: whoever mounts an application also starts and stops it (no `lifespan`), and there are
no websockets. Bodies stream both ways without being gathered. A client that leaves is told to aiohttp's
handler, hence to the application, as a cancellation: the server must run with `handler_cancellation=True`.
What the application still asks for afterwards is `http.disconnect`, and what it still sends is dropped.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from aiohttp import hdrs, web
from multidict import CIMultiDict

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger(__name__)

_DISCONNECT = {"type": "http.disconnect"}


class AsgiProtocolError(RuntimeError):
    """The application broke the order of messages that ASGI lays down."""


async def serve(app: AsgiApp, request: web.Request, *, root_path: str = "") -> web.StreamResponse:
    """Have `app` answer one request.

    An exception before the response has begun is logged and answered with 500; a later one, or a response
    left unfinished, closes the connection, so that the client sees that something is missing.
    """
    exchange = _Exchange(request)
    try:
        await app(http_scope(request, root_path), exchange.receive, exchange.send)
        return exchange.finished()
    except Exception:
        if exchange.left:
            raise asyncio.CancelledError from None
        if exchange.begun:
            raise
        log.exception("the mounted application failed on %s %s", request.method, request.path)
        return web.Response(status=500, text="Internal Server Error")
    finally:
        exchange.close()


def http_scope(request: web.Request, root_path: str = "") -> Scope:
    """The connection scope; `path` includes `root_path`, as HTTP 2.3 has it."""
    transport = request.transport
    path = request.rel_url.raw_path
    query = request.raw_path.partition("?")[2]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": f"{request.version.major}.{request.version.minor}",
        "method": request.method.upper(),
        "scheme": request.scheme,
        "path": request.path,
        "raw_path": path.encode(),
        "query_string": query.encode("utf-8", "surrogateescape"),
        "root_path": root_path,
        "headers": [(name.lower(), value) for name, value in request.raw_headers],
        "client": _address(transport, "peername"),
        "server": _address(transport, "sockname"),
        "state": {},
    }


def _address(transport: asyncio.Transport | None, which: str) -> tuple[str, int | None] | None:
    """Host and port; a Unix socket has a path and no port."""
    name = transport.get_extra_info(which) if transport is not None else None
    if isinstance(name, tuple):
        return (str(name[0]), int(name[1]))
    return (name, None) if isinstance(name, str) and name else None


class _Exchange:
    """The `receive` and `send` of one request."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._body_open = True
        self._start: Message | None = None
        self._response: web.StreamResponse | None = None
        self._complete = False
        self._closed = asyncio.Event()

    @property
    def begun(self) -> bool:
        """Bytes of the response may have reached the client."""
        return self._response is not None

    @property
    def left(self) -> bool:
        """The client is gone: aiohttp takes the transport away before it cancels the handler."""
        return self._request.transport is None

    async def receive(self) -> Message:
        if self._body_open and not (self.left or self._closed.is_set()):
            return await self._body_part()
        if not self.left:
            await self._closed.wait()
        return dict(_DISCONNECT)

    async def _body_part(self) -> Message:
        content = self._request.content
        try:
            part = await content.readany()
        except ConnectionError:
            return dict(_DISCONNECT)
        self._body_open = not content.at_eof()
        return {"type": "http.request", "body": part, "more_body": self._body_open}

    async def send(self, message: Message) -> None:
        if self.left or (self._closed.is_set() and not self._complete):
            return
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif message["type"] == "http.response.body":
            await self._write(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise AsgiProtocolError(f"unknown message type {message['type']!r}")

    async def _begin(self, start: Message) -> None:
        if self._start is not None:
            raise AsgiProtocolError("http.response.start was sent twice")
        self._start = start
        # A response that states its length is no stream: its head waits for its body, for one write of both.
        if not any(name.lower() == b"content-length" for name, _ in start.get("headers", ())):
            await self._prepare(web.StreamResponse(status=start["status"], headers=_headers(start)))

    async def _write(self, body: bytes, *, more: bool) -> None:
        if self._start is None or self._complete:
            raise AsgiProtocolError("http.response.body was sent before the start or after the end")
        self._complete = not more
        if self._response is None:
            await self._write_first(self._start, body, more=more)
        elif body:
            await self._response.write(body)
        if self._complete:
            self.close()

    async def _write_first(self, start: Message, body: bytes, *, more: bool) -> None:
        headers = _headers(start)
        if not more:
            self._response = web.Response(status=start["status"], headers=headers, body=body)
            return
        response = web.StreamResponse(status=start["status"], headers=headers)
        await self._prepare(response)
        await response.write(body)

    async def _prepare(self, response: web.StreamResponse) -> None:
        self._response = response
        await response.prepare(self._request)

    def finished(self) -> web.StreamResponse:
        """The response, for aiohttp to end. Raises `AsgiProtocolError` where it isn't whole."""
        if self._response is None or not self._complete:
            raise AsgiProtocolError("the application returned without a complete response")
        return self._response

    def close(self) -> None:
        """The exchange is over: whoever waits in `receive` is told."""
        self._closed.set()


def _headers(start: Message) -> CIMultiDict[str]:
    """Bytes to text, repeated fields kept. Framing and connection are the server's own business."""
    fields: CIMultiDict[str] = CIMultiDict()
    for name, value in start.get("headers", ()):
        fields.add(name.decode("ascii"), value.decode("utf-8", "replace"))
    for own in (hdrs.TRANSFER_ENCODING, hdrs.CONNECTION):
        fields.popall(own, None)
    return fields
