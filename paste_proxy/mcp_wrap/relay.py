"""What passes between an agent and its MCP server: everything, as it is, line by line.

Calls of tools that may run ahead wait for a moment until the proxy has said what is there already; all else is
passed on as it comes. So is what can't be read: the other side says what is wrong with it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

from paste_proxy.client.calling import Calling, session
from paste_proxy.gateway.calls import identity_of, tool_call_id
from paste_proxy.tasks import TaskSet

log = logging.getLogger(__name__)

Say = Callable[[bytes], Awaitable[None]]
"""Sends one line, with its end."""

NOTHING = msgspec.Raw(b"")


class Tools(Protocol):
    """The tools of the server, as far as they are known."""

    def greeted(self, greeting: dict[str, Any]) -> None:
        """The agent has opened its session, with these parameters of `initialize`."""
        ...

    def listed(self, tools: list[dict[str, Any]]) -> None:
        """The whole list, as the agent has got it."""
        ...

    def calling(self, tool: str) -> Calling | None:
        """None for a tool of which the proxy knows nothing."""
        ...


class _Message(msgspec.Struct):
    """Of JSON-RPC, ids as they are written: 1 and "1" are two."""

    id: msgspec.Raw = NOTHING
    method: str = ""
    params: msgspec.Raw = NOTHING
    result: msgspec.Raw = NOTHING


class _CallParams(msgspec.Struct):
    name: str = ""
    arguments: msgspec.Raw = msgspec.Raw(b"{}")
    meta: dict[str, Any] | None = msgspec.field(name="_meta", default=None)


class _ListParams(msgspec.Struct):
    cursor: str | None = None


class _Page(msgspec.Struct):
    tools: list[dict[str, Any]] = []
    next_cursor: str | None = msgspec.field(name="nextCursor", default=None)


class _Cancelled(msgspec.Struct):
    request_id: msgspec.Raw = msgspec.field(name="requestId", default=NOTHING)


class _Outcome(msgspec.Struct):
    is_error: bool = msgspec.field(name="isError", default=False)


class _NoResultError(Exception):
    """The server answered a call with an error, which the agent has got."""


class Relay:
    def __init__(self, to_agent: Say, to_server: Say, tools: Tools) -> None:
        self._to_agent = to_agent
        self._to_server = to_server
        self._tools = tools
        self._tasks = TaskSet()
        self._greeting: dict[str, Any] = {}
        self._pages: list[dict[str, Any]] = []
        self._lists: dict[bytes, bool] = {}
        """Requests of the tools' list without an answer; is it of the first page?"""
        self._calls: dict[bytes, asyncio.Task[None]] = {}
        self._sent: dict[bytes, asyncio.Future[bool]] = {}
        """Calls that the server has got; the future says whether it answered with a result."""

    async def from_agent(self, line: bytes) -> None:
        message = _decoded(line, _Message)
        match message.method if message is not None else "":
            case "tools/call" if message is not None and await self._begin(message, line):
                return
            case "notifications/cancelled" if message is not None and self._cancel(message):
                return
            case "tools/list" if message is not None:
                params = _decoded(message.params, _ListParams)
                self._lists[bytes(message.id)] = params is None or params.cursor is None
            case "initialize" if message is not None:
                self._greeting = _decoded(message.params, dict[str, Any]) or {}
        await self._to_server(line)
        if message is not None and message.method == "notifications/initialized" and self._greeting:
            self._tools.greeted(self._greeting)

    async def from_server(self, line: bytes) -> None:
        await self._to_agent(line)
        message = _decoded(line, _Message)
        if message is None or message.method:
            return
        number = bytes(message.id)
        if (sent := self._sent.get(number)) is not None and not sent.done():
            outcome = _decoded(message.result, _Outcome)
            sent.set_result(outcome is not None and not outcome.is_error)
        elif (is_first := self._lists.pop(number, None)) is not None:
            try:
                self._listed(message.result, is_first)
            except Exception:  # boundary: a defect of ours must not cost the agent its server
                log.exception("the list of tools could not be taken in: they run as if unwrapped")

    async def close(self) -> None:
        await self._tasks.close()

    def _listed(self, result: msgspec.Raw, is_first: bool) -> None:
        page = _decoded(result, _Page)
        if page is None:
            return
        self._pages = page.tools if is_first else [*self._pages, *page.tools]
        if not page.next_cursor:
            self._tools.listed(self._pages)

    # -- calls --------------------------------------------------------------------------------------------

    async def _begin(self, message: _Message, line: bytes) -> bool:
        """False where the call is nobody's but the server's, or its id is one that is in use."""
        params = _decoded(message.params, _CallParams)
        calling = self._tools.calling(params.name) if params is not None else None
        number = bytes(message.id)
        if params is None or calling is None or not number or number in self._calls:
            return False
        task = self._tasks.spawn(self._call(number, line, params, calling), name=f"call of {params.name}")
        self._calls[number] = task
        task.add_done_callback(lambda _task: self._calls.pop(number, None))
        await asyncio.sleep(0)  # a call that waits for nothing is passed on before what comes after it
        return True

    async def _call(self, number: bytes, line: bytes, params: _CallParams, calling: Calling) -> None:
        was_sent = False

        async def alone() -> Any:
            """Gives nothing: the agent has its answer, or will never have one."""
            nonlocal was_sent
            was_sent = True
            sent = self._sent[number] = asyncio.get_running_loop().create_future()
            try:
                await self._to_server(line)
                if not await sent:
                    raise _NoResultError
            finally:
                del self._sent[number]

        meta = params.meta or {}
        try:
            with session(identity_of({}, meta, "").session):  # the proxy says whose it is
                arguments = bytes(params.arguments)
                kept = await calling.wait(arguments, alone, tool_call_id=tool_call_id({}, meta))
        except _NoResultError:
            return
        except Exception:  # boundary: as above
            log.exception("call of %s: passed on without the proxy", params.name)
            if not was_sent:
                await self._to_server(line)
            return
        if kept is not None:
            result = msgspec.json.encode(kept)
            await self._to_agent(b'{"jsonrpc":"2.0","id":%b,"result":%b}\n' % (number, result))

    def _cancel(self, message: _Message) -> bool:
        """True where the server has not got the call, and so has nothing to cancel."""
        params = _decoded(message.params, _Cancelled)
        number = bytes(params.request_id) if params is not None else b""
        task = self._calls.get(number)
        if task is None:
            return False
        was_sent = number in self._sent
        task.cancel()
        return not was_sent


def _decoded(text: bytes | msgspec.Raw, kind: Any) -> Any:
    """None where it is something else."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
