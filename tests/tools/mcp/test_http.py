"""A server at a URL: here, the gateway of another proxy."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from paste_proxy.config_mcp import McpServerConfig
from paste_proxy.errors import ToolError
from paste_proxy.tools.mcp.process import ServerFailedError
from tests.gateway.fakes import FakeRuntime, gateway
from tests.gateway.servers import serving
from tests.tools.mcp.support import shop


async def test_calls_cancellations_and_errors_pass() -> None:
    runtime = FakeRuntime()
    async with gateway(runtime) as base, shop(McpServerConfig(url=f"{base}/mcp")) as opened:
        assert {"echo", "text", "hang", "value"} == opened.specs.keys()
        assert await opened.text("text") == "grüße"
        assert (await opened.call("echo", words="a")).body == b'{"words":"a"}'
        hanging = asyncio.ensure_future(opened.call("hang"))  # noqa: TID251
        await runtime.until(lambda: runtime.waiting == 1)
        hanging.cancel()
        await runtime.until(lambda: runtime.cancelled == 1)


async def test_a_server_that_comes_back_has_forgotten_the_session() -> None:
    """The call that learns of it has not been run, and is made again."""
    runtime = FakeRuntime()
    async with gateway(runtime) as base:
        port = int(base.rpartition(":")[2])
        config = McpServerConfig(url=f"{base}/mcp")
        opening = shop(config)
        opened = await opening.__aenter__()
    try:
        async with gateway(runtime, port=port):
            assert await opened.text("text") == "grüße"
    finally:
        await opening.__aexit__(None, None, None)


async def test_a_server_that_can_not_be_reached_says_so() -> None:
    async with serving(web.Application()) as base:
        pass
    async with shop(McpServerConfig(url=f"{base}/mcp")) as opened:
        with pytest.raises(Exception, match="can't be reached: All connection attempts failed"):
            await opened.upstream.authoritative.session()


@pytest.mark.parametrize("status", [0, 401, 404, 500])
async def test_a_key_in_the_address_is_told_to_nobody(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """Some servers want it there; models read what errors say, and people the log."""
    caplog.set_level(logging.INFO)
    app = web.Application()

    async def refuse(_request: web.Request) -> web.Response:
        return web.Response(status=status)

    app.router.add_route("*", "/mcp", refuse)
    async with serving(app) as base:
        if status:
            text = await why_not(f"{base}/mcp?key=hush")
    if not status:
        text = await why_not(f"{base}/mcp?key=hush")
    assert "127.0.0.1" in text or status
    assert "hush" not in text + caplog.text


async def why_not(url: str) -> str:
    async with shop(McpServerConfig(url=url)) as opened:
        with pytest.raises(ServerFailedError) as caught:
            await opened.upstream.authoritative.session()
    return str(caught.value)


@asynccontextmanager
async def odd_server(body: bytes, content_type: str) -> AsyncIterator[str]:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type)

    app = web.Application()
    app.router.add_route("*", "/mcp", answer)
    async with serving(app) as base:
        yield f"{base}/mcp"


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"{", "application/json", "Failed to parse JSON response"),
        (b"<html>", "text/html", "Unexpected content type"),
        (b"data: {\n\n", "text/event-stream", "Failed to parse SSE message"),
        (b" " * 25 * 2**20, "application/json", "larger than 25165824 bytes"),
    ],
)
async def test_what_is_no_answer_is_a_clear_error(body: bytes, content_type: str, reason: str) -> None:
    async with odd_server(body, content_type) as url, shop(McpServerConfig(url=url)) as opened:
        with pytest.raises(Exception, match=reason):
            await opened.upstream.authoritative.session()
        with pytest.raises(ToolError):
            await opened.call("echo")
