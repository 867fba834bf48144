"""What a client sends reaches the backend, and what the backend answers the client, byte for byte."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.patience import SOON_S
from tests.proxy.support import (
    CHAT_BODY,
    STREAM_HEAD,
    Proxy,
    Streams,
    chat_request,
    chunk,
    proxy,
    raw_backend,
    read_chunk,
    read_chunked,
    read_reply,
    read_request,
)

PER_HOP = (b"connection:", b"transfer-encoding:", b"host:", b"x-request-id:", b"content-length:")


def lines(head: bytes) -> list[bytes]:
    """A head's lines, less those that each hop says for itself."""
    return [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith(PER_HOP)]


class Echo:
    """Keeps the last request, and answers with what it is told to."""

    def __init__(self) -> None:
        self.head = b""
        self.body = b""
        self.reply = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            self.head, self.body = await read_request(reader)
            if b"transfer-encoding: chunked" in self.head.lower():
                self.body = await read_chunked(reader)
            writer.write(self.reply)
            if b"Content-Length" not in self.reply and b"chunked" not in self.reply:
                writer.close()
            await writer.drain()


@asynccontextmanager
async def echoing() -> AsyncIterator[tuple[Echo, Proxy, Streams]]:
    echo = Echo()
    async with raw_backend(echo) as port, proxy(port) as running:
        yield echo, running, await running.connect()


NAMES = st.from_regex(rb"\AX-[A-Za-z0-9_.-]{1,8}\Z")
VALUES = st.from_regex(rb"\A[!-~\x80-\xff]([ !-~\x80-\xff]{0,20}[!-~\x80-\xff])?\Z")
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=6)
TARGETS = st.from_regex(rb"\A/([!-~&&[^#]]|%[0-9A-Fa-f]{2}){0,20}\Z".replace(b"&&[^#]", b"")).filter(
    lambda target: b"#" not in target
)


def block(fields: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(name + b": " + value + b"\r\n" for name, value in fields)


async def test_any_target_headers_and_body_arrive_as_they_were_sent() -> None:
    async with echoing() as (echo, _, (reader, writer)):

        async def exchange(target: bytes, fields: list[tuple[bytes, bytes]], body: bytes) -> None:
            head = b"PUT " + target + b" HTTP/1.1\r\nHost: h\r\n" + block(fields)
            writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            await read_reply(reader)
            expected = b"PUT " + target + b" HTTP/1.1\r\n" + block(fields) + b"\r\n\r\n"
            assert lines(echo.head) == [line for line in lines(expected) if line]
            assert echo.body == body

        await _each(st.tuples(TARGETS, FIELDS, st.binary(max_size=50)), exchange)


async def test_any_reply_arrives_as_it_was_sent() -> None:
    async with echoing() as (echo, _, (reader, writer)):

        async def exchange(status: int, fields: list[tuple[bytes, bytes]], body: bytes) -> None:
            framing = b"Content-Length: %d\r\n" % len(body)
            echo.reply = b"HTTP/1.1 %d Because I say so\r\n" % status + block(fields) + framing + b"\r\n" + body
            writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            head, arrived = await read_reply(reader)
            assert lines(head) == lines(echo.reply[: len(echo.reply) - len(body)])
            assert arrived == body

        await _each(st.tuples(st.sampled_from([200, 201, 301, 404, 429, 503]), FIELDS, st.binary()), exchange)


async def _each(examples: st.SearchStrategy[tuple], exchange: object) -> None:  # type: ignore[type-arg]
    """Draws examples in a thread, and runs each on this loop: hypothesis knows no coroutines."""
    loop = asyncio.get_running_loop()

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(examples)
    def run(example: tuple) -> None:  # type: ignore[type-arg]
        asyncio.run_coroutine_threadsafe(exchange(*example), loop).result(5)  # type: ignore[operator]

    await asyncio.to_thread(run)


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        (b"/a?", b"/a?"),
        (b"//a//b/../c/./", b"//a//b/../c/./"),
        (b"/%2e%2E/%7e?q=%20+&q=a%2Fb", b"/%2e%2E/%7e?q=%20+&q=a%2Fb"),
        (b"/v1/chat%2Fcompletions", b"/v1/chat%2Fcompletions"),
        (b"/a%0Ab", b"/a%0Ab"),
        (b"http://other:1/a?b=http://c", b"/a?b=http://c"),
    ],
)
async def test_targets(sent: bytes, arrives: bytes) -> None:
    async with echoing() as (echo, _, (reader, writer)):
        writer.write(b"GET " + sent + b" HTTP/1.1\r\nHost: h\r\n\r\n")
        await read_reply(reader)
        assert echo.head.split(b" ")[1] == arrives


