"""The tools of a wrapped server: offered to the proxy, and run ahead in a session of their own."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec

from paste_proxy.client.bound import Bound
from paste_proxy.client.calling import Calling
from paste_proxy.client.link import Link
from paste_proxy.client.protocol import offered
from paste_proxy.config_mcp import McpServerConfig
from paste_proxy.errors import ToolError
from paste_proxy.tasks import TaskSet
from paste_proxy.tools.mcp.connection import Connection
from paste_proxy.tools.mcp.offer import offer_of
from paste_proxy.tools.mcp.session import McpSession, is_tool
from paste_proxy.tools.mcp.transports import Fate, Streams
from paste_proxy.tools.spec import Effect, ToolSpec

log = logging.getLogger(__name__)

Connect = Callable[[Fate], AbstractAsyncContextManager[Streams]]


class WrappedTools:
    """Implements `relay.Tools`. `settings`: what the agent's owner says of the tools."""

    def __init__(self, link: Link, settings: McpServerConfig, connect: Connect) -> None:
        self._link = link
        self._settings = settings
        self._connect = connect
        self._greeting: dict[str, Any] = {}
        self._ahead: Connection | None = None
        self._tasks = TaskSet()
        self._listed: list[dict[str, Any]] = []
        self._bounds: dict[str, Bound] = {}
        self._callings: dict[str, Calling] = {}
        self._asked_back: set[str] = set()

    def greeted(self, greeting: dict[str, Any]) -> None:
        self._greeting = greeting
        if self._settings.read and not self._settings.stateful and self._ahead is None:
            label = "(for runs ahead)"
            timeout_s = self._settings.start_timeout_s
            self._ahead = Connection(label, lambda: McpSession(self._asked), self._opened, _nothing, timeout_s)
            self._tasks.spawn(self._ahead.keep(), name="MCP server for runs ahead")

    def listed(self, tools: list[dict[str, Any]]) -> None:
        self._listed = [tool for tool in tools if is_tool(tool)]
        self._offer()

    def calling(self, tool: str) -> Calling | None:
        return self._callings.get(tool)

    async def close(self) -> None:
        await self._tasks.close()
        self._link.close()

    def _offer(self) -> None:
        """A tool that is the same as before keeps what ran ahead with it."""
        offer = offer_of(
            "", self._settings, self._listed, is_taken=_never, kept={}, asked_back=self._asked_back
        )
        for remark in offer.remarks:
            log.warning("%s", remark)
        former, self._bounds = self._bounds, {}
        for spec in offer.specs:
            known = former.get(spec.name)
            if known is not None and known.spec == spec:
                self._bounds[spec.name] = known
            elif _can_be_offered(spec):
                self._bounds[spec.name] = self._bound(spec)
        for bound in self._bounds.values():
            bound.siblings = self._bounds
        self._callings = {name: Calling(self._link, bound) for name, bound in self._bounds.items()}
        self._link.offer(self._bounds.values())

    def _bound(self, spec: ToolSpec) -> Bound:
        async def run(arguments: dict[str, Any]) -> dict[str, Any]:
            return await self._run(spec.name, arguments)

        def look(_arguments: dict[str, Any]) -> object:
            """A server that was started anew has forgotten what it held."""
            return self._ahead.generation if self._ahead is not None else None

        ahead = spec.effect is Effect.READ
        return Bound(
            spec=spec,
            run=lambda arguments, _world: run(arguments),
            is_async=True,
            original=object(),
            mark=look if ahead else None,
        )

    # -- runs ahead ---------------------------------------------------------------------------------------

    async def _run(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if self._ahead is None:
            raise ToolError(f"{tool}: its server has no session for runs ahead", param=tool)
        result = await self._ahead.now().call(tool, arguments, _unobserved)
        if result.get("isError"):
            raise ToolError(f"{tool} failed", param=tool)
        return result

    @asynccontextmanager
    async def _opened(self, session: McpSession) -> AsyncIterator[None]:
        async with (
            self._connect(session) as streams,
            session.opened_as(streams, self._greeting, self._settings.start_timeout_s),
        ):
            yield

    def _asked(self, session: McpSession, method: str) -> None:
        """The agent could answer, but it has not called the tool."""
        tools = session.in_flight
        session.abort_calls()
        if tools:
            log.warning("%s was asked for while %s ran ahead: no more do", method, ", ".join(sorted(tools)))
            self._asked_back |= tools
            self._offer()


def _can_be_offered(spec: ToolSpec) -> bool:
    """What the proxy would refuse is passed by, and with it the whole offer would be."""
    try:
        offered(spec)
    except msgspec.ValidationError as error:
        log.warning("%s stays unknown to the proxy: %s", spec.name, error)
        return False
    return True


def _never(_name: str) -> bool:
    return False


def _unobserved(_done: float, _total: float | None, _message: str | None) -> None:
    """Nobody has called it yet."""


async def _nothing(_session: McpSession) -> None:
    """The agent asks for the list itself."""
