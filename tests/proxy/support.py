"""A real backend, a real proxy and a raw client on loopback; the runtime is a fake that records."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from paste_proxy.access.access import Access
from paste_proxy.config import BackendConfig, Config, LimitsConfig, TenantConfig
from paste_proxy.config_schedule import ScheduleConfig
from paste_proxy.events import UNSAID, AdmitTurn, Attempt, Event, Identity
from paste_proxy.grammar.events import GrammarEvent
from paste_proxy.grammar.requests import ChatRequest
from paste_proxy.proxy.counters import RelayCounters
from paste_proxy.proxy.plane import LlmPlane
from paste_proxy.proxy.server import listen_on, make_runner

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

CHAT_BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true}'


class FakeTurn:
    def __init__(self, fails: frozenset[str] = frozenset()) -> None:
        self._fails = fails
        self.admission = AdmitTurn("turn")
        self.log: list[str] = []
        self.events: list[GrammarEvent] = []
        self.closed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def _note(self, what: str) -> None:
        self.log.append(what)
        if what in self._fails:
            raise ZeroDivisionError(what)

    def sent(self) -> None:
        self._note("sent")

    async def refused(self) -> bool:
        self._note("refused")
        return False

    def feed(self, events: Iterable[GrammarEvent]) -> None:
        self.events.extend(events)
        self._note("feed")

    def close(self, *, complete: bool, unread: bool = False) -> None:
        self.closed.set_result(complete)
        self._note("close")


class FakeRuntime:
    """Admits at once; the hooks named in `fails` raise."""

    def __init__(self, *fails: str) -> None:
        self._fails = frozenset(fails)
        self.admitted: list[tuple[Identity, ChatRequest | None]] = []
        self.sizes: list[int] = []
        self.turns: list[FakeTurn] = []
        self.told: list[Event] = []

    def home(self, identity: Identity) -> str | None:
        return None

    def tell(self, event: Event) -> None:
        self.told.append(event)

    async def admit(
        self, identity: Identity, request: ChatRequest | None, attempt: Attempt = UNSAID, size: int = 0
    ) -> FakeTurn:
        self.admitted.append((identity, request))
        self.sizes.append(size)
        if "admit" in self._fails:
            raise ZeroDivisionError("admit")
        self.turns.append(FakeTurn(self._fails))
        return self.turns[-1]


class Proxy:
    """A running LLM plane."""

    def __init__(self, port: int, plane: LlmPlane, runtime: FakeRuntime) -> None:
        self.port = port
        self.plane = plane
        self.runtime = runtime
        self._clients: list[asyncio.StreamWriter] = []

    @property
    def counters(self) -> RelayCounters:
        return self.plane.counters

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connect(self) -> Streams:
        streams = await asyncio.open_connection("127.0.0.1", self.port)
        self._clients.append(streams[1])
        return streams

    async def close(self) -> None:
        for client in self._clients:
            client.close()
            with contextlib.suppress(ConnectionError):
                await client.wait_closed()


@asynccontextmanager
async def proxy(
    backend_port: int,
    runtime: FakeRuntime | None = None,
    *,
    kind: str = "openai",
    silence_s: float = 30.0,
    connect_s: float = 5.0,
    body_bytes: int = 64 << 20,
    prefix: str = "",
    backend: Mapping[str, Any] | None = None,
    tenants: Mapping[str, TenantConfig] | None = None,
    environment: Mapping[str, str] | None = None,
    warm_up: str = "off",
) -> AsyncIterator[Proxy]:
    """`backend` are more of its settings."""
    config = Config(
        backend=BackendConfig(
            url=f"http://127.0.0.1:{backend_port}{prefix}",
            kind=kind,  # type: ignore[arg-type]
            silence_timeout_s=silence_s,
            connect_timeout_s=connect_s,
            **(backend or {}),
        ),
        limits=LimitsConfig(body_bytes=body_bytes),
        schedule=ScheduleConfig(warm_up=warm_up),  # type: ignore[arg-type]
        tenants=dict(tenants or {}),
    )
    runtime = runtime or FakeRuntime()
    plane = LlmPlane(runtime, config, RelayCounters(), Access(config, environment or {}, time.monotonic))
    plane.lines.first.control.known = True  # or it would ask a backend that knows one conversation only
    app = web.Application()
    plane.add_routes(app)
    runner = make_runner(app)
    await runner.setup()
    server = await listen_on(runner, "127.0.0.1", 0)
    running = Proxy(server.sockets[0].getsockname()[1], plane, runtime)
    try:
        yield running
    finally:
        await running.close()
        server.close()
        await runner.cleanup()


@asynccontextmanager
async def raw_backend(conversation: Conversation) -> AsyncIterator[int]:
    """A TCP server whose every connection is `conversation`; gives its port."""

    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await conversation(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of one request with a Content-Length, or with none."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return head, await reader.readexactly(length)


def chat_request(body: bytes = CHAT_BODY, *headers: bytes) -> bytes:
    lines = [b"POST /v1/chat/completions HTTP/1.1", b"Host: x", b"Content-Type: application/json", *headers]
    return b"\r\n".join(lines) + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


async def read_reply(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and de-chunked body of one reply."""
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        return head, await read_chunked(reader)
    for line in lower.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head, await reader.readexactly(int(line.partition(b":")[2]))
    return head, await reader.read()


async def read_chunk(reader: asyncio.StreamReader) -> bytes:
    size = int(await reader.readuntil(b"\r\n"), 16)
    data = await reader.readexactly(size + 2)
    return data[:-2]


async def read_chunked(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while part := await read_chunk(reader):
        parts.append(part)
    return b"".join(parts)
