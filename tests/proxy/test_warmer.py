"""What is sent to have a prefix read ahead, and that nobody notices it: bytes, ids, ends and failures."""

import asyncio
import json
from typing import Any

import pytest

from paste_proxy.access.access import Access, Tenant
from paste_proxy.config import Config, TenantConfig
from paste_proxy.events import AdmitTurn, CancelWarm, WarmEnded, WarmPrefix
from paste_proxy.grammar.events import Usage
from paste_proxy.grammar.requests import ChatRequest, MessageCall
from paste_proxy.proxy.headers import RequestHead
from paste_proxy.proxy.lines import Lines
from paste_proxy.proxy.session_tags import SessionTags
from paste_proxy.proxy.warmer import Kept, Warmer, warm_body
from tests.patience import SOON_S
from tests.proxy.support import (
    FakeRuntime,
    FakeTurn,
    Proxy,
    chat_request,
    proxy,
    raw_backend,
    read_reply,
    read_request,
)

ASKED: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "h\u00e9 \U0001f600"}],
    "tools": [{"type": "function", "function": {"name": "look", "parameters": {"b": 1.0, "a": 1}}}],
    "chat_template_kwargs": {"enable_thinking": False},
    "temperature": 0.7,
}
CALLS = (MessageCall("c1", "look", '{"k": 1}'), MessageCall("c2", "look", "{}"))
REPLY = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "length"}],
    "usage": {"prompt_tokens": 50, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 20}},
}


def said(text: str = "hm", calls: tuple[MessageCall, ...] = CALLS) -> WarmPrefix:
    return WarmPrefix("warm-1", "turn", "", "s1", text, calls)


def warmed(**fields: Any) -> dict[str, Any]:
    body = warm_body(json.dumps(ASKED | fields).encode(), said())
    assert body is not None
    told: dict[str, Any] = json.loads(body)
    return told


def test_the_prompt_comes_out_alike() -> None:
    told = warmed(stream=True, max_tokens=500, n=1, stream_options={"include_usage": True}, logprobs=True)
    messages = told.pop("messages")
    assert told == {**{key: ASKED[key] for key in ASKED if key != "messages"}, "max_tokens": 1}
    assert list(told["tools"][0]["function"]["parameters"]) == ["b", "a"]
    assert messages == [
        *ASKED["messages"],
        {
            "role": "assistant",
            "content": "hm",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"k": 1}'}},
                {"id": "c2", "type": "function", "function": {"name": "look", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": ""},
        {"role": "tool", "tool_call_id": "c2", "content": ""},
    ]


def test_bytes_of_the_client_stay_as_they_are() -> None:
    body = (
        b'{"model":"m", "messages" : [ {"role":"user","content":"\\u00e9", "x":1e2} ], "tools":[ {"a":1.0} ]}'
    )
    told = warm_body(body, said("", ()))
    assert told is not None
    assert b'[ {"role":"user","content":"\\u00e9", "x":1e2} ,{"role":"assistant","content":null}]' in told
    assert b'[ {"a":1.0} ]' in told


def test_the_limit_has_the_name_that_the_client_uses() -> None:
    told = warmed(max_completion_tokens=9)
    assert (told["max_completion_tokens"], "max_tokens" in told) == (1, False)


@pytest.mark.parametrize(("choice", "sent"), [("auto", "auto"), ("none", "none"), ("required", None)])
def test_what_the_choice_of_tools_puts_into_the_prompt(choice: str, sent: str | None) -> None:
    assert warmed(tool_choice=choice).get("tool_choice") == sent


def test_a_tool_that_is_named_is_for_one_turn() -> None:
    choice = {"type": "function", "function": {"name": "look"}}
    assert warm_body(json.dumps(ASKED | {"tool_choice": choice}).encode(), said()) is None


class Runtime(FakeRuntime):
    """Its turns are a session's."""

    async def admit(self, *args: Any) -> FakeTurn:
        turn = await super().admit(*args)
        turn.admission = AdmitTurn("turn", session="s1")
        return turn


async def ended(running: Proxy) -> WarmEnded:
    async with asyncio.timeout(SOON_S):
        while not running.runtime.told:  # noqa: ASYNC110 - the fake tells nobody
            await asyncio.sleep(0.01)
    [event] = running.runtime.told
    assert isinstance(event, WarmEnded)
    return event


async def one_turn(running: Proxy) -> None:
    """After which its session's agent runs a tool."""
    reader, writer = await running.connect()
    request = chat_request(json.dumps(ASKED).encode(), b"Authorization: Bearer mine", b"Idempotency-Key: once")
    writer.write(request)
    await read_reply(reader)
    async with asyncio.timeout(SOON_S):
        await running.runtime.turns[0].closed


class Backend:
    """Answers the first request of each connection, with `status` after the first one."""

    def __init__(self, status: bytes = b"200 OK") -> None:
        self.requests: list[tuple[bytes, dict[str, Any]]] = []
        self._status = status

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await read_request(reader)
            status = self._status if self.requests else b"200 OK"
            self.requests.append((head, json.loads(body)))
            reply = json.dumps(REPLY).encode()
            writer.write(b"HTTP/1.1 %b\r\nContent-Type: application/json\r\n" % status)
            writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(reply), reply))


