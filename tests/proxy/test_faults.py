"""Every way in which a backend fails: a clear answer of ours, or a visibly unfinished one of its own."""

import asyncio
import json
import socket

import pytest

from paste_proxy.config import BackendConfig
from paste_proxy.errors import ConfigError
from paste_proxy.proxy.pool import NoUpstream, PooledUpstream
from tests.patience import SOON_S, until
from tests.proxy.support import (
    STREAM_HEAD,
    Conversation,
    FakeRuntime,
    Proxy,
    chat_request,
    chunk,
    proxy,
    raw_backend,
    read_chunk,
    read_reply,
    read_request,
)

GET = b"GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n"


def answering(*parts: bytes, reset: bool = False) -> Conversation:
    """Sends `parts` after a request, then closes or resets the connection."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
        if reset:
            writer.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
            )
            writer.transport.abort()

    return conversation


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def ask(running: Proxy, request: bytes) -> tuple[int, dict[str, object]]:
    reader, writer = await running.connect()
    writer.write(request)
    head, body = await asyncio.wait_for(read_reply(reader), SOON_S)
    assert b"x-request-id: " in head.lower()
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "server_error"
    return int(head.split(b" ")[1]), error


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.mark.parametrize("request_", [GET, chat_request()], ids=["any", "chat"])
async def test_refused(request_: bytes) -> None:
    async with proxy(free_port()) as running:
        status, error = await ask(running, request_)
        assert (status, error["code"]) == (502, "backend_unreachable")
        assert "refused" in str(error["message"]).lower()
        assert running.counters.backend_errors == {"backend_unreachable": 1}
        for turn in running.runtime.turns:
            assert turn.closed.result() is False
            assert turn.log == ["close"]


async def test_a_name_that_does_not_resolve() -> None:
    async with proxy(1) as running:
        running.plane.lines.first.upstream._host = "no.such.host.invalid"  # type: ignore[attr-defined]
        status, error = await ask(running, GET)
        assert (status, error["code"]) == (502, "backend_unreachable")


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("parts", [(), (b"HTTP/1.1 200 O",)], ids=["nothing", "half a head"])
async def test_lost_before_the_reply(parts: tuple[bytes, ...], *, reset: bool) -> None:
    async with raw_backend(answering(*parts, reset=reset)) as port, proxy(port) as running:
        status, error = await ask(running, chat_request())
        assert (status, error["code"]) == (502, "backend_unreachable")
        assert await running.runtime.turns[0].closed is False


@pytest.mark.parametrize("garbage", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nA\r\n\r\n"])
async def test_something_that_is_not_http(garbage: bytes) -> None:
    async with raw_backend(answering(garbage)) as port, proxy(port) as running:
        status, error = await ask(running, GET)
        assert (status, error["code"]) == (502, "backend_bad_reply")


async def test_silence_before_the_reply() -> None:
    async with raw_backend(silent) as port, proxy(port, silence_s=0.1, kind="sglang") as running:
        status, error = await ask(running, chat_request())
        assert (status, error["code"]) == (504, "backend_timeout")
        assert error["param"] == "backend.silence_timeout_s"
        assert running.counters.aborts_sent == 1


@pytest.mark.parametrize("size", [1, 20_000])
async def test_interim_replies_without_end(size: int) -> None:
    async def backend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        while True:
            writer.write(b"HTTP/1.1 102 Processing\r\nX: " + b"x" * size + b"\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0)

    async with raw_backend(backend) as port, proxy(port) as running:
        status, error = await asyncio.wait_for(ask(running, GET), SOON_S)
        assert (status, error["code"]) == (502, "backend_bad_reply")


async def test_silence_in_mid_stream() -> None:
    async def backend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD + chunk(b"data: {}\n\n"))
        await reader.read()

    async with raw_backend(backend) as port, proxy(port, silence_s=0.1) as running:
        reader, writer = await running.connect()
        writer.write(chat_request())
        await reader.readuntil(b"\r\n\r\n")
        await read_chunk(reader)
        with pytest.raises(asyncio.IncompleteReadError):
            await asyncio.wait_for(read_chunk(reader), SOON_S)
        assert running.counters.backend_errors == {"backend_timeout": 1}


async def test_a_stream_that_speaks_now_and_then_is_not_silent() -> None:
    async def backend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD)
        for _ in range(6):
            await asyncio.sleep(0.05)
            writer.write(chunk(b"data: {}\n\n"))
        writer.write(b"0\r\n\r\n")

    async with raw_backend(backend) as port, proxy(port, silence_s=0.15) as running:
        reader, writer = await running.connect()
        writer.write(chat_request())
        _, body = await asyncio.wait_for(read_reply(reader), SOON_S)
        assert body.count(b"data") == 6


async def test_an_address_that_swallows_connections() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.settimeout(0)
            filler.connect_ex(("127.0.0.1", port))
        async with proxy(port, connect_s=0.1) as running:
            status, error = await ask(running, GET)
            assert (status, error["param"]) == (504, "backend.connect_timeout_s")
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    "parts",
    [
        (STREAM_HEAD, chunk(b"data: {}\n\n")),
        (STREAM_HEAD + b"100\r\nhalf a chunk",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome",),
    ],
    ids=["between-chunks", "in-a-chunk", "sized"],
)
async def test_lost_in_mid_reply(parts: tuple[bytes, ...], *, reset: bool) -> None:
    """The client must see that the reply is cut: its connection ends before its framing does."""
    async with raw_backend(answering(*parts, reset=reset)) as port, proxy(port) as running:
        reader, writer = await running.connect()
        writer.write(chat_request())
        try:
            everything = await asyncio.wait_for(reader.read(), SOON_S)
        except ConnectionResetError:
            everything = b""
        assert not everything.endswith(b"0\r\n\r\n")
        assert b"error" not in everything
        assert await asyncio.wait_for(running.runtime.turns[0].closed, SOON_S) is False
        assert running.counters.backend_errors in ({"backend_unreachable": 1}, {"backend_bad_reply": 1})


async def test_a_reply_without_framing_is_cut_by_a_reset() -> None:
    parts = (b"HTTP/1.1 200 OK\r\n\r\n", b"some")
    async with raw_backend(answering(*parts, reset=True)) as port, proxy(port) as running:
        reader, writer = await running.connect()
        writer.write(GET)
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), SOON_S)


async def test_a_broken_chunk_cuts_the_reply() -> None:
    async with raw_backend(answering(STREAM_HEAD + chunk(b"a") + b"zz\r\n")) as port, proxy(port) as running:
        reader, writer = await running.connect()
        writer.write(chat_request())
        everything = await asyncio.wait_for(reader.read(), SOON_S)
        assert not everything.endswith(b"0\r\n\r\n")
        assert running.counters.backend_errors == {"backend_bad_reply": 1}


async def test_errors_of_the_backend_pass_as_they_are() -> None:
    body = b'{"object":"error","message":"too long"}'
    reply = b"HTTP/1.1 400 Bad\r\nRetry-After: 1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    async with raw_backend(answering(reply)) as port, proxy(port) as running:
        reader, writer = await running.connect()
        writer.write(chat_request())
        head, arrived = await read_reply(reader)
        assert head.startswith(b"HTTP/1.1 400 Bad\r\nRetry-After: 1\r\n")
        assert arrived == body
        assert await running.runtime.turns[0].closed is True
        assert running.runtime.turns[0].events == []
        assert running.counters.backend_errors == {}


@pytest.mark.parametrize("sized", [True, False], ids=["announced", "chunked"])
async def test_a_body_above_the_limit(*, sized: bool) -> None:
    async with raw_backend(silent) as port, proxy(port, body_bytes=100) as running:
        reader, writer = await running.connect()
        if sized:
            writer.write(chat_request(b"x" * 101))
        else:
            writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(chunk(b"x" * 60) + chunk(b"x" * 60))
        head, body = await asyncio.wait_for(read_reply(reader), SOON_S)
        assert head.startswith(b"HTTP/1.1 413 ")
        error = json.loads(body)["error"]
        assert (error["code"], error["param"]) == ("request_too_large", "limits.body_bytes")
        assert running.runtime.admitted == []


async def test_a_stale_connection_is_replaced_for_a_get_and_reported_for_a_post() -> None:
    """The first connection answers once and dies when it is used again."""
    connections = 0

    async def backend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await reader.readexactly(1)
        writer.transport.abort()

    async with raw_backend(backend) as port, proxy(port) as running:
        reader, writer = await running.connect()
        for _ in range(2):
            writer.write(GET)
            _, body = await asyncio.wait_for(read_reply(reader), SOON_S)
            assert body == b"ok"
        assert connections == 2
        writer.write(chat_request())
        head, body = await asyncio.wait_for(read_reply(reader), SOON_S)
        assert head.startswith(b"HTTP/1.1 502 ")
        assert json.loads(body)["error"]["code"] == "backend_closed_idle_connection"
        assert connections == 2


async def test_bytes_that_nobody_asked_for_end_a_kept_connection() -> None:
    """Else they would be taken for the next request's reply."""
    connections = 0

    async def backend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await asyncio.sleep(0.02)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        await reader.read()

    async with raw_backend(backend) as port, proxy(port) as running:
        reader, writer = await running.connect()
        for _ in range(2):
            writer.write(GET)
            _, body = await asyncio.wait_for(read_reply(reader), SOON_S)
            assert body == b"ok"
            await until(lambda: not running.plane.lines.first.upstream._idle)  # type: ignore[attr-defined]
        assert connections == 2


