import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import aiohttp
import pytest

from paste_proxy.config import LimitsConfig
from paste_proxy.tasks import TaskSet
from tests.gateway.fakes import ERRORS, SPECS, FakeRuntime, gateway
from tests.gateway.servers import raw_connection


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
async def base(runtime: FakeRuntime) -> AsyncIterator[str]:
    async with gateway(runtime, limits=LimitsConfig(arguments_bytes=1000)) as address:
        yield address


@pytest.fixture
async def client(base: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(base) as session:
        yield session


async def refusal(reply: aiohttp.ClientResponse, status: int, code: str, param: str | None) -> str:
    """The message of an error answer, after its shape was checked."""
    assert reply.status == status
    assert reply.content_type == "application/json"
    assert reply.headers["x-request-id"]
    body: dict[str, Any] = await reply.json()
    assert body["isError"] is True
    assert body["_meta"] == {"paste/code": code, "paste/param": param}
    (content,) = body["content"]
    assert content["type"] == "text"
    return str(content["text"])


async def test_the_list_is_ready_for_an_llm_request(client: aiohttp.ClientSession) -> None:
    async with client.get("/v1/tools") as reply:
        body = await reply.json()
    assert body["object"] == "list"
    assert [tool["function"]["name"] for tool in body["tools"]] == list(SPECS)
    assert body["tools"][0] == {
        "type": "function",
        "function": {
            "name": "echo",
            "description": "Gives its arguments back.",
            "parameters": SPECS["echo"].parameters,
        },
    }


async def test_one_tool_is_an_element_of_the_list(client: aiohttp.ClientSession) -> None:
    async with client.get("/v1/tools") as reply:
        tools = (await reply.json())["tools"]
    async with client.get("/v1/tools/echo") as reply:
        assert await reply.json() == tools[0]


@pytest.mark.parametrize("name", ["nothing", "a/b", "", "%00", "a%0D%0Ab"])
async def test_an_unknown_tool_is_described_as_unknown(client: aiohttp.ClientSession, name: str) -> None:
    async with client.get(f"/v1/tools/{name}") as reply:
        message = await refusal(reply, 404, "unknown_tool", unquote(name))
    assert "GET /v1/tools lists them" in message


async def test_a_call_gives_the_result_itself_and_says_how_it_was_served(
    client: aiohttp.ClientSession, runtime: FakeRuntime
) -> None:
    raw = b'{"words": "a",  "words": 1.0, "big": 12345678901234567890123}'
    headers = {"x-tool-call-id": "call_1", "x-session-id": "s1", "x-request-id": "mine"}
    async with client.post("/v1/tools/echo", data=raw, headers=headers) as reply:
        assert reply.status == 200
        assert await reply.read() == raw
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["x-request-id"] == "mine"
        assert reply.headers["x-paste-outcome"] == "joined"
        assert reply.headers["x-paste-service-ms"] == "250.000"
        assert reply.headers["x-paste-saved-ms"] == "125.000"
    (call,) = runtime.calls
    assert (call.tool, call.arguments, call.tool_call_id) == ("echo", raw, "call_1")
    assert call.identity.session == "s1"


async def test_text_is_answered_as_text(client: aiohttp.ClientSession) -> None:
    async with client.post("/v1/tools/text") as reply:
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"
        assert await reply.text() == "grüße"


async def test_no_body_means_no_arguments(client: aiohttp.ClientSession, runtime: FakeRuntime) -> None:
    async with client.post("/v1/tools/value") as reply:
        assert await reply.read() == b"{}"
    assert runtime.calls[0].arguments == b"{}"
    assert runtime.calls[0].tool_call_id == ""


async def test_each_request_gets_an_id_of_its_own(client: aiohttp.ClientSession) -> None:
    ids = set()
    for _ in range(3):
        async with client.post("/v1/tools/text") as reply:
            ids.add(reply.headers["x-request-id"])
    assert len(ids) == 3


@pytest.mark.parametrize("name", list(ERRORS))
async def test_each_error_keeps_its_status_code_and_message(client: aiohttp.ClientSession, name: str) -> None:
    error = ERRORS[name]
    async with client.post(f"/v1/tools/{name}") as reply:
        assert await refusal(reply, error.status, error.code, error.param) == error.message
        assert ("retry-after" in reply.headers) == (name == "busy")


async def test_a_call_of_an_unknown_tool(client: aiohttp.ClientSession) -> None:
    async with client.post("/v1/tools/nothing") as reply:
        assert "nothing" in await refusal(reply, 404, "unknown_tool", "nothing")


async def test_a_defect_is_told_without_its_details(
    client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async with client.post("/v1/tools/defect", headers={"x-request-id": "r7"}) as reply:
        message = await refusal(reply, 500, "internal_error", None)
    assert "secret" not in message
    assert "r7" in message
    assert "request r7 failed" in caplog.text
    assert "secret detail" in caplog.text


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_above_the_limit_is_refused(
    client: aiohttp.ClientSession, runtime: FakeRuntime, chunked: bool
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * 400

    async with client.post("/v1/tools/echo", data=parts() if chunked else b" " * 1001) as reply:
        message = await refusal(reply, 413, "request_too_large", "limits.arguments_bytes")
    assert "1000 bytes" in message
    assert not runtime.calls


async def test_a_body_at_the_limit_is_read(client: aiohttp.ClientSession, runtime: FakeRuntime) -> None:
    async with client.post("/v1/tools/echo", data=b"x" * 1000) as reply:
        assert reply.status == 200
    assert len(runtime.calls[0].arguments) == 1000


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/v1/tools", "GET, HEAD"),
        ("DELETE", "/v1/tools", "GET, HEAD"),
        ("PUT", "/v1/tools/echo", "GET, HEAD, POST"),
        ("PATCH", "/v1/tools/echo", "GET, HEAD, POST"),
    ],
)
async def test_other_methods_are_refused(
    client: aiohttp.ClientSession, method: str, path: str, allow: str
) -> None:
    async with client.request(method, path) as reply:
        assert reply.headers["allow"] == allow
        assert method in await refusal(reply, 405, "method_not_allowed", method)


async def test_web_pages_of_other_hosts_are_refused(
    client: aiohttp.ClientSession, runtime: FakeRuntime
) -> None:
    async with client.post("/v1/tools/echo", headers={"origin": "http://evil.example"}) as reply:
        await refusal(reply, 403, "untrusted_origin", "origin")
    async with client.get("/v1/tools", headers={"host": "evil.example"}) as reply:
        await refusal(reply, 421, "untrusted_host", "host")
    assert not runtime.calls


async def test_a_caller_that_leaves_cancels_its_call(base: str, runtime: FakeRuntime) -> None:
    async with raw_connection(base) as (_, writer):
        writer.write(b"POST /v1/tools/hang HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        await runtime.until(lambda: runtime.waiting == 1)
    await runtime.until(lambda: runtime.cancelled == 1)


async def test_a_caller_that_leaves_amid_its_body_makes_no_call(
    base: str, client: aiohttp.ClientSession, runtime: FakeRuntime
) -> None:
    async with raw_connection(base) as (_, writer):
        writer.write(b"POST /v1/tools/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf")
        await writer.drain()
    async with client.post("/v1/tools/echo", data=b"{}") as reply:
        assert reply.status == 200
    assert [call.arguments for call in runtime.calls] == [b"{}"]


async def test_a_compressed_body_is_refused(client: aiohttp.ClientSession, runtime: FakeRuntime) -> None:
    async with client.post("/v1/tools/echo", data=b"?", headers={"content-encoding": "gzip"}) as reply:
        message = await refusal(reply, 415, "unsupported_encoding", "content-encoding")
    assert "uncompressed" in message
    assert not runtime.calls


async def test_calls_do_not_disturb_each_other(client: aiohttp.ClientSession, runtime: FakeRuntime) -> None:
    async def call(number: int) -> bytes:
        async with client.post("/v1/tools/echo", data=json.dumps({"words": str(number)})) as reply:
            return await reply.read()

    tasks = TaskSet()
    tasks.spawn(call_hang(client), name="hang")
    await runtime.until(lambda: runtime.waiting == 1)
    answers = await asyncio.gather(*(call(number) for number in range(20)))
    assert [json.loads(answer)["words"] for answer in answers] == [str(number) for number in range(20)]
    await tasks.close()
    await runtime.until(lambda: runtime.cancelled == 1)


async def call_hang(client: aiohttp.ClientSession) -> None:
    async with client.post("/v1/tools/hang") as reply:
        await reply.read()
