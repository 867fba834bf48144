"""One open session with an MCP server, over the SDK's client.

The handshake is that of 2025-11-25 and older, in which all servers answer. Results are kept as the server gave
them: the SDK's models would drop what they don't know.
"""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, TypeAlias

import anyio
from anyio.abc import TaskStatus
from mcp import ClientSession, MCPError
from mcp.client.session import IncomingMessage
from mcp.shared.dispatcher import (
    CallOptions,
    DispatchContext,
    OnNotify,
    OnNotifyIntercept,
    OnRequest,
    ProgressFnT,
)
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.transport_context import TransportContext
from mcp_types import (
    METHOD_NOT_FOUND,
    CallToolResult,
    Implementation,
    Tool,
    ToolListChangedNotification,
)
from pydantic import ValidationError

from paste_proxy.tools.mcp.process import ServerFailedError
from paste_proxy.tools.mcp.transports import Streams

log = logging.getLogger(__name__)

PAGES = 100
FIRST_CALL = 1000
"""Ids of calls are ours, and above those that the SDK gives its own requests."""
TOOLS = 10_000
"""A list that has no end is cut: no model reads a hundredth of it."""

CLOSED = "the connection was closed"
FORGOTTEN = "the server has ended the session"

Told: TypeAlias = Callable[[float, float | None, str | None], None]
"""Called with the progress, its total and a message."""


class SessionEndedError(Exception):
    """The server has forgotten the session: the call was not run, and can be made again in a new one."""


class CallFailedError(Exception):
    """The server answered a call with an error of the protocol, or with what is no answer; says which."""


class AskedBackError(Exception):
    """The run was ended, because the server asked its client for something meanwhile; says for what."""


class McpSession:
    """Made by `opened`. Calls may be made from any task."""

    def __init__(self, on_asked: Callable[["McpSession", str], None]) -> None:
        self.why = ""
        """Why it was lost; empty where nobody can say."""
        self._on_asked = on_asked
        self._moved = asyncio.Event()
        self.lost = False
        self._list_changed = False
        self._not_run: set[int | str] = set()
        self._numbers = itertools.count(FIRST_CALL)
        self._calls: dict[int, tuple[str, anyio.CancelScope]] = {}
        self._dispatcher: _Watched

    def end(self, why: str) -> None:
        """It is of no more use. The first reason counts."""
        self.why = self.why or why
        self.lost = True
        self._moved.set()

    def not_run(self, request: int | str) -> None:
        """The server has forgotten the session. A call learns it by its own answer, all else by the end."""
        if request in self._calls:
            self._not_run.add(request)
        else:
            self.end(FORGOTTEN)

    async def list_changes(self) -> AsyncIterator[None]:
        """Yields whenever the list of tools has changed; ends when the session is lost."""
        while not self.lost:
            await self._moved.wait()
            self._moved.clear()
            if self._list_changed and not self.lost:
                self._list_changed = False
                yield

    @property
    def in_flight(self) -> frozenset[str]:
        """Tools whose calls have no answer yet."""
        return frozenset(tool for tool, _ in self._calls.values())

    def abort_calls(self) -> None:
        """They end with `AskedBackError`; the server is told that they are cancelled."""
        for _, scope in self._calls.values():
            scope.cancel()

    # -- requests -----------------------------------------------------------------------------------------

    async def tools(self) -> list[dict[str, Any]]:
        """All pages of its list. Raises `MCPError`. What is no tool is left out, with a line in the log."""
        tools: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(PAGES):
            page = await self._dispatcher.send_raw_request("tools/list", {"cursor": cursor} if cursor else None)
            tools += [tool for tool in page.get("tools", ()) if is_tool(tool)]
            cursor = page.get("nextCursor")
            if not isinstance(cursor, str) or not cursor or len(tools) > TOOLS:
                return tools[:TOOLS]
        log.warning("an MCP server's list of tools has more than %d pages: the rest is left out", PAGES)
        return tools

    async def call(self, tool: str, arguments: Mapping[str, Any], told: Told) -> dict[str, Any]:
        """A valid `CallToolResult`, as the server gave it. Cancelled, it tells the server so.

        Raises `ServerFailedError`, `SessionEndedError`, `CallFailedError`, `AskedBackError`.
        """

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            told(progress, total, message)

        params = {"name": tool, "arguments": dict(arguments)}
        number = next(self._numbers)
        with anyio.CancelScope() as scope:
            self._calls[number] = tool, scope
            try:
                return _checked(await self._ask(number, params, on_progress))
            finally:
                del self._calls[number]
        raise AskedBackError

    async def _ask(self, number: int, params: dict[str, Any], on_progress: ProgressFnT) -> dict[str, Any]:
        try:
            return await self._dispatcher.send_raw_request(
                "tools/call", params, {"request_id": number, "on_progress": on_progress}
            )
        except MCPError as error:
            if number in self._not_run:
                self.end(FORGOTTEN)
                raise SessionEndedError from error
            if self.lost:
                raise ServerFailedError(self.why or CLOSED) from error
            raise CallFailedError(f"{error.message} ({error.code})") from error

    # -- the server's side --------------------------------------------------------------------------------

    async def heard(self, message: IncomingMessage) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._list_changed = True
            self._moved.set()

    def asked(self, method: str) -> None:
        self._on_asked(self, method)

    @asynccontextmanager
    async def opened(self, streams: Streams, timeout_s: float) -> AsyncIterator[None]:
        """Greets the server. Raises `MCPError`, `TimeoutError`, or `RuntimeError` for a protocol unknown."""
        self._dispatcher = _Watched(*streams, self)
        client = ClientSession(
            dispatcher=self._dispatcher,
            client_info=Implementation(name="paste-proxy", version=version("paste-proxy")),
            message_handler=self.heard,
        )
        async with client:
            try:
                async with asyncio.timeout(timeout_s):
                    await client.initialize()
                yield
            finally:
                self.end("")

    @asynccontextmanager
    async def opened_as(
        self, streams: Streams, greeting: Mapping[str, Any], timeout_s: float
    ) -> AsyncIterator[None]:
        """The same with another client's greeting: the server then sees the same capabilities."""
        self._dispatcher = _Watched(*streams, self)
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._dispatcher.run, _refuse, _ignore)
            try:
                async with asyncio.timeout(timeout_s):
                    welcome = await self._dispatcher.send_raw_request("initialize", greeting)
                    headers = {MCP_PROTOCOL_VERSION_HEADER: str(welcome.get("protocolVersion", ""))}
                    await self._dispatcher.notify("notifications/initialized", None, {"headers": headers})
                yield
            finally:
                self.end("")
                tasks.cancel_scope.cancel()


