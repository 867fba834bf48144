"""The front that tells a real engine what to say, before an engine that only writes down what it is asked."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import orjson
import pytest
from aiohttp import web

from paste_proxy.lab.policy import Policy
from paste_proxy.lab.records import TokenCount
from paste_proxy.lab.scripted_engine import listen
from paste_proxy.lab.scripting_front import ScriptingFront
from tests.lab.conftest import next_turn


class Engine:
    def __init__(self) -> None:
        self.app = web.Application()
        self.app.router.add_route("*", "/{path:.*}", self._answer)
        self.asked: list[tuple[str, str, Any]] = []

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        self.asked.append((request.method, request.path_qs, body))
        return web.Response(status=418, body=b"data: x\n\n", content_type="text/event-stream")


@pytest.fixture
async def front(policy: Policy) -> AsyncIterator[tuple[Engine, str]]:
    engine = Engine()
    async with aiohttp.ClientSession() as http:
        below = web.AppRunner(engine.app)
        above = web.AppRunner(ScriptingFront(await listen(below), policy, http).application())
        yield engine, await listen(above)
        await above.cleanup()
        await below.cleanup()


async def test_a_chat_request_is_told_the_policy_s_turn(front: tuple[Engine, str], policy: Policy) -> None:
    engine, url = front
    request = {"model": "m", "messages": policy.opening(3), "tools": [], "stream": True, "rid": "r", "new": [1]}
    async with aiohttp.ClientSession() as http, http.post(f"{url}/v1/chat/completions", json=request) as answer:
        assert (answer.status, answer.content_type) == (418, "text/event-stream")
        assert await answer.read() == b"data: x\n\n"
    ((method, path, sent),) = engine.asked
    assert (method, path) == ("POST", "/v1/chat/completions")
    assert {key: sent[key] for key in request} == request
    turn = next_turn(policy, policy.opening(3))
    assert turn.call
    call = f'{{"name": "{turn.call.tool}", "arguments": {turn.call.arguments}}}'
    spoken = f"{turn.text}\n<tool_call>\n{call}\n</tool_call>"
    assert re.fullmatch(sent["regex"], spoken)


async def test_all_else_passes_as_it_is(front: tuple[Engine, str]) -> None:
    engine, url = front
    async with aiohttp.ClientSession() as http:
        await (await http.get(f"{url}/model_info?x=1")).read()
        await (await http.post(f"{url}/abort_request", json={"rid": "r"})).read()
    assert engine.asked == [("GET", "/model_info?x=1", None), ("POST", "/abort_request", {"rid": "r"})]


async def test_foreign_messages_are_refused_as_the_engine_would(front: tuple[Engine, str]) -> None:
    engine, url = front
    request = {"messages": [{"role": "user", "content": "hi"}]}
    async with aiohttp.ClientSession() as http, http.post(f"{url}/v1/chat/completions", json=request) as answer:
        assert answer.status == 400
        assert "no user message names a task" in (await answer.json())["message"]
    assert engine.asked == []


async def test_counts_what_the_engine_had_in_memory(policy: Policy, tmp_path: Path) -> None:
    log = tmp_path / "tokens.jsonl"
    usages: list[dict[str, Any]] = [
        {"prompt_tokens": 90, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 60}},
        {"prompt_tokens": 90, "completion_tokens": 7, "prompt_tokens_details": None},
    ]

    async def answer(_request: web.Request) -> web.Response:
        end = orjson.dumps({"choices": [], "usage": usages.pop(0)})
        return web.Response(body=b"data: " + end + b"\n\ndata: [DONE]\n\n", content_type="text/event-stream")

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    below = web.AppRunner(app)
    async with aiohttp.ClientSession() as http:
        above = web.AppRunner(ScriptingFront(await listen(below), policy, http, str(log)).application())
        url = await listen(above)
        for _ in range(2):
            request = {"messages": policy.opening(3), "stream": True}
            await (await http.post(f"{url}/v1/chat/completions", json=request)).read()
        await above.cleanup()
        await below.cleanup()
    counts = [msgspec.json.decode(line, type=TokenCount) for line in log.read_bytes().splitlines()]
    assert counts == [TokenCount(3, 0, 90, 7, 60), TokenCount(3, 0, 90, 7, 0)]
