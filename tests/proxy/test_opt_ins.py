"""The two opt-ins through the whole plane: what the backend is sent, and what the client gets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from paste_proxy.backends import SGLANG, ModelInfo, ReplyText
from paste_proxy.grammar.events import CallSealed, Foreseen
from tests.grammar.toy_format import ToyReader
from tests.proxy.support import (
    STREAM_HEAD,
    Proxy,
    chat_request,
    chunk,
    proxy,
    raw_backend,
    read_reply,
    read_request,
)

TOOLS = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("f", "g")]
CALL = '<<f{"x": 1}>>'


@pytest.fixture(autouse=True)
def _toy_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReplyText, "reader", lambda *_args, **_kinds: ToyReader())


def body(**more: Any) -> bytes:
    base = {
        "model": "m",
        "messages": [{"role": "user", "content": "x"}],
        "stream": True,
        "tools": TOOLS,
        "rid": None,
    }
    return orjson.dumps({key: value for key, value in (base | more).items() if value is not ...})


def said(delta: dict[str, Any], reason: str | None = None, logprobs: list[str] | None = None) -> bytes:
    tokens = (
        None
        if logprobs is None
        else {"content": [{"token": one, "bytes": list(one.encode())} for one in logprobs]}
    )
    choice = {"index": 0, "delta": delta, "logprobs": tokens, "finish_reason": reason}
    return b"data: " + orjson.dumps({"id": "r", "choices": [choice]}) + b"\n\n"


DONE = b"data: [DONE]\n\n"


class Engine:
    """Answers every request with `events` as a stream, or with `whole` as JSON; keeps what it was asked."""

    def __init__(
        self, *events: bytes, whole: bytes = b"", head: bytes = STREAM_HEAD, status: int = 200
    ) -> None:
        self.events = events
        self.whole = whole
        self.head = head
        self.asked: list[dict[str, Any]] = []
        self.heads: list[bytes] = []
        self.doubts: list[None] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, asked = await read_request(reader)
            self.heads.append(head.lower())
            self.asked.append(orjson.loads(asked))
            if self.whole:
                sizes = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(self.whole)
                writer.write(b"HTTP/1.1 200 OK\r\n" + sizes + self.whole)
            else:
                writer.write(self.head)
                for event in self.events:
                    writer.write(chunk(event))
                    await writer.drain()
                    await asyncio.sleep(0)
                writer.write(b"0\r\n\r\n")


@asynccontextmanager
async def front(engine: Engine, *, parser: str | None, **settings: Any) -> AsyncIterator[Proxy]:
    async with raw_backend(engine) as port, proxy(port, kind="sglang", backend=settings) as running:
        running.plane.lines.first.control.text.found(SGLANG, ModelInfo("m", parser))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(running.plane.lines.first.control, "doubt", lambda: engine.doubts.append(None))
            yield running


async def ask(running: Proxy, request: bytes, *headers: bytes) -> tuple[bytes, bytes]:
    reader, writer = await running.connect()
    writer.write(chat_request(request, *headers))
    reply = await read_reply(reader)
    await running.runtime.turns[-1].closed
    return reply


def events(data: bytes) -> list[dict[str, Any]]:
    return [orjson.loads(one[6:]) for one in data.split(b"\n\n") if one not in (b"", b"data: [DONE]")]


# -- parse: proxy ---------------------------------------------------------------------------------------------

HERE = {"parse": "proxy", "tool_format": "hermes"}
TEXT = (said({"role": "assistant", "content": ""}), said({"content": "a<<f"}), said({"content": '{"x": 1}>>'}))


async def test_text_becomes_calls_and_the_tap_sees_them() -> None:
    engine = Engine(*TEXT, said({}, "stop"), DONE)
    async with front(engine, parser=None, **HERE) as running:
        _, data = await ask(running, body(), b"Accept-Encoding: gzip")
        told = events(data)
        assert [one["choices"][0]["finish_reason"] for one in told][-1] == "tool_calls"
        sealed = [one for one in running.runtime.turns[0].events if isinstance(one, CallSealed)]
        call = told[2]["choices"][0]["delta"]["tool_calls"][0]
        assert [(one.call_id, one.name, one.arguments) for one in sealed] == [(call["id"], "f", '{"x": 1}')]
        assert b"accept-encoding" not in engine.heads[0]
        assert engine.asked == [orjson.loads(body())]


async def test_a_whole_reply_is_rewritten_with_its_length() -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "a" + CALL}, "finish_reason": "stop"}
    engine = Engine(whole=orjson.dumps({"choices": [choice]}))
    async with front(engine, parser=None, **HERE) as running:
        head, data = await ask(running, body(stream=False))
        message = orjson.loads(data)["choices"][0]["message"]
        assert message["content"] == "a"
        assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"x": 1}'}
        assert head.lower().count(b"content-length") == 1
        assert any(isinstance(one, CallSealed) for one in running.runtime.turns[0].events)


@pytest.mark.parametrize(
    "changes",
    [
        {"tools": ...},
        {"tools": []},
        {"tool_choice": "none"},
        {"tool_choice": "required"},
        {"tool_choice": {"type": "function"}},
    ],
)
async def test_requests_without_calls_in_the_format_are_left_alone(changes: dict[str, Any]) -> None:
    engine = Engine(*TEXT, said({}, "stop"), DONE)
    async with front(engine, parser=None, **HERE) as running:
        _, data = await ask(running, body(**changes))
        assert data == b"".join(engine.events)


async def test_an_engine_with_a_parser_is_never_parsed_again(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(*TEXT, said({}, "stop"), DONE)
    async with front(engine, parser="hermes", **HERE) as running:
        _, data = await ask(running, body())
        assert data == b"".join(engine.events)
        assert "the engine runs the parser hermes itself" in caplog.text


async def test_an_engine_that_got_a_parser_meanwhile_is_asked_again() -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    engine = Engine(said({"content": "a <"}), said({"tool_calls": [call]}), said({}, "tool_calls"), DONE)
    async with front(engine, parser=None, **HERE) as running:
        _, data = await ask(running, body())
        told = events(data)
        assert "".join(one["choices"][0]["delta"].get("content") or "" for one in told) == "a <"
        assert told[2:] == events(b"".join(engine.events[1:]))
        assert engine.doubts
        assert list(running.counters.tap_failures) == ["rewriting a reply: EngineParsesError"]


async def test_a_compressed_reply_is_left_alone() -> None:
    head = STREAM_HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    engine = Engine(b"not text", head=head)
    async with front(engine, parser=None, **HERE) as running:
        assert (await ask(running, body()))[1] == b"not text"
        assert running.counters.untapped_replies == 1


# -- raw_tap: logprobs ----------------------------------------------------------------------------------------

TAP = {"raw_tap": "logprobs", "tool_format": "hermes"}
PARSED = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
WITHOUT = (
    said({"role": "assistant", "content": ""}),
    said({"content": "a"}),
    said({"tool_calls": [PARSED]}),
    said({}, "tool_calls"),
    DONE,
)
WITH = (
    WITHOUT[0],
    said({"content": "a"}, logprobs=["a"]),
    said({}, logprobs=["<<f"]),
    said({}, logprobs=['{"x"', ": 1}"]),
    WITHOUT[2],
    said({}, logprobs=[">>"]),
    *WITHOUT[3:],
)


async def test_calls_are_foreseen_and_the_client_gets_the_bytes_without() -> None:
    engine = Engine(*WITH)
    async with front(engine, parser="hermes", **TAP) as running:
        _, data = await ask(running, body(logprobs=False))
        assert data == b"".join(WITHOUT)
        asked = orjson.loads(body(logprobs=True))
        assert engine.asked == [asked]
        seen = running.runtime.turns[0].events
        ahead = [one for one in seen if isinstance(one, Foreseen)]
        sealed = next(one for one in seen if isinstance(one, CallSealed))
        assert isinstance(ahead[-1].event, CallSealed)
        assert seen.index(ahead[-1]) < seen.index(sealed)


async def test_the_client_s_own_log_probabilities_are_only_read() -> None:
    engine = Engine(*WITH)
    async with front(engine, parser="hermes", **TAP) as running:
        _, data = await ask(running, body(logprobs=True))
        assert data == b"".join(WITH)
        assert any(isinstance(one, Foreseen) for one in running.runtime.turns[0].events)


@pytest.mark.parametrize(
    "changes",
    [{"tools": ...}, {"stream": False}, {"n": 2}, {"tool_choice": "required"}, {"tool_choice": "none"}],
)
async def test_nothing_is_asked_for_where_nothing_is_held_back(changes: dict[str, Any]) -> None:
    engine = Engine(*WITHOUT)
    async with front(engine, parser="hermes", **TAP) as running:
        _, data = await ask(running, body(**changes))
        assert data == b"".join(WITHOUT)
        assert engine.asked == [orjson.loads(body(**changes))]


async def test_it_is_off_where_the_engine_holds_nothing_back() -> None:
    engine = Engine(*TEXT, DONE)
    async with front(engine, parser=None, **TAP) as running:
        await ask(running, body())
        assert engine.asked == [orjson.loads(body())]


async def test_it_is_switched_off_where_none_come(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(*WITHOUT)
    async with front(engine, parser="hermes", **TAP) as running:
        for _ in range(3):
            assert (await ask(running, body()))[1] == b"".join(WITHOUT)
        assert [asked.get("logprobs") for asked in engine.asked] == [True, None, None]
        assert caplog.text.count("none came") == 1


async def test_it_is_switched_off_where_the_text_says_other_calls(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(*WITH[:2], said({}, logprobs=["<<g"]), *WITH[3:])
    async with front(engine, parser="hermes", **TAP) as running:
        for _ in range(3):
            assert (await ask(running, body()))[1] == b"".join(WITHOUT)
        await ask(running, body())
        assert [asked.get("logprobs") for asked in engine.asked] == [True, True, True, None]
        assert caplog.text.count("other calls than the engine") == 1
        assert len(engine.doubts) == 3


async def test_a_reader_that_fails_costs_its_reading_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToyReader, "feed", lambda *_: 1 // 0)
    async with front(Engine(*WITH), parser="hermes", **TAP) as running:
        assert (await ask(running, body()))[1] == b"".join(WITHOUT)
        assert list(running.counters.tap_failures) == ["reading raw text: ZeroDivisionError"]


class Refusing(Engine):
    """Has nothing of a request with this field; `always`: of any."""

    def __init__(self, field: str, *events: bytes, always: bool = False) -> None:
        super().__init__(*events)
        self._field = field
        self._always = always

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, asked = await read_request(reader)
            self.heads.append(head.lower())
            self.asked.append(orjson.loads(asked))
            if self._always or self._field in self.asked[-1]:
                writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\n\r\nwhat")
                continue
            writer.write(self.head)
            for event in self.events:
                writer.write(chunk(event))
            writer.write(b"0\r\n\r\n")


async def test_what_the_backend_refuses_for_our_sake_goes_again_as_it_came() -> None:
    engine = Refusing("logprobs", *WITHOUT)
    async with front(engine, parser="hermes", **TAP) as running:
        for _ in range(2):
            assert (await ask(running, body(), b"Accept-Encoding: gzip"))[1] == b"".join(WITHOUT)
        assert [asked.get("logprobs") for asked in engine.asked] == [True, None, None]
        assert [b"accept-encoding" in head for head in engine.heads] == [False, True, True]
        assert [type(one) for one in running.runtime.turns[0].events if isinstance(one, CallSealed)]
        assert not running.plane.lines.first.control.text.tapped


async def test_what_it_refuses_anyway_is_the_client_s_own_fault() -> None:
    engine = Refusing("", always=True)
    async with front(engine, parser="hermes", **TAP) as running:
        head, data = await ask(running, body())
        assert (b" 400 " in head, data) == (True, b"what")
        assert len(engine.asked) == 2
        assert running.plane.lines.first.control.text.tapped


async def test_a_reply_that_is_an_error_says_nothing_of_the_engine() -> None:
    error = b'data: {"error": {"message": "out of memory"}}\n\n'
    async with front(Engine(error, DONE), parser="hermes", **TAP) as running:
        assert (await ask(running, body()))[1] == error + DONE
        assert running.plane.lines.first.control.text.tapped


async def test_what_an_engine_takes_for_true_is_the_client_s_wish() -> None:
    engine = Engine(*WITH)
    async with front(engine, parser="hermes", **TAP) as running:
        assert (await ask(running, body(logprobs=1)))[1] == b"".join(WITH)
        assert engine.asked == [orjson.loads(body(logprobs=1))]
