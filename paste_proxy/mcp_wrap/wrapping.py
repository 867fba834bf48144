"""Puts a relay between its two ends, until one of them is at its own."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from paste_proxy.client.link import Link
from paste_proxy.config_mcp import McpServerConfig
from paste_proxy.mcp_wrap.relay import Relay
from paste_proxy.mcp_wrap.tools import WrappedTools
from paste_proxy.mcp_wrap.wires import HttpWire, Wire, agent_wire, child_environment, child_wire
from paste_proxy.tasks import TaskSet
from paste_proxy.tools.mcp.process import ServerFailedError, start_process
from paste_proxy.tools.mcp.transports import Fate, Streams, http_streams, process_streams

log = logging.getLogger(__name__)


async def wrapped(proxy: str, settings: McpServerConfig, stop: asyncio.Event) -> int:
    """The server's exit status; 0 for one at a URL, 1 where there is none."""
    try:
        agent = await agent_wire()
    except ServerFailedError as error:
        log.error("%s", error)
        return 1
    tools = WrappedTools(Link(proxy), settings, _second(settings))
    try:
        if settings.url:
            return await _at_url(agent, settings, tools, stop)
        server = await child_wire((settings.command, *settings.args))
        try:
            await _relay(agent, server, tools, stop)
        finally:
            status = await server.stop()
        return status
    except ServerFailedError as error:
        log.error("%s", error)
        return 1
    finally:
        await tools.close()
        agent.close()


async def _at_url(agent: Wire, settings: McpServerConfig, tools: WrappedTools, stop: asyncio.Event) -> int:
    fate = _Fate()
    try:
        async with http_streams(settings.url, settings.headers, fate) as streams:
            await _relay(agent, HttpWire(streams), tools, stop)
    except Exception as error:  # noqa: BLE001 - boundary: the SDK's transport raises anything, in groups
        log.error("%s: %s", settings.url, fate.why or error)
        return 1
    return 0


class _Fate:
    def __init__(self) -> None:
        self.why = ""

    def end(self, why: str) -> None:
        self.why = self.why or why

    def not_run(self, request: int | str) -> None:
        """The agent is told by the answer."""


async def _relay(agent: Wire, server: Wire, tools: WrappedTools, stop: asyncio.Event) -> None:
    """Until either has ended, or `stop`."""
    relay = Relay(agent.say, server.say, tools)
    tasks = TaskSet()
    ends = [
        tasks.spawn(_pump(agent, relay.from_agent), name="from the agent"),
        tasks.spawn(_pump(server, relay.from_server), name="from the server"),
        tasks.spawn(stop.wait(), name="stop"),
    ]
    try:
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in done:
            end.result()
    finally:
        await tasks.close()
        await relay.close()


async def _pump(wire: Wire, take: Callable[[bytes], Awaitable[None]]) -> None:
    with contextlib.suppress(ConnectionError):  # it has gone, as its end would say
        async for line in wire.lines():
            await take(line)


def _second(settings: McpServerConfig) -> Callable[[Fate], contextlib.AbstractAsyncContextManager[Streams]]:
    @asynccontextmanager
    async def connect(fate: Fate) -> AsyncIterator[Streams]:
        if settings.url:
            streams = http_streams(settings.url, settings.headers, fate)
        else:
            process = await start_process("ahead", settings.command, settings.args, child_environment(), "")
            streams = process_streams(process, fate)
        async with streams as pair:
            yield pair

    return connect
