"""Keys, tenants and limits on the tool plane: over REST, and over MCP with the official client and without."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from mcp import MCPError

from paste_proxy.access.keys import written_digest
from paste_proxy.config import TenantConfig
from paste_proxy.gateway.mcp import RATE_LIMITED
from tests.gateway.fakes import SPECS, FakeRuntime, gateway
from tests.gateway.test_mcp import connected
from tests.gateway.test_mcp_http import ACCEPT, MODERN, call_body, open_session

RED, BLUE = "pp-" + "r" * 40, "pp-" + "b" * 40
WRONG = "pp-" + "w" * 40
TENANTS = {
    "red": TenantConfig(keys=(written_digest(RED),), calls_per_minute=2),
    "blue": TenantConfig(keys=(written_digest(BLUE),), tools=("text",)),
}
MCP_CALL = {**MODERN, "mcp-name": "echo"}


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
async def base(runtime: FakeRuntime) -> AsyncIterator[str]:
    async with gateway(runtime, tenants=TENANTS) as address:
        yield address


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    ("headers", "code", "challenge"),
    [
        ({}, "missing_key", 'Bearer realm="paste-proxy"'),
        (bearer(WRONG), "unknown_key", 'Bearer realm="paste-proxy", error="invalid_token"'),
    ],
)
async def test_nobody_without_a_key_reaches_a_tool(
    base: str, runtime: FakeRuntime, headers: dict[str, str], code: str, challenge: str
) -> None:
    async with aiohttp.ClientSession(base, headers=headers) as client:
        for path, body in (("/v1/tools", None), ("/v1/tools/echo", b"{}"), ("/mcp", call_body(b"{}"))):
            asked = client.post(path, data=body, headers=MCP_CALL) if body else client.get(path)
            async with asked as reply:
                text = await reply.text()
                assert (reply.status, reply.headers["www-authenticate"]) == (401, challenge)
                assert f'"paste/code":"{code}"' in text
                assert WRONG not in text + str(reply.headers)
                assert ('"jsonrpc":"2.0"' in text) == (path == "/mcp")
    assert not runtime.calls


async def test_calls_of_both_faces_are_their_tenant_s(base: str, runtime: FakeRuntime) -> None:
    named = {"x-session-id": "s"}
    async with aiohttp.ClientSession(base, headers=named) as client:
        for key in (RED, BLUE):
            async with client.post("/v1/tools/text", headers={"x-paste-key": key}) as reply:
                assert reply.status == 200
            headers = {**MODERN, "mcp-name": "text", **bearer(key)}
            async with client.post("/mcp", data=call_body(b"{}", b"text"), headers=headers) as reply:
                assert reply.status == 200, await reply.text()
    told = [(call.identity.tenant, call.identity.session) for call in runtime.calls]
    assert told == [("red", "s"), ("red", "s"), ("blue", "s"), ("blue", "s")]


async def test_a_tenant_sees_its_own_tools(base: str) -> None:
    async with aiohttp.ClientSession(base, headers={"x-api-key": BLUE}) as client:
        async with client.get("/v1/tools") as reply:
            assert [one["function"]["name"] for one in (await reply.json())["tools"]] == ["text"]
        async with client.get("/v1/tools/echo") as reply:
            assert (reply.status, (await reply.json())["_meta"]["paste/code"]) == (404, "unknown_tool")
    for key, names in ((RED, list(SPECS)), (BLUE, ["text"])):
        async with connected(base, "auto", bearer(key)) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == names


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_official_client_is_told_of_a_limit(base: str, mode: str) -> None:
    async with connected(base, mode, bearer(RED)) as client:
        for _ in range(2):
            await client.call_tool("text")
        with pytest.raises(MCPError, match="more than 2 calls a minute") as caught:
            await client.call_tool("text")
    assert caught.value.code == RATE_LIMITED


async def test_a_limit_has_its_status_and_fields_on_both_faces(base: str, runtime: FakeRuntime) -> None:
    async with aiohttp.ClientSession(base, headers=bearer(RED)) as client:
        for _ in range(2):
            async with client.post("/v1/tools/text") as reply:
                assert reply.status == 200
        for path, body in (("/v1/tools/text", b""), ("/mcp", call_body(b"{}", b"text"))):
            headers = {**MODERN, "mcp-name": "text"} if body else {}
            async with client.post(path, data=body, headers=headers) as reply:
                assert (reply.status, reply.headers["retry-after"]) == (429, "30")
                assert reply.headers["ratelimit-policy"] == '"calls";q=2;w=60'
                assert reply.headers["ratelimit"] == '"calls";r=0;t=30'
                assert '"paste/code":"rate_limit_exceeded"' in (await reply.text()).replace(" ", "")
    assert len(runtime.calls) == 2


async def test_a_session_of_one_tenant_is_of_no_use_to_another(base: str) -> None:
    async with aiohttp.ClientSession(base, headers=bearer(RED)) as red:
        session = await open_session(red)
        listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        async with red.post("/mcp", json=listing, headers=session) as reply:
            assert reply.status == 200
        async with aiohttp.ClientSession(base, headers=bearer(BLUE)) as blue:
            async with blue.post("/mcp", json=listing, headers=session) as reply:
                assert reply.status == 404
            async with blue.delete("/mcp", headers=session) as reply:
                assert reply.status == 404
        async with red.post("/mcp", json=listing, headers={**ACCEPT, **session}) as reply:
            assert reply.status == 200