async def test_fields_of_one_hop_stay_on_it() -> None:
    async with echoing() as (echo, running, (reader, writer)):
        echo.reply = (
            b"HTTP/1.1 200 OK\r\nConnection: X-Back\r\nX-Back: 1\r\nKeep-Alive: 5\r\nTrailer: a\r\n"
            b"Proxy-Authenticate: b\r\nUpgrade: h2c\r\n"
            b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"
        )
        writer.write(
            b"GET / HTTP/1.1\r\nHost: h\r\nConnection: X-Hop, keep-alive, content-length\r\n"
            b"X-Hop: 1\r\nTE: trailers\r\n"
            b"Proxy-Connection: a\r\nProxy-Authorization: b\r\nUpgrade: h2c\r\nExpect: 100-continue\r\n"
            b"Authorization: Bearer c\r\nCookie: d=e\r\n\r\n"
        )
        await reader.readuntil(b"100 Continue\r\n\r\n")
        head, _ = await read_reply(reader)
        assert lines(echo.head) == [b"GET / HTTP/1.1", b"Authorization: Bearer c", b"Cookie: d=e"]
        assert (
            f"Host: 127.0.0.1:{running.plane.lines.first.control.config.url.rpartition(':')[2]}".encode()
            in echo.head
        )
        assert lines(head) == [b"HTTP/1.1 200 OK", b"Set-Cookie: a=1", b"Set-Cookie: b=2"]


async def test_request_ids_are_kept_or_made() -> None:
    async with echoing() as (echo, _, (reader, writer)):
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\nX-Request-ID: mine\r\n\r\n")
        head, _ = await read_reply(reader)
        assert echo.head.count(b"mine") == head.count(b"mine") == 1
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        head, _ = await read_reply(reader)
        made = head.partition(b"x-request-id: ")[2].partition(b"\r")[0]
        assert len(made) == 32
        assert b"x-request-id: " + made in echo.head
        echo.reply = b"HTTP/1.1 200 OK\r\nX-Request-Id: theirs\r\nContent-Length: 0\r\n\r\n"
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        head, _ = await read_reply(reader)
        assert head.lower().count(b"x-request-id") == 1


async def test_a_compressed_reply_is_not_touched() -> None:
    async with echoing() as (echo, running, (reader, writer)):
        body = b"\x1f\x8bnot even gzip"
        kind = b"Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\n"
        echo.reply = b"HTTP/1.1 200 OK\r\n" + kind + b"Content-Length: %d\r\n\r\n" % len(body) + body
        writer.write(chat_request(CHAT_BODY, b"Accept-Encoding: gzip, br"))
        _, arrived = await read_reply(reader)
        assert b"Accept-Encoding: gzip, br" in echo.head
        assert arrived == body
        assert running.counters.untapped_replies == 1


async def test_a_compressed_request_is_not_touched() -> None:
    async with echoing() as (echo, running, (reader, writer)):
        body = b"\x1f\x8bnot even gzip"
        writer.write(chat_request(body, b"Content-Encoding: gzip"))
        await read_reply(reader)
        assert echo.body == body
        assert running.counters.unreadable_requests == 1


