"""Progress turns a JSON answer into a stream, for those who asked, and for nobody else."""

import asyncio
from typing import Any

import pytest

from paste_proxy.gateway.asgi import Message, Receive, Scope, Send
from paste_proxy.gateway.progress import PROGRESS, serve_with_progress
from paste_proxy.tools.ports import Progress

START = {"type": "http.response.start", "status": 202, "headers": [(b"content-type", b"application/json")]}


def scope(accept: bytes = b"application/json, text/event-stream") -> Scope:
    return {"type": "http", "headers": [(b"accept", accept)]}


async def nothing() -> Message:
    return {"type": "http.disconnect"}


class Client:
    def __init__(self) -> None:
        self.got: list[Message] = []
        self.news: list[Any] = []

    async def __call__(self, message: Message) -> None:
        self.got.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.got)


async def run(token: object, progress: list[Progress], asked: Scope) -> Client:
    client = Client()

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        listener = scope[PROGRESS].listener(token)
        client.news.append(listener)
        for one in progress if listener is not None else ():
            listener(one)
            await settled()
        await send(START)
        await send({"type": "http.response.body", "body": b'{"a":\n', "more_body": True})
        await send({"type": "http.response.body", "body": b"1}"})
        if listener is not None:
            listener(Progress(99))
            await settled()

    await serve_with_progress(app, asked, nothing, client)
    return client


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_progress_and_answer_are_events_of_one_stream() -> None:
    client = await run("t", [Progress(1, 2, "half"), Progress(2)], scope())
    assert client.got[0]["status"] == 200
    assert (b"content-type", b"text/event-stream") in client.got[0]["headers"]
    assert client.body == (
        b'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/progress",'
        b'"params":{"progressToken":"t","progress":1,"total":2,"message":"half"}}\n\n'
        b'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/progress",'
        b'"params":{"progressToken":"t","progress":2}}\n\n'
        b'event: message\ndata: {"a": 1}\n\n'
    )
    assert [message.get("more_body", False) for message in client.got[1:]] == [True, True, False]


async def test_without_progress_the_answer_is_as_ever() -> None:
    client = await run(7, [], scope())
    assert client.got[0] == START
    assert client.body == b'{"a":\n1}'


@pytest.mark.parametrize(
    ("token", "accept"),
    [(None, b"text/event-stream"), (True, b"*/*"), ({"a": 1}, b"*/*"), (1, b"application/json"), (1, b"")],
)
async def test_who_did_not_ask_is_told_nothing(token: object, accept: bytes) -> None:
    client = await run(token, [Progress(1)], scope(accept))
    assert client.news == [None]
    assert client.body == b'{"a":\n1}'


@pytest.mark.parametrize("accept", [b"*/*", b"text/*;q=0.1", b"application/json,text/event-stream"])
async def test_wildcards_count(accept: bytes) -> None:
    assert b"event-stream" in str((await run(1, [Progress(1)], scope(accept))).got[0]).encode()
