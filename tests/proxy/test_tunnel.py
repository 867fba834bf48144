"""WebSockets pass as bytes: extensions, subprotocols, pings and close codes are the two ends' own."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from paste_proxy.access.keys import written_digest
from paste_proxy.config import Config, TenantConfig
from tests.patience import SOON_S
from tests.proxy.support import Proxy, proxy, raw_backend, read_reply


async def realtime(request: web.Request) -> web.WebSocketResponse:
    """Echoes; says `bye` with a code of its own."""
    socket = web.WebSocketResponse(protocols=("realtime",), compress=True)
    await socket.prepare(request)
    async for message in socket:
        if message.data == "bye":
            await socket.close(code=4001, message=b"as asked")
        elif message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        else:
            await socket.send_bytes(message.data)
    if not request.app[CLOSED].done():
        request.app[CLOSED].set_result(socket.close_code)
    return socket


CLOSED: web.AppKey[asyncio.Future[int | None]] = web.AppKey("closed")


@asynccontextmanager
async def websocket_backend(
    tenants: Mapping[str, TenantConfig] | None = None,
) -> AsyncIterator[tuple[Proxy, asyncio.Future[int | None]]]:
    app = web.Application()
    app[CLOSED] = asyncio.get_running_loop().create_future()
    app.router.add_get("/v1/realtime", realtime)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with proxy(runner.addresses[0][1], silence_s=0.2, tenants=tenants) as running:
            yield running, app[CLOSED]
    finally:
        await runner.cleanup()


async def test_messages_subprotocols_compression_and_close_codes() -> None:
    async with (
        websocket_backend() as (running, closed),
        aiohttp.ClientSession() as session,
        session.ws_connect(running.url + "/v1/realtime?a=b", protocols=("realtime",), compress=15) as socket,
    ):
        assert socket.protocol == "realtime"
        assert socket.compress == 15
        await asyncio.sleep(0.3)  # Longer than the silence timeout: a tunnel may be silent.
        for text in ("one", "x" * 500_000):
            await socket.send_str(text)
            assert await socket.receive_str(timeout=2) == text
        await socket.send_bytes(b"\0\1")
        assert await socket.receive_bytes(timeout=2) == b"\0\1"
        await socket.send_str("bye")
        last = await socket.receive(timeout=2)
        assert (last.type, last.data) == (WSMsgType.CLOSE, 4001)
        await asyncio.wait_for(closed, SOON_S)


async def test_a_tunnel_is_cut_off_with_the_key_that_opened_it() -> None:
    keys = ["k" * 30, "l" * 30]
    tenants = {name: TenantConfig(keys=(written_digest(key),)) for name, key in zip("ab", keys, strict=True)}
    async with websocket_backend(tenants) as (running, _), aiohttp.ClientSession() as session:
        address = running.url + "/v1/realtime"
        first, second = [await session.ws_connect(address, headers={"x-paste-key": key}) for key in keys]
        config = Config(tenants={"b": tenants["b"]})
        running.plane._access.prepare(config)()
        running.plane.configure(config)
        assert (await first.receive(timeout=2)).type in (WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR)
        await second.send_str("still")
        assert await second.receive_str(timeout=2) == "still"
        await second.close()


async def test_a_client_that_leaves_closes_the_tunnel() -> None:
    async with websocket_backend() as (running, closed), aiohttp.ClientSession() as session:
        socket = await session.ws_connect(running.url + "/v1/realtime")
        assert socket._response.connection is not None
        transport = socket._response.connection.transport
        assert transport is not None
        transport.abort()
        assert await asyncio.wait_for(closed, SOON_S) == 1006
        assert running.counters.client_disconnects == 0


async def test_a_refused_upgrade_is_an_ordinary_reply() -> None:
    async with websocket_backend() as (running, _), aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(running.url + "/other")
        assert refused.value.status == 404


async def test_bytes_sent_right_behind_the_handshake_arrive() -> None:
    async def backend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Connection: Upgrade\r\nUpgrade: websocket" in head
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello"
        )
        writer.write(await reader.readexactly(5))

    async with raw_backend(backend) as port, proxy(port) as running:
        reader, writer = await running.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly")
        head, body = await asyncio.wait_for(read_reply(reader), SOON_S)
        assert b"Connection: Upgrade" in head
        assert body == b"helloearly"