async def test_framing_is_kept_as_the_backend_had_it() -> None:
    async with echoing() as (echo, running, (reader, writer)):
        for reply, body in [
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"ab") + b"0\r\n\r\n", b"ab"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", b"ab"),
            (b"HTTP/1.1 200 OK\r\n\r\nab", b"ab"),
        ]:
            echo.reply = reply
            writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            head, arrived = await read_reply(reader)
            assert arrived == body
            assert (b"chunked" in reply, b"Content-Length" in reply) == (
                b"chunked" in head,
                b"Content-Length" in head,
            )
        assert b"Connection: close" in head
        old = await running.connect()
        echo.reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"ab") + b"0\r\n\r\n"
        old[1].write(b"GET / HTTP/1.0\r\n\r\n")
        head, arrived = await read_reply(old[0])
        assert (b"chunked" in head, arrived) == (False, b"ab")


@pytest.mark.parametrize(
    ("method", "reply"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 10\r\n\r\n"),
    ],
)
async def test_replies_without_a_body_leave_the_connection_usable(method: bytes, reply: bytes) -> None:
    async with raw_backend(_always(reply)) as port, proxy(port) as running:
        reader, writer = await running.connect()
        for _ in range(2):
            writer.write(method + b" / HTTP/1.1\r\nHost: h\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert lines(head) == lines(reply)
            assert (b"Content-Length: 10" in head) == (b"Content-Length: 10" in reply)


def _always(reply: bytes) -> "_Always":
    return _Always(reply)


class _Always:
    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self._reply)


async def test_events_arrive_one_by_one_as_they_are_sent() -> None:
    """Each event is on the client's socket before the backend sends the next one: nothing is held back."""
    go = asyncio.Queue[bytes]()

    async def backend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD)
        while part := await go.get():
            writer.write(chunk(part))
        writer.write(b"0\r\n\r\n")

    async with raw_backend(backend) as port, proxy(port) as running:
        reader, writer = await running.connect()
        writer.write(chat_request())
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON_S)
        for event in [b"data: {}\n\n", b"da", b"ta: [DO", b"NE]\n\n"]:
            go.put_nowait(event)
            assert await asyncio.wait_for(read_chunk(reader), SOON_S) == event
        go.put_nowait(b"")
        assert await asyncio.wait_for(read_chunk(reader), SOON_S) == b""
        assert await asyncio.wait_for(running.runtime.turns[0].closed, SOON_S) is True


async def test_a_streamed_request_body_arrives_while_it_is_sent() -> None:
    got = asyncio.Queue[bytes]()

    async def backend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Transfer-Encoding: chunked" in head
        while part := await read_chunk(reader):
            got.put_nowait(part)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with raw_backend(backend) as port, proxy(port) as running:
        reader, writer = await running.connect()
        writer.write(b"POST /upload HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b"one", b"two"):
            writer.write(chunk(part))
            assert await asyncio.wait_for(got.get(), SOON_S) == part
        writer.write(b"0\r\n\r\n")
        await asyncio.wait_for(read_reply(reader), SOON_S)


async def test_a_reply_may_begin_before_the_request_ends() -> None:
    async def backend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await reader.read()

    async with raw_backend(backend) as port, proxy(port) as running:
        reader, writer = await running.connect()
        writer.write(b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nsome")
        head, body = await asyncio.wait_for(read_reply(reader), SOON_S)
        assert (head[:12], body) == (b"HTTP/1.1 413", b"no")


async def test_a_path_prefix_of_the_backend() -> None:
    echo = Echo()
    async with raw_backend(echo) as port, proxy(port, prefix="/base/") as running:
        reader, writer = await running.connect()
        writer.write(b"GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n")
        await read_reply(reader)
        assert echo.head.startswith(b"GET /base/v1/models HTTP/1.1")
