"""A client that leaves ends the backend's work, wherever the request is."""

import asyncio
import contextlib
import json

import pytest

from tests.patience import SOON_S
from tests.proxy.support import (
    CHAT_BODY,
    STREAM_HEAD,
    Streams,
    chat_request,
    chunk,
    proxy,
    raw_backend,
    read_request,
)

EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'


class Watched:
    """A backend that plays one reply so far and then tells when its connection ended."""

    def __init__(self, *reply: bytes) -> None:
        self._reply = reply
        self.played = asyncio.Event()
        self.aborted = asyncio.Event()
        self.left = asyncio.Event()
        self.requests: list[tuple[bytes, bytes]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, body = await read_request(reader)
        self.requests.append((head, body))
        if head.startswith(b"POST /abort_request"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            self.aborted.set()
            return
        for part in self._reply:
            writer.write(part)
            await writer.drain()
        self.played.set()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        self.left.set()


def leave(streams: Streams) -> None:
    streams[1].close()


@pytest.mark.parametrize(
    "reply",
    [(), (STREAM_HEAD,), (STREAM_HEAD, chunk(EVENT)), (STREAM_HEAD + chunk(EVENT) * 3,)],
    ids=["before-the-first-byte", "after-the-head", "silence", "mid-stream"],
)
async def test_leaving_a_stream_closes_the_backends_connection(reply: tuple[bytes, ...]) -> None:
    backend = Watched(*reply)
    async with raw_backend(backend) as port, proxy(port) as running:
        client = await running.connect()
        client[1].write(chat_request())
        await backend.played.wait()
        if reply:
            await client[0].readuntil(b"\r\n\r\n")
        leave(client)
        await asyncio.wait_for(backend.left.wait(), SOON_S)
        assert running.counters.backend_errors == {}, "it was not given up for its silence"
        turn = running.runtime.turns[0]
        assert await asyncio.wait_for(turn.closed, SOON_S) is False
        assert turn.log.count("close") == 1
        assert running.counters.client_disconnects == 1


async def test_leaving_a_request_that_does_not_stream() -> None:
    backend = Watched()
    async with raw_backend(backend) as port, proxy(port) as running:
        client = await running.connect()
        client[1].write(chat_request(CHAT_BODY.replace(b"true", b"false")))
        await backend.played.wait()
        leave(client)
        await asyncio.wait_for(backend.left.wait(), SOON_S)
        assert running.counters.backend_errors == {}, "it was not given up for its silence"


async def test_leaving_any_other_path() -> None:
    backend = Watched(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    async with raw_backend(backend) as port, proxy(port) as running:
        client = await running.connect()
        client[1].write(b"GET /generate HTTP/1.1\r\nHost: x\r\n\r\n")
        await client[0].readuntil(b"half")
        leave(client)
        await asyncio.wait_for(backend.left.wait(), SOON_S)
        assert running.counters.backend_errors == {}, "it was not given up for its silence"
        assert running.counters.client_disconnects == 1


async def test_sglang_is_told_to_abort_by_an_id_of_ours() -> None:
    backend = Watched()
    async with raw_backend(backend) as port, proxy(port, kind="sglang") as running:
        client = await running.connect()
        client[1].write(chat_request(CHAT_BODY, b"Authorization: Bearer k"))
        await backend.played.wait()
        leave(client)
        await asyncio.wait_for(backend.aborted.wait(), SOON_S)
        (_, sent), (head, abort) = backend.requests
        rid = json.loads(sent)["rid"]
        assert len(rid) == 32
        assert sent == b'{"rid":"' + rid.encode() + b'",' + CHAT_BODY[1:]
        assert json.loads(abort) == {"rid": rid}
        assert b"Authorization: Bearer k" in head
        assert running.counters.aborts_sent == 1


@pytest.mark.parametrize(
    "body",
    [
        CHAT_BODY.replace(b"{", b'{"rid":"mine",', 1),
        CHAT_BODY[:-1] + b',"rid":null}',
        CHAT_BODY[:-1] + b',"r\\u0069d":""}',
        CHAT_BODY.replace(b"{", b'{"n":2,', 1),
        b"no chat request",
    ],
    ids=["client-set-one", "client-set-null", "client-set-none", "several-replies", "unreadable"],
)
async def test_no_abort_without_an_id_of_ours(body: bytes) -> None:
    backend = Watched()
    async with raw_backend(backend) as port, proxy(port, kind="sglang") as running:
        client = await running.connect()
        client[1].write(chat_request(body))
        await backend.played.wait()
        leave(client)
        await asyncio.wait_for(backend.left.wait(), SOON_S)
        assert [sent for _, sent in backend.requests] == [body]
        assert running.counters.aborts_sent == 0


async def test_leaving_after_the_models_end_is_no_disconnect() -> None:
    """SDKs close the connection at `[DONE]`, before the end of the HTTP body."""
    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    backend = Watched(STREAM_HEAD + chunk(EVENT), chunk(end))
    async with raw_backend(backend) as port, proxy(port, kind="sglang") as running:
        client = await running.connect()
        client[1].write(chat_request())
        await client[0].readuntil(b"[DONE]")
        leave(client)
        assert await asyncio.wait_for(running.runtime.turns[0].closed, SOON_S) is True
        assert running.counters.client_disconnects == 0
        assert running.counters.aborts_sent == 0


async def test_leaving_while_the_turn_waits_for_admission() -> None:
    backend = Watched()
    async with raw_backend(backend) as port, proxy(port) as running:
        waiting = asyncio.Event()
        cancelled = asyncio.Event()

        async def admit(*_: object) -> None:
            waiting.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        running.runtime.admit = admit  # type: ignore[method-assign,assignment]
        client = await running.connect()
        client[1].write(chat_request())
        await waiting.wait()
        leave(client)
        await asyncio.wait_for(cancelled.wait(), SOON_S)
        assert backend.requests == []
