"""Held turns over real sockets: what their clients get, and what the backend gets of those that leave."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from paste_proxy.app import Proxy, build, listening
from paste_proxy.config import BackendConfig, Config, LimitsConfig, ListenConfig
from paste_proxy.config_schedule import ScheduleConfig
from paste_proxy.events import Event, TurnRequested
from paste_proxy.holds import Holds
from paste_proxy.proxy.early import COMMENT
from tests.patience import SOON_S
from tests.proxy.support import STREAM_HEAD, chunk, raw_backend, read_chunk, read_reply, read_request

PATHS = ["/v1/chat/completions", "/v1/messages", "/v1/responses"]
EVENTS = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n'
STREAM = STREAM_HEAD + chunk(EVENTS) + chunk(b"")
ERROR = b'{"error":{"message":"too long","type":"BadRequestError","param":null,"code":400}}'
KEEPALIVE_S = 0.01


def asked(said: str = "hi", path: str = PATHS[0], *fields: bytes, stream: bool = True) -> bytes:
    body = {"model": "m", "messages": [{"role": "user", "content": said}], "max_tokens": 9, "stream": stream}
    if path.endswith("responses"):
        body = {"model": "m", "input": said, "stream": stream}
    data = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1".encode(), b"Host: x", b"Content-Type: application/json", *fields]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(data)]) + b"\r\n\r\n" + data


class Backend:
    """Gives the first turn nothing until `go`; then each turn gets `reply`, the first one a stream."""

    def __init__(self, reply: bytes = STREAM) -> None:
        self.reply = reply
        self.go = asyncio.Event()
        self.turns: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await read_request(reader)
            if not head.startswith(b"POST"):
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                continue
            self.turns.append(head + body)
            if len(self.turns) == 1:
                await self.go.wait()
                writer.write(STREAM)
            elif not self.reply:
                return
            else:
                writer.write(self.reply)
            await writer.drain()


Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Front:
    """A whole proxy with one slot for turns, and what its core has heard."""

    def __init__(self, proxy: Proxy, url: str, stack: AsyncExitStack) -> None:
        self.proxy = proxy
        self.stop = stack.aclose
        self.url = url
        self._port = int(url.rpartition(":")[2])
        self._heard: list[type[Event]] = []
        self._news = asyncio.Event()
        self._clients: list[asyncio.StreamWriter] = []
        tell = proxy.runtime.tell

        def hear(event: Event) -> bool:
            told = tell(event)
            self._heard.append(type(event))
            self._news.set()
            return told

        proxy.runtime.tell = hear  # type: ignore[method-assign]

    async def send(self, data: bytes) -> Client:
        """Returns when the core knows of the turn."""
        before = self._heard.count(TurnRequested)
        client = await asyncio.open_connection("127.0.0.1", self._port)
        self._clients.append(client[1])
        client[1].write(data)
        await self.until(lambda: self._heard.count(TurnRequested) > before)
        return client

    async def until(self, true: Callable[[], bool]) -> None:
        """The condition is one that an event to the core may have changed."""
        async with asyncio.timeout(SOON_S):
            while not true():
                self._news.clear()
                await self._news.wait()

    @property
    def holds(self) -> Holds:
        return self.proxy.runtime.core.holds

    def close(self) -> None:
        for client in self._clients:
            client.close()


@asynccontextmanager
async def front(backend: Backend, *, keepalive_s: float = 0.0, queued: int = 9) -> AsyncIterator[Front]:
    async with raw_backend(backend) as port, AsyncExitStack() as stack:
        proxy = build(
            Config(
                listen=ListenConfig(port=0),
                backend=BackendConfig(url=f"http://127.0.0.1:{port}", kind="openai", max_turns=1),
                schedule=ScheduleConfig(keepalive_s=keepalive_s),
                limits=LimitsConfig(queued_turns=queued),
            )
        )
        running = Front(proxy, await stack.enter_async_context(listening(proxy)), stack)
        try:
            yield running
        finally:
            backend.go.set()
            running.close()


async def test_only_a_reply_that_was_held_says_so() -> None:
    backend = Backend()
    async with front(backend) as site:
        busy, held = await site.send(asked("busy")), await site.send(asked())
        assert site.holds.held == 1
        backend.go.set()
        first, second = await read_reply(busy[0]), await read_reply(held[0])
        assert b"x-paste" not in first[0]
        name = b"\r\nx-paste-held-ms: "
        _, _, after = second[0].partition(name)
        assert int(after.partition(b"\r\n")[0]) >= 0
        assert first[1] == second[1] == EVENTS
        assert site.holds.held == 0


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n"])
async def test_a_turn_that_was_held_and_then_failed_says_both(answer: bytes) -> None:
    backend = Backend(answer)
    async with front(backend) as site:
        busy, held = await site.send(asked("busy")), await site.send(asked())
        backend.go.set()
        await read_reply(busy[0])
        head, body = await read_reply(held[0])
        assert head.startswith(b"HTTP/1.1 502 ")
        assert b"\r\nx-paste-held-ms: " in head.lower()
        assert json.loads(body)["error"]["code"].startswith("backend_")


@pytest.mark.parametrize("keepalive_s", [0.0, KEEPALIVE_S])
async def test_nothing_is_sent_for_a_client_that_leaves(keepalive_s: float) -> None:
    backend = Backend()
    async with front(backend, keepalive_s=keepalive_s) as site:
        busy, held = await site.send(asked("busy")), await site.send(asked("gone"))
        if keepalive_s:
            await held[0].readuntil(COMMENT)
        held[1].close()
        await site.until(lambda: site.holds.held == 0)
        backend.go.set()
        await read_reply(busy[0])
        assert (await read_reply((await site.send(asked("next")))[0]))[1] == EVENTS
        assert [b"gone" in turn for turn in backend.turns] == [False, False]
        assert site.holds.ledger.withdrawn == 1
        assert site.proxy.counters.client_disconnects == 1


async def test_a_retry_stands_for_the_request_that_still_waits() -> None:
    backend = Backend()
    async with front(backend) as site:
        await site.send(asked("busy"))
        first = await site.send(asked("hi", PATHS[0], b"x-stainless-retry-count: 0"))
        second = await site.send(asked("hi", PATHS[0], b"x-stainless-retry-count: 1"))
        head, body = await read_reply(first[0])
        assert head.startswith(b"HTTP/1.1 409")
        assert json.loads(body)["error"]["code"] == "superseded"
        backend.go.set()
        assert (await read_reply(second[0]))[1] == EVENTS
        assert len(backend.turns) == 2


@pytest.mark.parametrize(("path", "kind"), [(PATHS[0], "server_error"), (PATHS[1], "overloaded_error")])
async def test_one_that_may_not_wait_is_told_when_to_come_back(path: str, kind: str) -> None:
    async with front(Backend(), queued=1) as site:
        await site.send(asked("busy"))
        await site.send(asked("held"))
        head, body = await read_reply((await site.send(asked("more", path)))[0])
        assert head.startswith(b"HTTP/1.1 503")
        assert b"\r\nRetry-After: 5\r\n" in head
        assert json.loads(body)["error"]["type"] == kind
        assert site.proxy.counters.backend_errors == {"turns_busy": 1}


@pytest.mark.parametrize("path", PATHS)
async def test_a_proxy_that_stops_sends_the_held_away_and_lets_the_others_end(path: str) -> None:
    backend = Backend()
    async with front(backend) as site:
        busy, held = await site.send(asked("busy")), await site.send(asked("held", path))
        stopping = asyncio.get_running_loop().create_task(site.stop())
        head, body = await read_reply(held[0])
        assert head.startswith(b"HTTP/1.1 503")
        assert b"\r\nRetry-After: 1\r\n" in head
        assert json.loads(body)["error"]["code"] == "proxy_stopping"
        backend.go.set()
        assert (await read_reply(busy[0]))[1] == EVENTS
        await asyncio.wait_for(stopping, SOON_S)
        assert len(backend.turns) == 1


# -- comments ---------------------------------------------------------------------------------------------


async def early(site: Front, path: str = PATHS[0]) -> Client:
    """The client of a held turn that was told so twice."""
    await site.send(asked("busy"))
    client = await site.send(asked("hi", path, b"Accept-Encoding: gzip"))
    head = await client[0].readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream")
    assert b"x-request-id: " in head
    for _ in range(2):
        assert await read_chunk(client[0]) == COMMENT
    return client


async def rest(client: Client) -> bytes:
    """What comes behind the comments, to the end of the body."""
    parts = []
    while part := await read_chunk(client[0]):
        parts.append(part)
    while parts[0] == COMMENT:
        del parts[0]
    return b"".join(parts)


async def test_the_backend_s_stream_follows_on_comments_unchanged() -> None:
    backend = Backend()
    async with front(backend, keepalive_s=KEEPALIVE_S) as site:
        client = await early(site)
        backend.go.set()
        assert await rest(client) == EVENTS
        assert b"accept-encoding" not in backend.turns[1].lower()
        client[1].write(asked("again, on the same connection"))
        assert await read_reply(client[0])


@pytest.mark.parametrize("stream", [True, False])
async def test_who_does_not_stream_or_need_not_wait_gets_the_backend_s_head(stream: bool) -> None:
    backend = Backend()
    async with front(backend, keepalive_s=60.0 if stream else KEEPALIVE_S) as site:
        await site.send(asked("busy"))
        client = await site.send(asked(stream=stream))
        other = await site.send(asked("other", stream=True))
        if not stream:
            await other[0].readuntil(COMMENT)
        backend.go.set()
        head, body = await read_reply(client[0])
        assert b"x-paste-held-ms" in head
        assert body == EVENTS


def reply(status: str, kind: str, body: bytes, *fields: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("answer", "message", "code"),
    [
        (reply("400 Bad Request", "application/json", ERROR), "too long", 400),
        (
            reply("503 Busy", "text/html", b"<html>"),
            "the backend answered 503 with text/html",
            "backend_refused",
        ),
        (
            reply("200 OK", "application/json", b'{"id":"x"}'),
            "answered 200 with application/json",
            "backend_refused",
        ),
        (
            reply("200 OK", "text/event-stream", b"\x1f\x8b", "Content-Encoding: gzip"),
            "answered 200 with text/event-stream",
            "backend_refused",
        ),
        (
            reply("400 Bad Request", "application/json", b'{"object":"error","message":"no"}'),
            "no",
            "backend_refused",
        ),
        (b"nonsense\r\n\r\n", "HTTP", "backend_bad_reply"),
        (b"", "closed", ...),
    ],
)
async def test_an_error_behind_comments_is_the_stream_s_last_event(
    answer: bytes, message: str, code: Any
) -> None:
    backend = Backend(answer)
    async with front(backend, keepalive_s=KEEPALIVE_S) as site:
        client = await early(site)
        backend.go.set()
        told = await rest(client)
        assert told.endswith(b"\n\ndata: [DONE]\n\n")
        error = json.loads(told.removeprefix(b"data: ").partition(b"\n")[0])["error"]
        assert message in error["message"]
        assert code in (..., error["code"])


@pytest.mark.parametrize("path", PATHS[1:])
async def test_each_api_is_told_in_its_own_form(path: str) -> None:
    backend = Backend(reply("400 Bad Request", "application/json", ERROR))
    async with front(backend, keepalive_s=KEEPALIVE_S) as site:
        client = await early(site, path)
        backend.go.set()
        event, _, data = (await rest(client)).partition(b"\n")
        assert event == b"event: error"
        told = json.loads(data.removeprefix(b"data: "))
        assert told["type"] == "error"
        assert told["error"]["message"] == "too long"
        assert path == PATHS[1] or told["message"] == "too long"


async def test_a_stop_is_told_behind_comments_too() -> None:
    backend = Backend()
    async with front(backend, keepalive_s=KEEPALIVE_S) as site:
        client = await early(site)
        stopping = asyncio.get_running_loop().create_task(site.stop())
        assert b"proxy_stopping" in await rest(client)
        backend.go.set()
        await asyncio.wait_for(stopping, SOON_S)
