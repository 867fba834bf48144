"""The official client, in both eras of the protocol, against a served gateway."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import cast

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, RequestParamsMeta, TextContent

from paste_proxy.config import LimitsConfig
from tests.gateway.fakes import ERRORS, SPECS, FakeRuntime, gateway
from tests.patience import until

TOOL_ERRORS = list(ERRORS)
PROC = Path("/proc/self/fd")


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
async def base(runtime: FakeRuntime) -> AsyncIterator[str]:
    async with gateway(runtime, limits=LimitsConfig(arguments_bytes=4_000_000)) as address:
        yield address


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def connected(base: str, mode: str, headers: dict[str, str] | None = None) -> AsyncIterator[Client]:
    async with httpx2.AsyncClient(headers=headers) as http:
        transport = streamable_http_client(f"{base}/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


async def test_the_tools_are_listed_as_declared(base: str, mode: str) -> None:
    async with connected(base, mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert list(tools) == list(SPECS)
    echo = tools["echo"]
    assert (echo.description, echo.input_schema) == (SPECS["echo"].description, SPECS["echo"].parameters)
    assert echo.annotations is not None
    assert echo.annotations.read_only_hint is True
    assert tools["text"].annotations is None


async def test_a_foreign_cursor_is_refused(base: str, mode: str) -> None:
    async with connected(base, mode) as client:
        with pytest.raises(MCPError, match="one page"):
            await client.list_tools(cursor="2")


async def test_an_object_comes_as_text_and_as_structure(base: str, mode: str, runtime: FakeRuntime) -> None:
    async with connected(base, mode) as client:
        result = await client.call_tool("echo", {"words": "grün", "n": 2**70})
    assert result.is_error is False
    assert result.structured_content == {"words": "grün", "n": 2**70}
    (content,) = result.content
    assert isinstance(content, TextContent)
    assert content.text.encode() == runtime.calls[0].arguments
    assert result.meta is not None
    assert result.meta["paste/outcome"] == "joined"
    assert (result.meta["paste/service-ms"], result.meta["paste/saved-ms"]) == (250.0, 125.0)


async def test_text_comes_as_text_alone(base: str, mode: str, runtime: FakeRuntime) -> None:
    async with connected(base, mode) as client:
        result = await client.call_tool("text")
    assert result.content == [TextContent(text="grüße")]
    assert result.structured_content is None
    assert runtime.calls[0].arguments == b"{}"


async def test_the_call_is_named_by_meta_and_the_session_by_headers(
    base: str, mode: str, runtime: FakeRuntime
) -> None:
    async with connected(base, mode, {"x-session-id": "s1"}) as client:
        await client.call_tool("text", meta=cast(RequestParamsMeta, {"claudecode/toolUseId": "toolu_1"}))
        await client.call_tool("text", progress_callback=ignore_progress)
    first, second = runtime.calls
    assert (first.tool_call_id, first.identity.session) == ("toolu_1", "s1")
    assert (second.tool_call_id, second.identity.session) == ("", "s1")


async def ignore_progress(progress: float, total: float | None, message: str | None) -> None: ...


async def test_without_headers_or_meta_nothing_names_the_session(
    base: str, mode: str, runtime: FakeRuntime
) -> None:
    async with connected(base, mode) as client:
        await client.call_tool("text")
    assert runtime.calls[0].identity.session == ""


@pytest.mark.parametrize("name", TOOL_ERRORS)
async def test_an_error_of_a_tool_is_a_result_that_the_model_can_read(base: str, mode: str, name: str) -> None:
    error = ERRORS[name]
    async with connected(base, mode) as client:
        result = await client.call_tool(name)
        assert (await client.call_tool("text")).is_error is False
    assert result.is_error is True
    assert result.content == [TextContent(text=error.message)]
    assert result.meta is not None
    assert (result.meta["paste/code"], result.meta["paste/param"]) == (error.code, error.param)


async def test_an_unknown_tool_is_an_error_of_the_protocol(base: str, mode: str) -> None:
    async with connected(base, mode) as client:
        with pytest.raises(MCPError) as raised:
            await client.call_tool("nothing")
        assert (await client.call_tool("text")).is_error is False
    assert raised.value.error.code == INVALID_PARAMS
    assert "nothing" in raised.value.error.message
    assert raised.value.error.data == {"paste/code": "unknown_tool", "paste/param": "nothing"}


async def test_a_defect_is_told_without_its_details(
    base: str, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(base, mode) as client:
        with pytest.raises(MCPError) as raised:
            await client.call_tool("defect")
        assert (await client.call_tool("text")).is_error is False
    assert raised.value.error.code == INTERNAL_ERROR
    assert "secret" not in raised.value.error.message
    assert "secret detail" in caplog.text


async def test_a_client_that_gives_up_cancels_its_call(base: str, mode: str, runtime: FakeRuntime) -> None:
    async with connected(base, mode) as client:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(client.call_tool, "hang")
                await runtime.until(lambda: runtime.waiting == 1)
                scope.cancel()
        await runtime.until(lambda: runtime.cancelled == 1)
        assert (await client.call_tool("text")).is_error is False


async def test_twenty_calls_at_once_each_get_their_own_answer(
    base: str, mode: str, runtime: FakeRuntime
) -> None:
    async with connected(base, mode) as client, anyio.create_task_group() as group:
        group.start_soon(client.call_tool, "hang")
        await runtime.until(lambda: runtime.waiting == 1)
        results = await asyncio.gather(
            *(client.call_tool("echo", {"words": str(number)}) for number in range(20))
        )
        group.cancel_scope.cancel()
    assert [result.structured_content for result in results] == [{"words": str(n)} for n in range(20)]


async def test_a_large_result_arrives_whole(base: str, mode: str) -> None:
    words = "x" * 3_000_000
    async with connected(base, mode) as client:
        result = await client.call_tool("echo", {"words": words})
    (content,) = result.content
    assert isinstance(content, TextContent)
    assert len(content.text) > len(words)
    assert result.structured_content is None


@pytest.mark.parametrize("size", [1_000, 60_000])
async def test_arguments_that_are_too_large_are_a_result_that_the_model_can_read(
    runtime: FakeRuntime, mode: str, size: int
) -> None:
    limits = LimitsConfig(arguments_bytes=1_000)
    async with gateway(runtime, limits=limits) as base, connected(base, mode) as client:
        result = await client.call_tool("echo", {"words": "x" * size})
        assert (await client.call_tool("echo", {"words": "x" * 900})).is_error is False
    (content,) = result.content
    assert isinstance(content, TextContent)
    assert result.is_error
    assert content.text == (
        "the arguments are larger than 1000 bytes: send less, or raise limits.arguments_bytes"
    )
    assert [len(call.arguments) < 1_000 for call in runtime.calls] == [True]


async def test_a_request_that_is_too_large_to_be_read_is_an_error(runtime: FakeRuntime, mode: str) -> None:
    limits = LimitsConfig(arguments_bytes=1_000)
    async with gateway(runtime, limits=limits) as base, connected(base, mode) as client:
        with pytest.raises(MCPError) as caught:
            await client.call_tool("echo", {"words": "x" * 5_000_000})
        assert (await client.call_tool("text")).is_error is False
    assert "limits.arguments_bytes" in str(caught.value)


async def test_a_client_without_sessions_survives_a_restart(runtime: FakeRuntime) -> None:
    restarted = FakeRuntime()
    async with AsyncExitStack() as first:
        base = await first.enter_async_context(gateway(runtime))
        async with connected(base, "auto") as client:
            await client.call_tool("text")
            await first.aclose()
            async with gateway(restarted, port=port_of(base)):
                assert (await client.call_tool("text")).is_error is False
    assert len(restarted.calls) == 1


async def test_an_older_client_opens_a_new_session_after_a_restart(runtime: FakeRuntime) -> None:
    restarted = FakeRuntime()
    async with AsyncExitStack() as first:
        base = await first.enter_async_context(gateway(runtime))
        async with connected(base, "legacy") as client:
            await client.call_tool("text")
            await first.aclose()
            async with gateway(restarted, port=port_of(base)):
                with pytest.raises(MCPError, match="Session not found"):
                    await client.call_tool("text")
                async with connected(base, "legacy") as again:
                    assert (await again.call_tool("text")).is_error is False
    assert len(restarted.calls) == 1


def port_of(base: str) -> int:
    return int(base.rpartition(":")[2])


@pytest.mark.skipif(not PROC.exists(), reason="open descriptors are counted in /proc, which is Linux's")
async def test_nothing_is_left_of_clients_that_are_gone(base: str, mode: str) -> None:
    async def visit() -> None:
        async with connected(base, mode) as client:
            await client.call_tool("text")

    await visit()
    tasks, descriptors = await settled()
    for _ in range(3):
        await visit()

    def are_as_few() -> bool:
        gc.collect()
        return len(asyncio.all_tasks()) <= tasks and descriptors_open() <= descriptors

    await until(are_as_few)


def descriptors_open() -> int:
    return len(list(PROC.iterdir()))


async def settled() -> tuple[int, int]:
    """Tasks and open descriptors, once closed sockets have been noticed on both sides."""
    count = (0, 0)
    for _ in range(100):
        gc.collect()
        await asyncio.sleep(0.005)
        before, count = count, (len(asyncio.all_tasks()), descriptors_open())
        if before == count:
            break
    return count
