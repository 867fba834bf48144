"""The socket itself: what is refused, and that a client may be lost at any point."""

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError
from msgspec.structs import replace

from paste_proxy.app import Proxy, build, listening
from paste_proxy.client.protocol import MESSAGE_LIMIT, PATH
from paste_proxy.config import Config, ListenConfig, TenantConfig
from tests.leases.wrapped_agent import running
from tests.patience import SOON_S, until

TOOL = {
    "name": "find",
    "effect": "read",
    "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
}
HELLO = {"say": "hello", "version": 1, "tools": [TOOL]}
ORDER = ("find", "note", "find", "note")
CLAIM: dict[str, Any] = {"say": "claim", "call": 1, "tool": "find", "arguments": '{"word": "x"}'}
STAGES: list[list[Any]] = [
    [],
    [HELLO],
    [HELLO, CLAIM],
    [HELLO, CLAIM, {"say": "leave", "call": 1}],
    [HELLO, CLAIM, {"say": "ended", "run": "run-1"}],
    [HELLO, {"say": "began", "run": "nothing"}],
    [HELLO, HELLO],
    [CLAIM],
    ["{"],
    [{"say": "what"}],
    ["x" * (MESSAGE_LIMIT + 1)],
]


@asynccontextmanager
async def served() -> AsyncIterator[tuple[str, Proxy]]:
    async with running("find") as (url, proxy):
        yield url, proxy


async def said(socket: ClientWebSocketResponse) -> dict[str, Any]:
    message = await asyncio.wait_for(socket.receive(), SOON_S)
    assert message.type in (WSMsgType.TEXT, WSMsgType.BINARY), message
    found: dict[str, Any] = json.loads(message.data)
    return found


async def test_a_client_is_lost_at_any_point_and_nothing_is_left_of_it() -> None:
    async with served() as (url, proxy), ClientSession() as http:
        for round_ in range(2):
            for number, stage in enumerate(STAGES):
                socket = await http.ws_connect(f"{url}{PATH}")
                with suppress(ConnectionError):  # it is cut off while it says what is too long
                    for message in stage:
                        await socket.send_str(message if isinstance(message, str) else json.dumps(message))
                if number % 2 == round_:
                    await asyncio.sleep(0.02)
                else:
                    socket._writer.transport.abort()
                await socket.close()
            if round_ == 0:
                await asyncio.sleep(0.2)
                tasks, files = len(asyncio.all_tasks()), descriptors_open()
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        await until(lambda: descriptors_open() <= files)
        await until(lambda: len(proxy.runtime.core.tools) == len(proxy.runtime.claims) == 0)
        await until(lambda: proxy.runtime.core.broker.live == 0)


def descriptors_open() -> int:
    return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))


async def test_what_a_client_must_not_say_is_told_as_the_reason() -> None:
    async with served() as (url, _), ClientSession() as http, http.ws_connect(f"{url}{PATH}") as socket:
        await socket.send_str(json.dumps(CLAIM))
        message = await socket.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1002)
        assert message.extra == "the first message must be `hello`"


async def test_a_claim_is_answered_and_what_can_t_run_ahead_is_told() -> None:
    async with served() as (url, _), ClientSession() as http, http.ws_connect(f"{url}{PATH}") as socket:
        other = {**TOOL, "name": "other"}
        await socket.send_str(json.dumps({**HELLO, "tools": [TOOL, other]}))
        assert (await said(socket))["refused"] == {"other": "speculation.allow does not list it"}
        await socket.send_str(json.dumps(CLAIM))
        answer = await said(socket)
        assert (answer["call"], answer["outcome"]) == (1, "executed")
        async with http.ws_connect(f"{url}{PATH}") as second:
            await second.send_str(json.dumps({**HELLO, "tools": [{**TOOL, "max_age": 5}]}))
            assert "two clients say different things" in (await said(second))["refused"]["find"]
            assert "find" in (await said(socket))["refused"]
        assert "find" not in (await said(socket))["refused"]


async def test_a_client_is_told_what_may_run_ahead_when_the_operator_has_changed_it() -> None:
    async with served() as (url, proxy), ClientSession() as http, http.ws_connect(f"{url}{PATH}") as socket:
        await socket.send_str(json.dumps({**HELLO, "tools": [{**TOOL, "name": "other"}]}))
        assert "other" in (await said(socket))["refused"]
        config = proxy.reloader.config
        speculation = replace(config.speculation, allow=("find", "other"))
        proxy.reloader.reload(replace(config, speculation=speculation))
        assert (await said(socket))["refused"] == {}


async def test_web_pages_and_plain_requests_are_refused() -> None:
    async with served() as (url, _), ClientSession() as http:
        with pytest.raises(WSServerHandshakeError) as refused:
            await http.ws_connect(f"{url}{PATH}", origin="https://example.com")
        assert refused.value.status == 403
        async with http.get(f"{url}{PATH}") as reply:
            assert (reply.status, (await reply.json())["error"]["code"]) == (426, "bad_request")


async def test_calls_of_wrapped_tools_are_counted_and_beyond_their_number_only_writes_are_told() -> None:
    write = {**TOOL, "name": "note", "effect": "never"}
    claims = [{**CLAIM, "call": number, "tool": tool} for number, tool in enumerate(ORDER, 1)]
    digest = f"sha256:{hashlib.sha256(b'pp-key').hexdigest()}"
    tenant = TenantConfig(keys=(digest,), calls_per_minute=2)
    async with (
        listening(build(Config(listen=ListenConfig(port=0), tenants={"one": tenant}))) as url,
        ClientSession() as http,
        http.ws_connect(f"{url}{PATH}", headers={"x-paste-key": "pp-key"}) as socket,
    ):
        for message in ({**HELLO, "tools": [TOOL, write]}, *claims):
            await socket.send_str(json.dumps(message))
        answers = [one for one in [await said(socket) for _ in range(5)] if one["say"] == "answer"]
    assert [one["outcome"] for one in answers] == ["executed", "executed", "refused", "executed"]
    assert "calls_per_minute" in answers[2]["error"]
