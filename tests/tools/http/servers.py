"""Real servers on loopback: of aiohttp, or of bytes that no library would send; and name servers that lie."""

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer
from yarl import URL

from paste_proxy.config_http import TargetsConfig
from paste_proxy.tools.http.client import Client, Limits, Request, Response

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOCAL = TargetsConfig(allow=("127.0.0.1",))
LIMITS = Limits(bytes=100_000, seconds=10.0)


@asynccontextmanager
async def serving(**routes: Handler) -> AsyncIterator[URL]:
    """Each route at `/name`, for all methods; yields the base address."""
    app = web.Application()
    for name, handler in routes.items():
        app.router.add_route("*", f"/{name}", handler)
    async with TestServer(app, host="127.0.0.1") as server:
        yield server.make_url("/")


@asynccontextmanager
async def speaking(*pieces: bytes, pause: float = 0.0, end: bool = True) -> AsyncIterator[URL]:
    """A server that says these bytes whatever it is asked; with a pause after each."""
    ended = asyncio.Event()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
            if not end:
                await ended.wait()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has had enough
        finally:
            writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    try:
        yield URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    finally:
        ended.set()
        server.close()
        await server.wait_closed()


class Names(AbstractResolver):
    """Answers by a table; each answer in turn, the last one for ever."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        turns = self.answers[host.replace(".", "_")]
        addresses = turns.pop(0) if len(turns) > 1 else turns[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass


@asynccontextmanager
async def asking(
    rules: TargetsConfig = LOCAL, resolver: AbstractResolver | None = None
) -> AsyncIterator[Client]:
    client = (
        Client(rules, "http.targets")
        if resolver is None
        else Client(rules, "http.targets", resolver=lambda: resolver)
    )
    try:
        yield client
    finally:
        await client.close()


async def get(client: Client, url: URL | str, limits: Limits = LIMITS, *, ahead: bool = False) -> Response:
    return await client.send(Request("GET", URL(url)), limits, ahead=ahead)


@asynccontextmanager
async def nothing_leaks() -> AsyncIterator[None]:
    """Descriptors and tasks are as many after as before, once the loop has had its turns."""
    gc.collect()
    tasks, files = len(asyncio.all_tasks()), descriptors()
    yield
    for _ in range(50):
        if len(asyncio.all_tasks()) <= tasks and descriptors() <= files:
            return
        await asyncio.sleep(0.02)
    assert (len(asyncio.all_tasks()), descriptors()) == (tasks, files)


def descriptors() -> int:
    return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))
