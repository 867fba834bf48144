import asyncio
import gc
import logging
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from paste_proxy.gateway.asgi import AsgiApp, Message, Receive, Scope, Send, serve
from tests.gateway.servers import raw_connection, serving
from tests.patience import SOON_S

TEXT = [(b"content-type", b"text/plain")]


def mounted(app: AsgiApp, root_path: str = "") -> web.Application:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await serve(app, request, root_path=root_path)

    outer = web.Application()
    outer.router.add_route("*", "/{tail:.*}", handle)
    return outer


async def respond(send: Send, body: bytes = b"", status: int = 200, headers: Any = TEXT) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read_all(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        assert message["type"] == "http.request"
        body += bytes(message["body"])
        if not message["more_body"]:
            return body


class Recorder:
    """An application that keeps the scope and the body, and echoes the body."""

    def __init__(self) -> None:
        self.scope: Scope = {}
        self.body = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.body = await read_all(receive)
        await respond(
            send, self.body, 201, [*TEXT, (b"x-a", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
        )


async def test_the_scope_says_what_the_client_sent() -> None:
    app = Recorder()
    async with serving(mounted(app)) as base, raw_connection(base) as (reader, writer):
        writer.write(
            b"POST /a%20b/c?q=%C3%BC&empty= HTTP/1.1\r\nHost: h\r\nX-Raw: \xc3\xbc\r\n"
            b"Content-Length: 2\r\n\r\nhi"
        )
        await reader.readuntil(b"\r\n\r\n")
        local = writer.get_extra_info("sockname")
        remote = writer.get_extra_info("peername")
    scope = app.scope
    assert scope["type"] == "http"
    assert (scope["method"], scope["http_version"], scope["scheme"]) == ("POST", "1.1", "http")
    assert (scope["path"], scope["raw_path"]) == ("/a b/c", b"/a%20b/c")
    assert (scope["query_string"], scope["root_path"]) == (b"q=%C3%BC&empty=", "")
    assert (b"x-raw", b"\xc3\xbc") in scope["headers"]
    assert (scope["client"], scope["server"]) == (local, remote)


async def test_status_headers_and_body_come_back_with_repeated_fields_kept() -> None:
    app = Recorder()
    body = b"x" * 300_000
    async with (
        serving(mounted(app, "/root")) as base,
        aiohttp.ClientSession() as client,
        client.post(base, data=body) as reply,
    ):
        assert reply.status == 201
        assert reply.headers["x-a"] == "1"
        assert reply.headers.getall("set-cookie") == ["a=1", "b=2"]
        assert await reply.read() == app.body == body
    assert app.scope["root_path"] == "/root"


async def test_a_response_that_states_its_length_is_sent_whole() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await respond(send, b"12345", headers=[*TEXT, (b"content-length", b"5")])

    async with serving(mounted(app)) as base, raw_connection(base) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        reply = await reader.read(4096)
    assert reply.endswith(b"\r\n\r\n12345")
    assert b"chunked" not in reply.lower()


async def test_framing_headers_of_the_application_are_not_passed_on() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await respond(send, b"x", headers=[(b"Transfer-Encoding", b"gzip"), (b"Connection", b"close")])

    async with serving(mounted(app)) as base, aiohttp.ClientSession() as client, client.get(base) as reply:
        assert reply.headers["transfer-encoding"] == "chunked"
        assert "connection" not in reply.headers


async def test_a_body_of_many_parts_arrives_while_it_is_sent() -> None:
    seen: asyncio.Queue[Message] = asyncio.Queue()

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            seen.put_nowait(message)
            more = message["more_body"]
        await respond(send)

    async with serving(mounted(app)) as base, raw_connection(base) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        first = await asyncio.wait_for(seen.get(), SOON_S)
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
    assert first == {"type": "http.request", "body": b"one", "more_body": True}
    rest = [seen.get_nowait() for _ in range(seen.qsize())]
    assert b"".join(message["body"] for message in rest) == b"two"
    assert rest[-1]["more_body"] is False


async def test_the_first_chunk_arrives_before_the_last_is_sent() -> None:
    release = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": TEXT})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await release.wait()
        await send({"type": "http.response.body", "body": b"last"})

    async with serving(mounted(app)) as base, aiohttp.ClientSession() as client, client.get(base) as reply:
        assert await asyncio.wait_for(reply.content.readany(), SOON_S) == b"first"
        release.set()
        assert await reply.content.read() == b"last"


async def test_the_head_of_a_stream_is_sent_without_waiting_for_its_body() -> None:
    release = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": TEXT})
        await release.wait()
        await send({"type": "http.response.body", "body": b""})

    async with (
        serving(mounted(app)) as base,
        aiohttp.ClientSession() as client,
        asyncio.timeout(SOON_S),
        client.get(base) as reply,
    ):
        assert reply.status == 200
        release.set()
        assert await reply.read() == b""


async def test_a_client_that_leaves_cancels() -> None:
    started = asyncio.Event()
    ended = asyncio.Event()
    afterwards: list[Message] = []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
            afterwards.append(await receive())
            afterwards.append(await receive())
            await respond(send)

    async with serving(mounted(app)) as base:
        async with raw_connection(base) as (_, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await asyncio.wait_for(started.wait(), SOON_S)
        await asyncio.wait_for(ended.wait(), SOON_S)
    assert afterwards[-1] == {"type": "http.disconnect"}


async def test_an_application_that_ignores_the_leaving_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    started = asyncio.Event()
    ended = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        started.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await respond(send)
        ended.set()

    async with serving(mounted(app)) as base:
        async with raw_connection(base) as (_, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await asyncio.wait_for(started.wait(), SOON_S)
        await asyncio.wait_for(ended.wait(), SOON_S)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_client_that_leaves_amid_a_stream_cancels_it() -> None:
    ended = asyncio.Event()

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await read_all(receive)
            await send({"type": "http.response.start", "status": 200, "headers": TEXT})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await receive()
        finally:
            ended.set()

    async with serving(mounted(app)) as base:
        async with raw_connection(base) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await reader.readuntil(b"x\r\n")
        await asyncio.wait_for(ended.wait(), SOON_S)


async def test_a_client_that_leaves_amid_its_body_is_a_disconnect() -> None:
    seen: asyncio.Queue[str] = asyncio.Queue()

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        seen.put_nowait((await receive())["type"])
        with suppress(asyncio.CancelledError):
            await receive()
        seen.put_nowait((await receive())["type"])

    async with serving(mounted(app)) as base:
        async with raw_connection(base) as (_, writer):
            writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf")
            assert await asyncio.wait_for(seen.get(), SOON_S) == "http.request"
        assert await asyncio.wait_for(seen.get(), SOON_S) == "http.disconnect"


async def test_receive_says_disconnect_once_the_response_is_complete() -> None:
    after: list[Message] = []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await read_all(receive)
        await respond(send)
        after.append(await receive())

    async with serving(mounted(app)) as base, aiohttp.ClientSession() as client, client.get(base) as reply:
        await reply.read()
    assert after == [{"type": "http.disconnect"}]


async def test_a_slow_reader_holds_the_application_back() -> None:
    sent = 0
    chunk = b"x" * 65536

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": TEXT})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            sent += len(chunk)

    async with serving(mounted(app)) as base, raw_connection(base) as (_, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        before = 0
        while not sent or sent != before:
            before = sent
            await asyncio.sleep(0.05)
    assert 0 < sent < 20_000_000  # of 65 MB: what the two sockets and the writer hold


@pytest.mark.parametrize("mistake", ["raises", "says nothing", "body first", "unknown"])
async def test_a_failure_before_the_response_is_500(mistake: str, caplog: pytest.LogCaptureFixture) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        if mistake == "raises":
            raise ValueError("secret")
        if mistake == "body first":
            await send({"type": "http.response.body", "body": b""})
        if mistake == "unknown":
            await send({"type": "http.response.push"})

    async with serving(mounted(app)) as base, aiohttp.ClientSession() as client, client.get(base) as reply:
        assert (reply.status, await reply.text()) == (500, "Internal Server Error")
    assert "the mounted application failed on GET /" in caplog.text


@pytest.mark.parametrize("mistake", ["raises", "stops", "starts twice"])
async def test_a_failure_amid_the_response_breaks_the_connection(
    mistake: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": TEXT}
        await send(start)
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        if mistake == "raises":
            raise ValueError("broken")
        if mistake == "starts twice":
            await send(start)

    caplog.set_level(logging.CRITICAL)
    async with serving(mounted(app)) as base, aiohttp.ClientSession() as client, client.get(base) as reply:
        assert reply.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await reply.read()


async def test_nothing_is_left_of_requests_that_are_over() -> None:
    app = Recorder()
    async with serving(mounted(app)) as base, aiohttp.ClientSession() as client:
        async with client.post(base, data=b"x") as reply:
            await reply.read()
        gc.collect()
        tasks = len(asyncio.all_tasks())
        for _ in range(50):
            async with client.post(base, data=b"x") as reply:
                await reply.read()
        assert len(asyncio.all_tasks()) == tasks
