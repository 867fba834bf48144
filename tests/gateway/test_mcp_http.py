"""MCP byte by byte: what no well-behaved client sends, and what the raw bytes must keep."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from mcp_types import TextContent

from paste_proxy.config import LimitsConfig
from paste_proxy.gateway.mcp import ENVELOPE_BYTES, STRUCTURED_LIMIT, result_of
from paste_proxy.runtime import ToolAnswer
from paste_proxy.tasks import TaskSet
from paste_proxy.tools.ports import Output
from tests.gateway.fakes import FakeRuntime, gateway
from tests.gateway.servers import raw_connection
from tests.gateway.test_rpc import MALFORMED
from tests.patience import SOON_S

ACCEPT = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
MODERN = {**ACCEPT, "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call"}
ENVELOPE = (
    b'"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28", '
    b'"io.modelcontextprotocol/clientCapabilities": {}}'
)
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
async def base(runtime: FakeRuntime) -> AsyncIterator[str]:
    async with gateway(runtime, limits=LimitsConfig(body_bytes=100_000)) as address:
        yield address


@pytest.fixture
async def client(base: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(base) as session:
        yield session


def call_body(arguments: bytes, name: bytes = b"echo") -> bytes:
    params = b'{"name": "%s", "arguments": %s, %s}' % (name, arguments, ENVELOPE)
    return b'{"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": %s}' % params


async def modern_call(client: aiohttp.ClientSession, arguments: bytes, name: str = "echo") -> dict[str, Any]:
    headers = {**MODERN, "mcp-name": name}
    async with client.post("/mcp", data=call_body(arguments, name.encode()), headers=headers) as reply:
        body: dict[str, Any] = await reply.json()
        return body


async def open_session(client: aiohttp.ClientSession) -> dict[str, str]:
    """The headers of a session of the older era."""
    async with client.post("/mcp", json=INITIALIZE, headers=ACCEPT) as reply:
        assert reply.status == 200
        session = {**ACCEPT, "mcp-session-id": reply.headers["mcp-session-id"]}
    initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    async with client.post("/mcp", json=initialized, headers=session) as reply:
        assert reply.status == 202
    return session


@pytest.mark.parametrize(
    "arguments", [b'{"words": "a",  "words": 1.0}', b'{"n": 123456789012345678901234567890, "f": 1E+2}', b"{ }"]
)
async def test_arguments_reach_the_runtime_as_they_were_written(
    client: aiohttp.ClientSession, runtime: FakeRuntime, arguments: bytes
) -> None:
    reply = await modern_call(client, arguments)
    assert reply["id"] == 7
    assert runtime.calls[0].arguments == arguments
    assert reply["result"]["content"] == [{"type": "text", "text": arguments.decode()}]


async def test_older_sessions_keep_the_arguments_too(
    client: aiohttp.ClientSession, runtime: FakeRuntime
) -> None:
    session = await open_session(client)
    body = b'{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"a":1,"a":2}}}'
    async with client.post("/mcp", data=body, headers=session) as reply:
        assert (await reply.json())["id"] == 2
    assert runtime.calls[0].arguments == b'{"a":1,"a":2}'


@pytest.mark.parametrize("arguments", [b'{"a": NaN}', b'{"a": Infinity}'])
async def test_what_is_no_json_makes_no_call(
    client: aiohttp.ClientSession, runtime: FakeRuntime, arguments: bytes
) -> None:
    reply = await modern_call(client, arguments)
    assert reply["error"]["code"] == -32700
    assert "not valid JSON" in reply["error"]["message"]
    assert not runtime.calls


@pytest.mark.parametrize(
    ("output", "structured"),
    [
        (Output(b'{"a": 1}'), {"a": 1}),
        (Output(b' \n{"a": 123456789012345678901234567890}'), {"a": 123456789012345678901234567890}),
        (Output(b'{"a": "%s"}' % (b"x" * STRUCTURED_LIMIT)), None),
        (Output(b"[1]"), None),
        (Output(b'"{"'), None),
        (Output(b"null"), None),
        (Output(b'{"a": 1}', is_text=True), None),
    ],
)
def test_only_objects_of_moderate_size_are_structured(
    output: Output, structured: dict[str, Any] | None
) -> None:
    result = result_of(ToolAnswer("executed", output, 1.0, 0.0))
    assert result.structured_content == structured
    (content,) = result.content
    assert isinstance(content, TextContent)
    assert content.text.encode() == output.body


@pytest.mark.parametrize("body", [body for body, *_ in MALFORMED])
@pytest.mark.parametrize("era", ["modern", "older"])
async def test_malformed_messages_are_refused_and_disturb_nobody(
    client: aiohttp.ClientSession, runtime: FakeRuntime, body: bytes, era: str
) -> None:
    """In one shape, whoever asks; `test_rpc.py` has what each is told."""
    headers = MODERN if era == "modern" else await open_session(client)
    async with client.post("/mcp", data=body, headers=headers) as reply:
        said = await reply.json()
        is_answer = said["error"]["code"] == -32602 and era == "older"
        assert reply.status == (200 if is_answer else 400)
    assert said["error"]["data"]["paste/code"] == "bad_request"
    assert not runtime.calls
    assert (await modern_call(client, b"{}"))["result"]["isError"] is False


async def test_an_unknown_method_is_said_to_be(client: aiohttp.ClientSession) -> None:
    session = await open_session(client)
    body = {"jsonrpc": "2.0", "id": 1, "method": "no/such"}
    async with client.post("/mcp", json=body, headers=session) as reply:
        assert (await reply.json())["error"]["code"] == -32601


async def test_arguments_that_are_no_object_are_a_malformed_request(
    client: aiohttp.ClientSession, runtime: FakeRuntime
) -> None:
    for arguments in (b"[1]", b'"text"', b"5"):
        assert (await modern_call(client, arguments))["error"]["code"] == -32602
    assert not runtime.calls


async def test_a_body_above_the_limit_is_refused(client: aiohttp.ClientSession, runtime: FakeRuntime) -> None:
    body = call_body(b'{"words": "' + b"x" * 100_000 + b'"}')
    async with client.post("/mcp", data=body, headers={**MODERN, "mcp-name": "echo"}) as reply:
        assert reply.status == 413
    assert not runtime.calls


async def test_arguments_far_above_their_limit_are_not_read(runtime: FakeRuntime) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield body

    body = call_body(b'{"words": "' + b"x" * (1000 + ENVELOPE_BYTES) + b'"}')
    headers = {**MODERN, "mcp-name": "echo"}
    limits = LimitsConfig(arguments_bytes=1000)
    async with gateway(runtime, limits=limits) as base, aiohttp.ClientSession(base) as client:
        async with client.post("/mcp", data=body, headers=headers) as reply:
            assert reply.status == 413
            error = (await reply.json())["error"]
        assert error["data"] == {"paste/code": "request_too_large", "paste/param": "limits.arguments_bytes"}
        async with client.post("/mcp", data=parts(), headers=headers) as reply:
            assert reply.status == 413
    assert not runtime.calls


async def test_there_is_no_standing_stream(client: aiohttp.ClientSession) -> None:
    session = await open_session(client)
    for path in ("/mcp", "/mcp/"):
        async with client.get(path, headers=session) as reply:
            assert (reply.status, reply.headers["allow"]) == (405, "POST, DELETE")
            assert (await reply.json())["error"]["code"] == -32600


async def test_web_pages_of_other_hosts_are_refused(
    client: aiohttp.ClientSession, runtime: FakeRuntime
) -> None:
    body = call_body(b"{}")
    for headers, status in (({"origin": "http://evil.example"}, 403), ({"host": "evil.example"}, 421)):
        async with client.post("/mcp", data=body, headers={**MODERN, **headers}) as reply:
            assert reply.status == status
            assert (await reply.json())["error"]["message"]
    assert not runtime.calls


async def test_a_caller_that_leaves_cancels_its_call(base: str, runtime: FakeRuntime) -> None:
    body = call_body(b"{}", b"hang")
    fields = {**MODERN, "host": "localhost", "mcp-name": "hang", "content-length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    async with raw_connection(base) as (_, writer):
        writer.write(f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + body)
        await runtime.until(lambda: runtime.waiting == 1)
    await runtime.until(lambda: runtime.cancelled == 1)


async def test_a_client_that_sends_slowly_holds_nobody_up(
    base: str, client: aiohttp.ClientSession, runtime: FakeRuntime
) -> None:
    body = call_body(b'{"words": "slow"}')
    fields = {**MODERN, "host": "localhost", "mcp-name": "echo", "content-length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    async with raw_connection(base) as (reader, writer):
        writer.write(f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + body[:50])
        await asyncio.wait_for(modern_call(client, b'{"words": "quick"}'), SOON_S)
        writer.write(body[50:])
        assert b" 200 " in await asyncio.wait_for(reader.readline(), SOON_S)
    assert [json.loads(call.arguments)["words"] for call in runtime.calls] == ["quick", "slow"]


async def test_an_idle_session_expires(runtime: FakeRuntime) -> None:
    async with (
        gateway(runtime, limits=LimitsConfig(session_idle_s=0.05)) as base,
        aiohttp.ClientSession(base) as client,
    ):
        async with client.post("/mcp", json=INITIALIZE, headers=ACCEPT) as reply:
            session = {**ACCEPT, "mcp-session-id": reply.headers["mcp-session-id"]}
        await asyncio.sleep(0.1)
        body = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        async with client.post("/mcp", json=body, headers=session) as reply:
            assert reply.status == 404


async def test_sessions_are_bounded_in_number(runtime: FakeRuntime) -> None:
    async with gateway(runtime, limits=LimitsConfig(sessions=2)) as base, aiohttp.ClientSession(base) as client:
        for _ in range(2):
            session = await open_session(client)
        async with client.post("/mcp", json=INITIALIZE, headers=ACCEPT) as reply:
            assert reply.status == 503
        async with client.delete("/mcp", headers=session) as reply:
            assert reply.status == 200
        await open_session(client)


async def test_older_sessions_and_their_calls_end_with_the_server(runtime: FakeRuntime) -> None:
    body = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "hang"}}
    tasks = TaskSet()
    async with aiohttp.ClientSession() as client:
        async with gateway(runtime) as base:
            session = await open_session_at(client, base)
            call = tasks.spawn(post(client, base, body, session), name="hang")
            await runtime.until(lambda: runtime.waiting == 1)
        assert await call >= 500
    assert runtime.cancelled == 1


async def open_session_at(client: aiohttp.ClientSession, base: str) -> dict[str, str]:
    async with client.post(f"{base}/mcp", json=INITIALIZE, headers=ACCEPT) as reply:
        return {**ACCEPT, "mcp-session-id": reply.headers["mcp-session-id"]}


async def post(client: aiohttp.ClientSession, base: str, body: Any, headers: dict[str, str]) -> int:
    async with client.post(f"{base}/mcp", json=body, headers=headers) as reply:
        return reply.status
