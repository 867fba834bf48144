"""The scripted engine over real HTTP: SGLang's wire format, stated rates, and that it says what it is."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from paste_proxy.lab.policy import MODEL, Policy
from paste_proxy.lab.scripted_engine import ScriptedEngine, listen
from paste_proxy.lab.workload import Workload
from tests.lab.conftest import next_turn
from tests.patience import quickest, until

FAST = 0.002
SLOW = 1.0


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


class Servers:
    """Starts engines on ports of their own and stops them after the test."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._runners: list[web.AppRunner] = []

    async def start(self, time_scale: float) -> tuple[ScriptedEngine, str]:
        engine = ScriptedEngine(self._workload, time_scale)
        runner = web.AppRunner(engine.application(), handler_cancellation=True)
        self._runners.append(runner)
        return engine, await listen(runner)

    async def stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()


@pytest.fixture
async def servers(workload: Workload) -> AsyncIterator[Servers]:
    servers = Servers(workload)
    yield servers
    await servers.stop()


def body(policy: Policy, task: int = 1, **fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": policy.opening(task), **fields}


async def events(response: aiohttp.ClientResponse) -> list[dict[str, Any]]:
    text = (await response.read()).decode()
    frames = text.split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    return [json.loads(frame.removeprefix("data: ")) for frame in frames[:-2]]


async def test_streams_the_policy_s_turn(http: aiohttp.ClientSession, servers: Servers, policy: Policy) -> None:
    _, url = await servers.start(FAST)
    options: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    async with http.post(f"{url}/v1/chat/completions", json=body(policy, **options)) as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        chunks = await events(response)
    turn = next_turn(policy, policy.opening(1))
    assert turn.call is not None
    *choices, usage = chunks
    deltas = [chunk["choices"][0]["delta"] for chunk in choices]
    assert "".join(delta["content"] or "" for delta in deltas) == turn.text
    calls = [delta["tool_calls"][0] for delta in deltas if delta["tool_calls"]]
    assert "".join(call["function"]["arguments"] for call in calls) == turn.call.arguments
    assert [call["id"] for call in calls] == [turn.call.call_id] + [None] * (len(calls) - 1)
    assert [call["function"]["name"] for call in calls][:2] == [turn.call.tool, None]
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == turn.tokens


async def test_nulls_are_spelled_out(http: aiohttp.ClientSession, servers: Servers, policy: Policy) -> None:
    _, url = await servers.start(FAST)
    async with http.post(f"{url}/v1/chat/completions", json=body(policy, stream=True)) as response:
        first, second, *_, last = await events(response)
    nothing = {"reasoning_content": None, "tool_calls": None}
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", **nothing}
    assert second["choices"][0]["delta"]["role"] is None
    assert second["usage"] is None
    assert second["choices"][0]["finish_reason"] is None
    assert last["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_whole_reply_says_the_same(
    http: aiohttp.ClientSession, servers: Servers, policy: Policy
) -> None:
    _, url = await servers.start(FAST)
    async with http.post(f"{url}/v1/chat/completions", json=body(policy)) as response:
        reply = await response.json()
    turn = next_turn(policy, policy.opening(1))
    message = reply["choices"][0]["message"]
    assert message["content"] == turn.text
    assert turn.call
    assert message["tool_calls"][0]["function"]["arguments"] == turn.call.arguments
    assert reply["choices"][0]["finish_reason"] == "tool_calls"


async def test_keeps_the_stated_rate(
    http: aiohttp.ClientSession, servers: Servers, policy: Policy, workload: Workload
) -> None:
    scale = 0.05
    turn = next_turn(policy, policy.opening(1))
    stated = (turn.tokens / 113.7 + workload.tokens.system_and_tools / 38112) * scale

    async def seconds() -> float:
        _, url = await servers.start(scale)
        begun = time.monotonic()
        async with http.post(f"{url}/v1/chat/completions", json=body(policy, stream=True)) as response:
            await events(response)
        return time.monotonic() - begun

    assert stated <= await quickest(seconds, stated + 0.15) <= stated + 0.15


async def test_a_known_prefix_is_not_prefilled_again(
    http: aiohttp.ClientSession, servers: Servers, policy: Policy
) -> None:
    _, url = await servers.start(FAST)
    cached = []
    for _ in range(2):
        async with http.post(f"{url}/v1/chat/completions", json=body(policy)) as response:
            usage = (await response.json())["usage"]
            cached.append(usage["prompt_tokens_details"]["cached_tokens"])
    assert cached == [0, usage["prompt_tokens"]]


async def test_says_that_it_is_scripted(http: aiohttp.ClientSession, servers: Servers, policy: Policy) -> None:
    _, url = await servers.start(FAST)
    async with http.get(f"{url}/model_info") as response:
        assert "scripted" in (await response.json())["model_path"]
        assert "scripted" in response.headers["Server"]
    async with http.get(f"{url}/v1/models") as response:
        assert (await response.json())["data"][0]["id"] == MODEL
    assert next_turn(policy, policy.opening(1)).text.startswith("[scripted ")


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_frees_its_place(
    http: aiohttp.ClientSession, servers: Servers, policy: Policy, *, stream: bool
) -> None:
    engine, url = await servers.start(SLOW)
    work = asyncio.ensure_future(http.post(f"{url}/v1/chat/completions", json=body(policy, stream=stream)))  # noqa: TID251
    await until(lambda: engine.running == 1)
    if stream:
        (await work).close()
    else:
        work.cancel()
    await until(lambda: engine.running == 0)


async def test_abort_ends_the_stream_with_its_reason(
    http: aiohttp.ClientSession, servers: Servers, policy: Policy
) -> None:
    _, url = await servers.start(SLOW)
    request = body(policy, stream=True, rid="0123456789abcdef")
    async with http.post(f"{url}/v1/chat/completions", json=request) as response:
        for rid in ("", "ffff"):
            await http.post(f"{url}/abort_request", json={"rid": rid})
        await response.content.readline()
        await http.post(f"{url}/abort_request", json={"rid": "01234567"})
        rest = (await response.read()).decode()
    assert '"finish_reason":"abort"' in rest


async def test_nonsense_is_a_400_in_the_engine_s_form(http: aiohttp.ClientSession, servers: Servers) -> None:
    _, url = await servers.start(FAST)
    for data in (b"{", msgspec.json.encode({"messages": [{"role": "user", "content": "hi"}]})):
        async with http.post(f"{url}/v1/chat/completions", data=data) as response:
            assert response.status == 400
            assert (await response.json())["object"] == "error"