async def _refuse(
    _context: DispatchContext[TransportContext], method: str, _params: Mapping[str, Any] | None
) -> dict[str, Any]:
    if method == "ping":
        return {}
    raise MCPError(METHOD_NOT_FOUND, method)


async def _ignore(
    _context: DispatchContext[TransportContext], method: str, _params: Mapping[str, Any] | None
) -> None:
    log.debug("passed over: %s", method)


class _Watched:
    """The SDK's dispatcher, which also says what the server asks of its client, and that it is at its end."""

    def __init__(self, heard: Any, to_say: Any, session: McpSession) -> None:
        self._inner: JSONRPCDispatcher[TransportContext] = JSONRPCDispatcher[TransportContext](heard, to_say)
        self._session = session

    async def send_raw_request(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None
    ) -> dict[str, Any]:
        return await self._inner.send_raw_request(method, params, opts)

    async def notify(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None
    ) -> None:
        await self._inner.notify(method, params, opts)

    async def run(
        self,
        on_request: OnRequest,
        on_notify: OnNotify,
        on_notify_intercept: OnNotifyIntercept | None = None,
        *,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        async def answer(
            context: DispatchContext[TransportContext], method: str, params: Mapping[str, Any] | None
        ) -> dict[str, Any]:
            if method == "ping":
                return await on_request(context, method, params)
            self._session.asked(method)
            raise MCPError(
                METHOD_NOT_FOUND, f"{method}: this client is a proxy, without a model, user or roots"
            )

        try:
            await self._inner.run(answer, on_notify, on_notify_intercept, task_status=task_status)
        finally:
            self._session.end("")


def is_tool(tool: object) -> bool:
    """If not, the log says why."""
    try:
        Tool.model_validate(tool, by_name=False)
    except ValidationError as error:
        reason = error.errors(include_url=False, include_input=False)[0]
        log.warning("an MCP server lists what is no tool (%s: %s): left out", reason["loc"], reason["msg"])
        return False
    return True


def _checked(result: dict[str, Any]) -> dict[str, Any]:
    try:
        CallToolResult.model_validate(result, by_name=False)
    except ValidationError as error:
        reason = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in reason["loc"])
        raise CallFailedError(f"its answer is no result of a tool: {where}: {reason['msg']}") from error
    return result
