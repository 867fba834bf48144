"""`paste-proxy shadow-report` at a proxy that has a backend and nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner

from paste_proxy.app import build, listening
from paste_proxy.cli import commands
from paste_proxy.config import BackendConfig, Config, ListenConfig, SpeculationConfig
from paste_proxy.errors import ConfigError, UnavailableError
from paste_proxy.predict.model import Candidate
from tests.guesses import Scripted

TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]


async def reply(request: web.Request) -> web.Response:
    """Asks for one look, then ends."""
    messages = (await request.json())["messages"]
    message: dict[str, Any] = {"role": "assistant", "content": "well"}
    if len(messages) == 1:
        function = {"name": "look", "arguments": '{"at":"door"}'}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
    choice = {"index": 0, "message": message, "finish_reason": "stop" if len(messages) > 1 else "tool_calls"}
    return web.json_response({"id": "x", "object": "chat.completion", "model": "m", "choices": [choice]})


@pytest.fixture
async def proxy() -> AsyncIterator[str]:
    async with watching("shadow") as url:
        yield url


@asynccontextmanager
async def watching(mode: Literal["off", "shadow", "on"]) -> AsyncIterator[str]:
    backend = web.Application()
    backend.router.add_post("/v1/chat/completions", reply)
    async with TestServer(backend, host="127.0.0.1") as server:
        config = Config(
            listen=ListenConfig(port=0),
            backend=BackendConfig(url=str(server.make_url("")).rstrip("/"), kind="openai"),
            speculation=SpeculationConfig(mode=mode),
        )
        predictor = Scripted(Candidate("look", {"at": "door"}, 0.9, "because", 0.9))
        async with listening(build(config, new_predictor=lambda _specs, _table: predictor)) as url:
            yield url


async def work(url: str) -> None:
    """One agent that runs its tool itself."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "go"}]
    async with aiohttp.ClientSession(url) as client:
        for _ in range(2):
            body = {"model": "m", "messages": messages, "tools": TOOLS}
            async with client.post("/v1/chat/completions", json=body) as answer:
                messages.append((await answer.json())["choices"][0]["message"])
            for call in messages[-1].get("tool_calls", ()):
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": "a door"})


async def said(*arguments: str) -> str:
    """What the command prints; it blocks, while the proxy is in this very loop."""
    done = await asyncio.to_thread(CliRunner().invoke, commands, ["shadow-report", *arguments])
    if done.exception is not None:
        raise done.exception
    return done.output


async def test_a_base_url_is_enough(proxy: str) -> None:
    assert "No agent has asked for anything yet" in await said("--url", proxy)
    await work(proxy)
    text = await said("--url", proxy + "/")
    assert "1 calls seen, nothing was run ahead" in text
    assert "look  agent" in text
    figures = json.loads(await said("--url", proxy, "--json"))
    assert (figures["mode"], figures["calls"], figures["used"]) == ("shadow", 1, 1)
    assert figures["tools"][0]["service_s"] is not None
    assert figures["levels"][0]["level"] == "context"


async def test_what_became_of_each_prediction_is_told_with_its_session(proxy: str) -> None:
    await work(proxy)
    async with aiohttp.ClientSession(proxy) as client:
        async with client.get("/paste/v1/sessions") as answer:
            [session] = (await answer.json())["sessions"]
        async with client.get(f"/paste/v1/sessions/{session['id']}") as answer:
            first, *_ = (await answer.json())["predictions"]
    assert first.pop("at_s") >= 0
    assert first.pop("value_s") is not None
    assert first == {
        "tool": "look",
        "arguments": {"at": "door"},
        "level": "context",
        "probability": 0.9,
        "estimate": 0.9,
        "why": "because",
        "outcome": "used",
    }


@pytest.mark.parametrize("path", ["/v1", "/v1/"])
async def test_the_address_may_be_the_one_that_agents_are_given(proxy: str, path: str) -> None:
    text = await said("--url", proxy + path)
    assert f"Shadow report of {proxy}: 0 calls" in text


@pytest.mark.parametrize(("mode", "instead"), [("on", True), ("off", False)])
async def test_a_proxy_that_is_no_shadow_is_an_error_that_says_what_to_do(
    mode: Literal["off", "on"], instead: bool
) -> None:
    async with watching(mode) as url:
        await work(url)
        with pytest.raises(UnavailableError, match=r"set speculation\.mode: shadow, start it anew") as raised:
            await said("--url", url)
        assert (f"speculation.mode: {mode}" in raised.value.message, raised.value.param) == (
            True,
            "speculation.mode",
        )
        assert (f"{url}/paste/v1/stats" in raised.value.message) is instead
        told = await asyncio.to_thread(CliRunner().invoke, commands, ["shadow-report", "--url", url, "--json"])
        assert (json.loads(told.output)["mode"], type(told.exception)) == (mode, UnavailableError)


async def test_no_proxy_there_is_one_line() -> None:
    with pytest.raises(UnavailableError, match=r"can't be read: .*; say with --url where the proxy listens"):
        await said("--url", "http://127.0.0.1:9")


@pytest.mark.parametrize("url", ["nothing", "http://["])
async def test_what_is_no_address_is_one_line(url: str) -> None:
    with pytest.raises(ConfigError, match=r"is no address: .*; say with --url where the proxy listens"):
        await said("--url", url)


async def test_a_key_that_can_t_be_sent_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASTE_KEY", "pp-sec\nret")
    with pytest.raises(ConfigError) as raised:
        await said("--url", "http://127.0.0.1:9")
    assert raised.value.message == (
        "shadow-report: PASTE_KEY can't be sent in a header as it stands in the environment"
    )


async def test_somebody_else_there_is_one_line() -> None:
    app = web.Application()
    app.router.add_get("/paste/v1/shadow", hello)
    async with TestServer(app, host="127.0.0.1") as server:
        with pytest.raises(UnavailableError, match="no paste-proxy"):
            await said("--url", str(server.make_url("")))


async def hello(_request: web.Request) -> web.Response:
    return web.Response(text="hello")