EVENTS = (
    b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
)


@pytest.mark.parametrize("hook", ["admit", "sent", "feed", "close"])
async def test_a_failing_hook_harms_no_reply(hook: str, caplog: pytest.LogCaptureFixture) -> None:
    wire = STREAM_HEAD + b"".join(map(chunk, EVENTS)) + b"0\r\n\r\n"
    async with raw_backend(answering(wire)) as port, proxy(port, FakeRuntime(hook)) as running:
        for _ in range(2):
            reader, writer = await running.connect()
            writer.write(chat_request())
            _, body = await asyncio.wait_for(read_reply(reader), SOON_S)
            assert body == b"".join(EVENTS)
            writer.close()
        assert list(running.counters.tap_failures.values()) == [2]
    assert len([record for record in caplog.records if "logged once" in record.message]) == 1


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h",
        "h:80",
        "http://",
        "http://h:99999",
        "http://h:0",
        "http://[::1",
        "http://a..b",
        "http://" + "a" * 64,
        "http://a\0b",
        "http://a b",
        "http://user:pw@h",
        "http://h\N{LATIN SMALL LETTER U WITH DIAERESIS}",
    ],
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigError, match=r"backend\.url"):
        PooledUpstream(BackendConfig(url=url))


async def test_no_backend_is_an_answer_too() -> None:
    async with proxy(1) as running:
        running.plane.lines.first.upstream = NoUpstream()
        status, error = await ask(running, GET)
        assert (status, error["param"]) == (502, "backend.url")


@pytest.mark.parametrize("path", [b"/v1/chat/completions", b"/other"])
async def test_a_transfer_coding_that_can_not_be_passed_on(path: bytes) -> None:
    async with raw_backend(silent) as port, proxy(port) as running:
        reader, writer = await running.connect()
        writer.write(
            b"POST " + path + b" HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
        )
        head, body = await asyncio.wait_for(read_reply(reader), SOON_S)
        assert head.startswith(b"HTTP/1.1 400 ")
        assert json.loads(body)["error"]["param"] == "Transfer-Encoding"


async def test_a_failure_of_ours_before_a_turn_is_sent_gives_its_place_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("what is put into a request")

    async with raw_backend(silent) as port, proxy(port, runtime := FakeRuntime()) as running:
        monkeypatch.setattr(running.plane, "_sending", fails)
        reader, writer = await running.connect()
        writer.write(chat_request())
        head, _ = await asyncio.wait_for(read_reply(reader), SOON_S)
        assert b" 500 " in head
        assert await asyncio.wait_for(runtime.turns[0].closed, SOON_S) is False