async def test_it_goes_out_as_the_client_s_request_did() -> None:
    backend = Backend()
    async with raw_backend(backend) as port, proxy(port, Runtime(), kind="sglang", warm_up="on") as running:
        await one_turn(running)
        running.plane.warmer.carry_out(said())
        assert await ended(running) == WarmEnded("warm-1", ok=True, usage=Usage(50, 1, 20))
    (first, asked), (second, told) = backend.requests
    assert b"authorization: bearer mine" in second.lower()
    assert b"idempotency-key" in first.lower()
    assert b"idempotency-key" not in second.lower()
    assert told["rid"] != asked["rid"]
    assert told["max_tokens"] == 1


@pytest.mark.parametrize(("warm_up", "turn"), [("off", "turn"), ("on", "another")])
async def test_nothing_is_kept_where_it_is_off_or_of_an_earlier_turn(warm_up: str, turn: str) -> None:
    backend = Backend()
    async with raw_backend(backend) as port, proxy(port, Runtime(), kind="sglang", warm_up=warm_up) as running:
        await one_turn(running)
        running.plane.warmer.carry_out(WarmPrefix("warm-1", turn, "", "s1", "", CALLS))
        assert await ended(running) == WarmEnded("warm-1", ok=False)
    assert len(backend.requests) == 1


async def test_a_failure_is_nobodys() -> None:
    backend = Backend(b"500 Internal Server Error")
    async with raw_backend(backend) as port, proxy(port, Runtime(), kind="sglang", warm_up="on") as running:
        await one_turn(running)
        running.plane.warmer.carry_out(said())
        assert await ended(running) == WarmEnded("warm-1", ok=False)
        assert running.plane.lines.first.health.up


class Hanging(Backend):
    """Answers no request but the first, and what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs, self.left, self.aborted = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await read_request(reader)
            self.requests.append((head, json.loads(body)))
            if head.startswith(b"POST /abort_request"):
                self.aborted.set()
            elif len(self.requests) > 1:
                self.hangs.set()
                await reader.read()
                self.left.set()
                return
            reply = json.dumps(REPLY).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(reply), reply))


async def test_what_is_called_off_ends_at_the_backend() -> None:
    backend = Hanging()
    async with raw_backend(backend) as port, proxy(port, Runtime(), kind="sglang", warm_up="on") as running:
        await one_turn(running)
        running.plane.warmer.carry_out(said())
        async with asyncio.timeout(SOON_S):
            await backend.hangs.wait()
            running.plane.warmer.carry_out(CancelWarm("warm-1"))
            await backend.left.wait()
            await backend.aborted.wait()
        assert await ended(running) == WarmEnded("warm-1", ok=False)
    _, (_, warm), (_, abort) = backend.requests
    assert abort == {"rid": warm["rid"]}


def kept(running: Proxy) -> int:
    return len(running.plane.warmer)


def test_what_is_kept_is_bounded() -> None:
    lines = Lines(Config(), Access(Config(), {}, lambda: 0.0), lambda _: None)
    warmer = Warmer(lines, SessionTags(), lambda _: None, on=True, kept_bytes=100)
    tenant, head = Tenant.of("t", TenantConfig()), RequestHead("POST", "/", (), "id")
    request = Kept("t", tenant, head, b"x" * 40, ChatRequest((), (), b""))
    for session in "aabc":
        warmer.keep(session, request)
    assert len(warmer) == 2
    for session in "bc":
        warmer.over(session)
    assert len(warmer) == 0


async def test_it_ends_with_its_session() -> None:
    backend = Backend()
    async with raw_backend(backend) as port, proxy(port, Runtime(), warm_up="on") as running:
        await one_turn(running)
        assert kept(running) == 1
        running.plane.session_over("s1")
        assert kept(running) == 0
