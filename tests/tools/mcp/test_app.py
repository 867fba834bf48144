"""MCP servers behind the whole proxy: listed, called and run ahead over the gateway."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from mcp import Client, MCPError

from paste_proxy.app import Proxy, build, listening
from paste_proxy.config import Config, ListenConfig, SpeculationConfig
from paste_proxy.config_mcp import McpServerConfig
from paste_proxy.events import Identity
from paste_proxy.grammar.events import CallSealed
from paste_proxy.grammar.requests import parse_chat_request
from paste_proxy.runtime import ToolCall
from tests.patience import SOON_S
from tests.tools.mcp.support import fake


@asynccontextmanager
async def proxy(allow: tuple[str, ...] = (), **servers: McpServerConfig) -> AsyncIterator[tuple[Proxy, str]]:
    config = Config(
        listen=ListenConfig(port=0), mcp_servers=servers, speculation=SpeculationConfig(allow=allow)
    )
    built = build(config)
    async with listening(built) as url:
        yield built, f"{url}/mcp"


async def test_many_servers_are_one() -> None:
    notes = {"readOnlyHint": True, "title": "Echo!"}
    async with (
        proxy(a=fake({"echo": notes, "pid": None}), b=fake({"echo": None})) as (_, url),
        Client(url) as client,
    ):
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert len(tools) == 3
        prefixed = next(name for name in tools if name.endswith("_echo"))
        assert prefixed in ("a_echo", "b_echo")
        annotations = tools["echo" if prefixed == "b_echo" else "a_echo"].annotations
        assert annotations is not None
        assert (annotations.read_only_hint, annotations.title) == (True, "Echo!")
        for name in ("echo", prefixed):
            (part,) = (await client.call_tool(name, {"text": name})).content
            assert part.type == "text"
            assert json.loads(part.text) == {"text": name}


async def test_results_arrive_as_they_came() -> None:
    async with proxy(a=fake()) as (_, url), Client(url) as client:
        result = await client.call_tool("rich", {})
        assert [part.type for part in result.content] == ["text", "image", "resource_link"]
        assert result.structured_content == {"n": None, "big": 12345678901234567890, "f": 1.0}
        assert (result.meta or {})["theirs"] == 1
        assert (result.meta or {})["paste/outcome"] == "executed"
        failed = await client.call_tool("fail", {})
        assert failed.is_error
        assert [part.text for part in failed.content if part.type == "text"] == ["no such page"]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_progress_reaches_the_client(mode: str) -> None:
    got: list[tuple[float, float | None, str | None]] = []

    async def told(progress: float, total: float | None, message: str | None) -> None:
        got.append((progress, total, message))

    async with proxy(a=fake()) as (_, url), Client(url, mode=mode) as client:
        result = await client.call_tool("progress", {}, progress_callback=told)
        assert not result.is_error
        assert got == [(1, 2, "step 1"), (2, 2, "step 2")]


async def test_a_list_that_changes_is_seen_by_calls_at_once() -> None:
    async with proxy(a=fake()) as (built, url), Client(url) as client:
        with pytest.raises(MCPError, match="there is no tool 'grown'"):
            await client.call_tool("grown", {})
        await client.call_tool("grow", {})
        async with asyncio.timeout(SOON_S):
            while "grown" not in built.runtime.core.tools:  # noqa: ASYNC110 - the table has no event
                await asyncio.sleep(0.01)
        assert not (await client.call_tool("grown", {})).is_error


async def test_a_sealed_call_runs_ahead_in_the_other_session() -> None:
    server = fake({"count": None}, read=("count",), stateful=False)
    async with proxy(("count",), a=server) as (built, _):
        runtime = built.runtime
        function = {"name": "count", "parameters": runtime.core.tools["count"].parameters}
        body = {
            "messages": [{"role": "user", "content": "go"}],
            "tools": [{"type": "function", "function": function}],
        }
        turn = await runtime.admit(Identity(session="s"), parse_chat_request(json.dumps(body).encode()))
        turn.sent()
        turn.feed([CallSealed(0, "call-1", "count", "{}")])
        async with asyncio.timeout(SOON_S):
            while not list(runtime.core.broker.staging):  # noqa: ASYNC110 - nor has the staging
                await asyncio.sleep(0.01)
        ahead = await runtime.call(ToolCall(Identity(session="s"), "count", b"{}", "call-1"))
        turn.close(complete=True)
        assert ahead.outcome == "reused"
        alone = [await runtime.call(ToolCall(Identity(session="s"), "count", b"{}")) for _ in range(2)]
        assert [one.output.body for one in alone] == [b"1", b"2"]
