"""The gateway in front of the real runtime and real tools: what each does wrong stays its own affair."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from mcp import Client, MCPError
from mcp_types import INVALID_PARAMS, TextContent

from paste_proxy.app import build
from paste_proxy.config import Config, PluginConfig
from tests.gateway.servers import serving

PLUGIN = '''
import asyncio
from paste_proxy.tools import tool

@tool
async def add(a: int, b: int = 1) -> dict[str, int]:
    """Adds."""
    return {"sum": a + b}

@tool
async def say(words: str) -> str:
    """Says it back."""
    return words

@tool
async def fail() -> str:
    """Raises."""
    raise ValueError("no such page")

@tool(timeout=0.1)
async def hang() -> str:
    """Never ends."""
    await asyncio.Event().wait()
    return ""

@tool
async def flood() -> str:
    """Returns 50 MB."""
    return "x" * 50_000_000
'''

REFUSALS = [
    ("add", {"a": "one"}, 422, "invalid_arguments"),
    ("add", {}, 422, "invalid_arguments"),
    ("add", {"a": 1, "c": 2}, 422, "invalid_arguments"),
    ("fail", {}, 502, "tool_failed"),
    ("hang", {}, 504, "tool_timeout"),
    ("flood", {}, 502, "result_too_large"),
]


@pytest.fixture
async def base(tmp_path: Path) -> AsyncIterator[str]:
    plugin = tmp_path / "wrongs.py"
    plugin.write_text(PLUGIN)
    async with serving(build(Config(plugins=(PluginConfig(path=str(plugin)),))).app) as address:
        yield address


@pytest.fixture(params=["auto", "legacy"])
def client(base: str, request: pytest.FixtureRequest) -> Client:
    """A client of either era of the protocol, not yet connected."""
    return Client(f"{base}/mcp", mode=request.param)


async def test_tools_answer_over_mcp(client: Client) -> None:
    async with client:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        result = await client.call_tool("add", {"a": 2**60})
        said = await client.call_tool("say", {"words": "grün"})
    assert set(listed) == {"add", "say", "fail", "hang", "flood"}
    assert listed["add"].input_schema["required"] == ["a"]
    assert result.structured_content == {"sum": 2**60 + 1}
    assert result.meta is not None
    assert result.meta["paste/outcome"] == "executed"
    assert said.content == [TextContent(text="grün")]


@pytest.mark.parametrize(("name", "arguments", "status", "code"), REFUSALS)
async def test_what_goes_wrong_is_a_result_over_mcp(
    client: Client, name: str, arguments: dict[str, object], status: int, code: str
) -> None:
    async with client:
        result = await client.call_tool(name, arguments)
        after = await client.call_tool("add", {"a": 1})
    assert after.structured_content == {"sum": 2}
    assert result.is_error is True
    assert result.meta is not None
    assert result.meta["paste/code"] == code
    (content,) = result.content
    assert isinstance(content, TextContent)
    assert name in content.text


async def test_an_unknown_tool_is_an_error_of_the_protocol(client: Client) -> None:
    async with client:
        with pytest.raises(MCPError) as raised:
            await client.call_tool("nothing")
    assert raised.value.error.code == INVALID_PARAMS
    assert "nothing" in raised.value.error.message


@pytest.mark.parametrize(("name", "arguments", "status", "code"), REFUSALS)
async def test_what_goes_wrong_has_its_status_over_rest(
    base: str, name: str, arguments: dict[str, object], status: int, code: str
) -> None:
    async with aiohttp.ClientSession(base) as client:
        async with client.post(f"/v1/tools/{name}", json=arguments) as reply:
            assert reply.status == status
            assert (await reply.json())["_meta"]["paste/code"] == code
        async with client.post("/v1/tools/add", json={"a": 1}) as reply:
            assert await reply.json() == {"sum": 2}
            assert reply.headers["x-paste-outcome"] == "executed"


@pytest.mark.parametrize("body", [b'{"a": 1, "a": 2}', b'{"a": NaN}', b"[1]", b"{", b"\xff"])
async def test_loose_json_is_refused_over_rest(base: str, body: bytes) -> None:
    async with aiohttp.ClientSession(base) as client, client.post("/v1/tools/add", data=body) as reply:
        assert reply.status == 422
        assert (await reply.json())["_meta"]["paste/code"] == "invalid_arguments"
