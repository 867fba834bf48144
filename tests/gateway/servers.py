"""A real aiohttp server on an ephemeral loopback port, as the tests of the gateway use it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from paste_proxy.proxy.server import address_of, listen_on, make_runner


@asynccontextmanager
async def serving(app: web.Application, *, port: int = 0) -> AsyncIterator[str]:
    """The base address of `app` while it is served as the product serves it."""
    runner = make_runner(app)
    await runner.setup()
    try:
        server = await listen_on(runner, "127.0.0.1", port)
        try:
            yield address_of(server)
        finally:
            server.close()
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_connection(base: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare socket to the server, for what no client library would do."""
    host, _, port = base.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=4096)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
