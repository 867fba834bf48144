"""Connections to one backend: opened as needed, kept a moment for the next request."""

import asyncio
import re
import ssl
from urllib.parse import urlsplit

from paste_proxy.config import BackendConfig
from paste_proxy.connection_words import why_no_answer
from paste_proxy.errors import BackendTimeoutError, BackendUnreachableError, ConfigError
from paste_proxy.proxy.connection import Connection, StaleConnectionError
from paste_proxy.proxy.headers import request_head
from paste_proxy.proxy.http1 import ReplyHead
from paste_proxy.proxy.upstream import Exchange, Outgoing, Sink

KEEP_S = 4.0
"""An idle connection is kept so long. uvicorn, under SGLang and vLLM, closes its end after 5 s: going
first avoids the race in which a request meets a closing connection."""
JOINED_LIMIT = 64 * 1024
"""Head and body are copied together below this, to leave in one packet; above it, the copy costs more."""
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""RFC 9110 section 9.2.2: what may be sent twice."""


class PooledUpstream:
    """An `Upstream` over HTTP/1.1 connections of our own."""

    def __init__(self, config: BackendConfig, where: str = "backend") -> None:
        """`where` is the path of its section. Raises `ConfigError` where the URL is none."""
        self._config = config
        self._where = where
        self._host, self._port, self._authority, tls = _address(config.url, where + ".url")
        self._tls = _tls() if tls else None
        self._prefix = urlsplit(config.url).path.rstrip("/")
        self.address = self._host.rstrip("."), self._port, self._prefix
        self._idle: dict[Connection, asyncio.TimerHandle] = {}
        self.live = 0

    async def send(self, request: Outgoing) -> "PooledExchange":
        self.live += 1
        try:
            connection, reused = self._kept() or (await self.open(), False)
        except BaseException:
            self.live -= 1
            raise
        exchange = PooledExchange(self, request, connection)
        try:
            exchange.start(reused=reused)
            await connection.drain()
        except BaseException:
            exchange.close()
            raise
        return exchange

    def wire(self, request: Outgoing) -> bytes:
        """The head to send for `request`."""
        head = request.head
        length = request.length if request.body is None else len(request.body)
        chunked = request.streamed and request.length is None
        return request_head(head, self._authority, length=length, chunked=chunked, prefix=self._prefix)

    async def close(self) -> None:
        for connection in list(self._idle):
            self._forget(connection)
            connection.close()

    def keep(self, connection: Connection) -> None:
        """Takes a reusable connection back."""
        loop = asyncio.get_running_loop()
        self._idle[connection] = loop.call_later(KEEP_S, self._expire, connection)

    def _kept(self) -> tuple[Connection, bool] | None:
        """The connection used last: the least likely to be closed by the backend by now."""
        while self._idle:
            connection, timer = self._idle.popitem()
            timer.cancel()
            if not connection.lost:
                return connection, True
        return None

    def _forget(self, connection: Connection) -> None:
        self._idle.pop(connection).cancel()

    def _expire(self, connection: Connection) -> None:
        self._idle.pop(connection, None)
        connection.close()

    async def open(self) -> Connection:
        """A new connection. Raises `BackendTimeoutError` or `BackendUnreachableError`."""
        loop = asyncio.get_running_loop()
        config = self._config
        try:
            async with asyncio.timeout(config.connect_timeout_s):
                _, connection = await loop.create_connection(
                    lambda: Connection(loop, config.silence_timeout_s), self._host, self._port, ssl=self._tls
                )
        except TimeoutError as error:
            raise BackendTimeoutError(
                f"the backend at {config.url} did not accept a connection within "
                f"{config.connect_timeout_s:g} s ({self._where}.connect_timeout_s)",
                param=f"{self._where}.connect_timeout_s",
            ) from error
        except OSError as error:
            reason = why_no_answer(error, config.url)
            raise BackendUnreachableError(
                f"the backend at {config.url} can't be reached: {reason}", param=f"{self._where}.url"
            ) from error
        return connection


def _address(address: str, key: str) -> tuple[str, int, bytes, bool]:
    """Host, port, Host field and whether TLS is spoken. Raises `ConfigError`."""
    try:
        url = urlsplit(address)
        port = url.port
        (url.hostname or "").encode("idna")  # As getaddrinfo will: a..b is no name.
    except ValueError as error:
        raise ConfigError(f"{key}: {address!r}: {error}", param=key) from error
    is_host = url.hostname and re.fullmatch("[!-~]+", address) and port != 0  # urlsplit drops tabs and lines
    if url.scheme not in ("http", "https") or not is_host:
        raise ConfigError(f"{key}: {address!r} is no http:// or https:// address", param=key)
    if url.path.rstrip("/").endswith("/v1") or url.query or url.fragment:
        raise ConfigError(
            f"{key}: {address!r}: give the base address alone, without /v1 and without a query", param=key
        )
    if "@" in url.netloc:
        raise ConfigError(f"{key}: holds credentials, which are not sent; clients send their own", param=key)
    tls = url.scheme == "https"
    return url.hostname or "", port or (443 if tls else 80), url.netloc.encode(), tls


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class NoUpstream:
    """In place of a backend that is not configured: the tool plane works without one."""

    live = 0
    address = "", 0, ""

    @property
    def _error(self) -> BackendUnreachableError:
        return BackendUnreachableError("no backend is configured (backend.url)", param="backend.url")

    async def send(self, request: Outgoing) -> Exchange:
        raise self._error

    async def open(self) -> Connection:
        raise self._error

    async def close(self) -> None:
        return None


class PooledExchange:
    """An `Exchange` on one connection, or on two where the first was stale and the request harmless.

    A kept connection can be closed by the backend at the moment of use. Then a request that may be
    sent twice (idempotent, without a body) is sent again, once, on a new connection. Any other fails
    with 502: the backend may have begun the work, and the client's SDK knows whether to retry.
    """

    def __init__(self, pool: PooledUpstream, request: Outgoing, connection: Connection) -> None:
        self._pool = pool
        self._request = request
        self._connection: Connection | None = connection
        self._unsent = request.streamed
        """A streamed body has not ended yet."""

    def start(self, *, reused: bool) -> None:
        connection, request = self._live, self._request
        head, body = self._pool.wire(request), request.body or b""
        joined = len(body) <= JOINED_LIMIT
        connection.start(request.head.method, head + body if joined else head, reused=reused)
        if not joined:
            connection.take(body)

    @property
    def _live(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("the exchange is closed")
        return self._connection

    def take(self, data: bytes) -> bool:
        chunked = self._request.streamed and self._request.length is None
        return self._live.take(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)

    async def drain(self) -> None:
        await self._live.drain()

    def end(self) -> None:
        self._unsent = False
        if self._request.length is None:
            self._live.take(b"0\r\n\r\n")

    async def reply(self) -> ReplyHead:
        try:
            return await self._live.reply()
        except StaleConnectionError:
            request = self._request
            if request.head.method not in IDEMPOTENT or request.streamed or request.body:
                raise
        self._connection = await self._pool.open()
        self.start(reused=False)
        return await self._live.reply()

    async def relay(self, sink: Sink) -> None:
        await self._live.relay(sink)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._pool.live -= 1
        if connection.reusable and not self._unsent:
            self._pool.keep(connection)
        else:
            connection.close()
