"""Every API has its turns read: what the runtime is told, what of the request is touched, how errors look."""

import asyncio
import json
from typing import Any

import pytest

from paste_proxy.backends import ReplyText
from paste_proxy.grammar.apis import Api
from paste_proxy.grammar.events import CallSealed, ContentText, GrammarEvent, TurnEnded
from tests.grammar.dialects.written import WRITERS, Call, Said, Words, Written
from tests.grammar.toy_format import ToyReader
from tests.patience import SOON_S
from tests.proxy.support import STREAM_HEAD, Proxy, chunk, proxy, raw_backend, read_reply, read_request

SAID = Said(
    [Words("content", ["I ", "look."]), Call("c1", "look", ['{"a"', ": 1}"])], finished=True, usage=(3, 2, 1)
)
BODIES: dict[Api, dict[str, Any]] = {
    Api.CHAT: {"messages": [{"role": "user", "content": "hi"}]},
    Api.RESPONSES: {"input": "hi"},
    Api.MESSAGES: {"messages": [{"role": "user", "content": "hi"}]},
    Api.COMPLETIONS: {"prompt": "hi"},
    Api.GENERATE: {"text": "hi"},
}
RID_KEYS = {
    Api.CHAT: "rid",
    Api.RESPONSES: "request_id",
    Api.COMPLETIONS: "rid",
    Api.GENERATE: "rid",
}
every_api = pytest.mark.parametrize("api", list(Api), ids=lambda api: api.name.lower())


def written(api: Api, said: Said = SAID) -> Written:
    return next(write for one, write in WRITERS.values() if one is api)(said)


class Model:
    """Answers every request with `reply`, and keeps what it got."""

    def __init__(self, reply: Written, *, stream: bool) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        whole = head % len(reply.whole) + reply.whole
        self.reply = STREAM_HEAD + chunk(reply.stream) + b"0\r\n\r\n" if stream else whole
        self.bodies: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, body = await read_request(reader)
            self.bodies.append(body)
            writer.write(self.reply)
            await writer.drain()


def request(path: str, body: bytes) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1".encode(),
        b"Host: x",
        b"Content-Length: %d" % len(body),
        b"X-Session-Id: s1",
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def ask(running: Proxy, path: str, body: Any) -> tuple[int, bytes]:
    reader, writer = await running.connect()
    writer.write(request(path, body if isinstance(body, bytes) else json.dumps(body).encode()))
    head, reply = await asyncio.wait_for(read_reply(reader), SOON_S)
    return int(head.split(b" ")[1]), reply


async def heard(running: Proxy) -> list[GrammarEvent]:
    turn = running.runtime.turns[-1]
    assert await asyncio.wait_for(turn.closed, SOON_S) is True
    return turn.events


@every_api
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_a_turn_is_admitted_and_its_reply_heard(api: Api, stream: bool) -> None:
    model = Model(written(api), stream=stream)
    async with raw_backend(model) as port, proxy(port) as running:
        status, reply = await ask(running, api.value, BODIES[api])
        assert (status, reply) == (200, written(api)[not stream])
        events = await heard(running)
        assert "".join(one.text for one in events if isinstance(one, ContentText)) == "I look."
        assert any(isinstance(one, TurnEnded) for one in events)
        calls = [(one.call_id, one.name, one.arguments) for one in events if isinstance(one, CallSealed)]
        has_calls = api not in (Api.COMPLETIONS, Api.GENERATE)
        assert calls == ([("c1", "look", '{"a": 1}')] if has_calls else [])
        identity, read = running.runtime.admitted[0]
        assert identity.session == "s1"
        assert read is not None
        assert read.messages[-1].text == "hi"
        assert running.counters.turns == {api.name.lower(): 1}
        assert model.bodies == [json.dumps(BODIES[api]).encode()]


@every_api
async def test_an_id_is_spliced_in_where_sglang_has_a_place_for_it(api: Api) -> None:
    model = Model(written(api), stream=False)
    async with raw_backend(model) as port, proxy(port, kind="sglang") as running:
        for _ in range(2):
            await ask(running, api.value, BODIES[api])
        key = RID_KEYS.get(api)
        ids = {json.loads(body).pop(key or "", "none") for body in model.bodies}
        assert len(ids) == (2 if key else 1)
        assert all(one.startswith("resp_") for one in ids) == (api is Api.RESPONSES)
        if key:
            await ask(running, api.value, {**BODIES[api], key: "mine"})
            assert json.loads(model.bodies[-1])[key] == "mine"


