"""Chat turns: what the runtime is told, and what of the request is touched (nothing but SGLang's rid)."""

import asyncio
import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.events import CallSealed, ContentText, TurnEnded
from paste_proxy.proxy.additions import spliced
from tests.patience import SOON_S, quickest
from tests.proxy.support import (
    CHAT_BODY,
    STREAM_HEAD,
    chat_request,
    chunk,
    proxy,
    raw_backend,
    read_reply,
    read_request,
)

STREAM = [
    b'data: {"choices":[{"index":0,"delta":{"content":"hel"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"stop"}]}\n\n',
    b"data: [DONE]\n\n",
]
WHOLE = (
    b'{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},'
    b'"finish_reason":"stop"}]}'
)


class Model:
    """Answers every request with `reply`, and keeps what it got."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        self.bodies: list[bytes] = []
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            _, body = await read_request(reader)
            self.bodies.append(body)
            writer.write(self._reply)
            await writer.drain()


def streamed() -> bytes:
    return STREAM_HEAD + b"".join(map(chunk, STREAM)) + b"0\r\n\r\n"


def whole() -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(WHOLE) + WHOLE


@pytest.mark.parametrize("reply", [streamed(), whole()], ids=["stream", "whole"])
async def test_the_runtime_hears_the_turn_in_order(reply: bytes) -> None:
    async with raw_backend(Model(reply)) as port, proxy(port) as running:
        reader, writer = await running.connect()
        writer.write(chat_request(CHAT_BODY, b"X-Session-Id: s1"))
        await asyncio.wait_for(read_reply(reader), SOON_S)
        turn = running.runtime.turns[0]
        assert await asyncio.wait_for(turn.closed, SOON_S) is True
        assert turn.log[0] == "sent"
        assert turn.log[-1] == "close"
        assert "".join(event.text for event in turn.events if isinstance(event, ContentText)) == "hello"
        assert turn.events[-1] == TurnEnded("stop")
        identity, request = running.runtime.admitted[0]
        assert identity.session == "s1"
        assert request is not None
        assert request.messages[0].text == "hi"
        assert running.counters.events == len(turn.events)


@pytest.mark.parametrize("stream", [True, False])
async def test_calls_are_held_against_the_schemas_of_the_request_and_pass_all_the_same(*, stream: bool) -> None:
    function = {"name": "look", "parameters": {"required": ["at"]}}
    body = json.dumps({"messages": [], "tools": [{"type": "function", "function": function}]}).encode()
    call = {"index": 0, "id": "c1", "function": {"name": "look", "arguments": "{}"}}
    message = {
        "index": 0,
        "finish_reason": "tool_calls",
        "delta" if stream else "message": {"tool_calls": [call]},
    }
    said = json.dumps({"choices": [message]}).encode()
    if stream:
        sent = b"data: " + said + b"\n\ndata: [DONE]\n\n"
        reply = STREAM_HEAD + chunk(sent) + b"0\r\n\r\n"
    else:
        sent = said
        reply = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(said)
            + said
        )
    async with raw_backend(Model(reply)) as port, proxy(port) as running:
        reader, writer = await running.connect()
        writer.write(chat_request(body))
        _, got = await asyncio.wait_for(read_reply(reader), SOON_S)
        assert got == sent
        turn = running.runtime.turns[0]
        assert await asyncio.wait_for(turn.closed, SOON_S) is True
        sealed = [event for event in turn.events if isinstance(event, CallSealed)]
        assert [one.invalid for one in sealed] == ['$: "at" is a required property']


async def test_connections_are_kept_on_both_sides() -> None:
    model = Model(streamed())
    async with raw_backend(model) as port, proxy(port) as running:
        reader, writer = await running.connect()
        for _ in range(3):
            writer.write(chat_request())
            _, body = await asyncio.wait_for(read_reply(reader), SOON_S)
            assert body == b"".join(STREAM)
        assert model.connections == 1


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"messages":3}', b"\xff\xfe", b'{"messages":[' + b"[" * 5000]
)
async def test_an_unreadable_body_is_relayed_untouched(body: bytes) -> None:
    model = Model(whole())
    async with raw_backend(model) as port, proxy(port, kind="sglang") as running:
        reader, writer = await running.connect()
        writer.write(chat_request(body))
        head, _ = await asyncio.wait_for(read_reply(reader), SOON_S)
        assert head.startswith(b"HTTP/1.1 200")
        assert model.bodies == [body]
        assert running.counters.unreadable_requests == 1
        assert [request for _, request in running.runtime.admitted] == [None]


async def test_a_body_of_8_mb_is_parsed_off_the_loop() -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "x" * (8 << 20)}]}).encode()
    model = Model(whole())
    async with raw_backend(model) as port, proxy(port) as running:
        reader, writer = await running.connect()
        writer.write(chat_request(body))
        await asyncio.wait_for(read_reply(reader), SOON_S)
        assert model.bodies == [body]
        assert running.runtime.admitted[0][1] is not None


async def test_a_chunked_chat_request_is_sent_with_its_length() -> None:
    model = Model(whole())
    async with raw_backend(model) as port, proxy(port) as running:
        reader, writer = await running.connect()
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(chunk(CHAT_BODY[:10]) + chunk(CHAT_BODY[10:]) + b"0\r\n\r\n")
        await asyncio.wait_for(read_reply(reader), SOON_S)
        assert model.bodies == [CHAT_BODY]


async def test_every_attempt_has_a_rid_of_its_own() -> None:
    model = Model(whole())
    async with raw_backend(model) as port, proxy(port, kind="sglang") as running:
        reader, writer = await running.connect()
        for _ in range(2):
            writer.write(chat_request())
            await asyncio.wait_for(read_reply(reader), SOON_S)
        rids = {json.loads(body)["rid"] for body in model.bodies}
        assert len(rids) == 2
        assert running.counters.aborts_sent == 0


async def test_other_backends_get_no_rid() -> None:
    model = Model(whole())
    async with raw_backend(model) as port, proxy(port, kind="openai") as running:
        reader, writer = await running.connect()
        writer.write(chat_request())
        await asyncio.wait_for(read_reply(reader), SOON_S)
        assert model.bodies == [CHAT_BODY]


@given(
    members=st.dictionaries(st.text(), st.integers() | st.text(), min_size=1),
    space=st.sampled_from(["", " \n\t"]),
)
def test_splicing_adds_a_first_member_and_nothing_else(members: dict[str, object], space: str) -> None:
    members.pop("rid", None)
    members["messages"] = 1
    body = (space + json.dumps(members)).encode()
    added = spliced(body, [("rid", b'"%b"' % (b"a" * 32))], [])
    assert json.loads(added) == {"rid": "a" * 32, **members}
    assert added.endswith(body.lstrip()[1:])


async def test_nagle_is_off_on_both_legs() -> None:
    async with raw_backend(Model(streamed())) as port, proxy(port) as running:
        reader, writer = await running.connect()
        writer.write(chat_request())
        await asyncio.wait_for(read_reply(reader), SOON_S)
        (connection,) = running.plane.lines.first.upstream._idle  # type: ignore[attr-defined]
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_second_stream_is_as_fast_as_the_first() -> None:
    """The trap is Nagle's algorithm against a delayed acknowledgement: 40 ms, from the second request on."""
    loop = asyncio.get_running_loop()

    async def backend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            for part in [STREAM_HEAD, *map(chunk, STREAM), b"0\r\n\r\n"]:
                writer.write(part)
                await writer.drain()

    async with raw_backend(backend) as port, proxy(port) as running:
        reader, writer = await running.connect()

        async def seconds() -> float:
            start = loop.time()
            writer.write(chat_request())
            await asyncio.wait_for(read_reply(reader), SOON_S)
            return loop.time() - start

        await seconds()
        assert await quickest(seconds, 0.03) <= 0.03