@every_api
async def test_what_is_no_request_is_relayed_untouched(api: Api) -> None:
    model = Model(written(api), stream=False)
    async with raw_backend(model) as port, proxy(port, kind="sglang") as running:
        for body in (b"", b"{", b"[]", b"\xff", b'{"x": 1}'):
            assert (await ask(running, api.value, body))[0] == 200
            assert model.bodies[-1] == body
        assert running.counters.unreadable_requests == 5
        assert [read for _, read in running.runtime.admitted] == [None] * 5


@pytest.mark.parametrize(
    "path", ["/v1/messages/count_tokens", "/v1/responses/resp_1/cancel", "/v1/completions/"]
)
async def test_paths_below_are_relayed_only(path: str) -> None:
    model = Model(written(Api.CHAT), stream=False)
    async with raw_backend(model) as port, proxy(port, kind="sglang") as running:
        assert (await ask(running, path, BODIES[Api.MESSAGES]))[0] == 200
        assert running.runtime.admitted == []
        assert running.counters.turns == {}


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_errors_of_ours_have_anthropic_s_shape_there(path: str) -> None:
    async with (
        raw_backend(Model(written(Api.CHAT), stream=False)) as port,
        proxy(port, body_bytes=10) as running,
    ):
        status, reply = await ask(running, "/v1/messages", b"x" * 11)
        assert status == 413
        assert json.loads(reply)["error"]["type"] == "request_too_large"
        assert json.loads(reply)["type"] == "error"
    async with proxy(port) as running:
        status, reply = await ask(running, path, BODIES[Api.MESSAGES])
        error = json.loads(reply)
        assert (status, error["type"]) == (502, "error")
        assert error["error"]["type"] == "api_error"
        assert error["error"]["code"] == "backend_unreachable"
        assert error["error"]["message"]


CALL = Said([Words("content", ["so: <<f", '{"x": 1}', ">> done"])], finished=True, usage=(3, 2, 1))


@every_api
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_calls_in_the_text_are_heard_where_nobody_else_looks_for_them(
    api: Api, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def observer(_text: ReplyText, _tools: Any, *, api_text: bool) -> ToyReader:
        asked.append(api_text)
        return ToyReader()

    monkeypatch.setattr(ReplyText, "observer", observer)
    model = Model(written(api, CALL), stream=stream)
    async with raw_backend(model) as port, proxy(port) as running:
        assert await ask(running, api.value, BODIES[api]) == (200, written(api, CALL)[not stream])
        events = await heard(running)
        assert [one.name for one in events if isinstance(one, CallSealed)] == ["f"]
        assert "".join(one.text for one in events if isinstance(one, ContentText)) == "so:  done"
        assert asked == [api in (Api.COMPLETIONS, Api.GENERATE)]


@pytest.mark.parametrize("tool_format", ["", "hermes"])
async def test_the_runtime_is_told_whether_the_text_of_a_reply_is_read(tool_format: str) -> None:
    backend = {"tool_format": tool_format}
    async with (
        raw_backend(Model(written(Api.COMPLETIONS), stream=False)) as port,
        proxy(port, backend=backend) as running,
    ):
        await ask(running, Api.COMPLETIONS.value, BODIES[Api.COMPLETIONS])
        _, read = running.runtime.admitted[0]
        assert read is not None
        assert read.text_is_read is bool(tool_format)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_a_bug_in_choosing_a_reader_costs_no_request(
    stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def observer(_text: ReplyText, _tools: Any, *, api_text: bool) -> None:
        raise ZeroDivisionError(api_text)

    monkeypatch.setattr(ReplyText, "observer", observer)
    async with raw_backend(Model(written(Api.CHAT), stream=stream)) as port, proxy(port) as running:
        assert await ask(running, Api.CHAT.value, BODIES[Api.CHAT]) == (200, written(Api.CHAT)[not stream])
        assert await heard(running) == []
        assert running.counters.tap_failures == {"choosing a reader: ZeroDivisionError": 1}
