"""A session that is kept open: it is opened again whenever it is lost, ever more slowly.

A call that finds it lost waits for the attempt that is under way or next. Once an attempt has failed, calls are
told so at once, until one succeeds.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from mcp import MCPError

from paste_proxy.tools.mcp.process import ServerFailedError
from paste_proxy.tools.mcp.session import CLOSED, McpSession

log = logging.getLogger(__name__)

SHOWN = 300
"""Characters of a reason in the log: what is no MCP may be a page."""

FIRST_DELAY_S = 0.2
"""As long as a small server takes to start: less would be a busy loop."""
LONGEST_DELAY_S = 30.0
"""A server that comes back is found within half a minute."""
STEADY_S = 10.0
"""A session that lasted so long was no failed start: the next attempt comes soon again."""


def delay_after(failures: int) -> float:
    """Seconds before the next attempt, after so many sessions in a row that were short or none."""
    return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(failures - 1, 16))


class Connection:
    """`connect` opens a new session, and greets the server; `listed` is called with it before calls may use it,
    and whenever its list of tools has changed."""

    def __init__(
        self,
        label: str,
        new_session: Callable[[], McpSession],
        connect: Callable[[McpSession], AbstractAsyncContextManager[None]],
        listed: Callable[[McpSession], Awaitable[None]],
        start_timeout_s: float,
    ) -> None:
        self.generation = 0
        """Of sessions so far: what one of them gave, the next may not."""
        self._label = label
        self._new_session = new_session
        self._connect = connect
        self._listed = listed
        self._start_timeout_s = start_timeout_s
        self._session: McpSession | None = None
        self._failed = ""
        """Why the last attempt failed; empty where it did not."""
        self._next: asyncio.Future[McpSession] | None = None

    def now(self) -> McpSession:
        """Raises `ServerFailedError` where there is no session at this moment."""
        if self._session is None or self._session.lost:
            raise ServerFailedError(self._failed or "it is being started")
        return self._session

    async def session(self) -> McpSession:
        """Raises `ServerFailedError`, at once while the server can't be reached."""
        if self._session is not None and not self._session.lost:
            return self._session
        if self._failed:
            raise ServerFailedError(self._failed)
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._next)

    async def tried(self) -> None:
        """Until the first attempt has succeeded or failed."""
        with contextlib.suppress(ServerFailedError):
            await self.session()

    async def keep(self) -> None:
        """Until cancelled."""
        clock = asyncio.get_running_loop().time
        failures = 0
        while True:
            began = clock()
            why = await self._once()
            failures = 1 if clock() - began >= STEADY_S else failures + 1
            delay = delay_after(failures)
            shown = why if len(why) <= SHOWN else f"{why[:SHOWN]}..."
            log.warning("MCP server %s: %s; started again in %.1f s", self._label, shown, delay)
            await asyncio.sleep(delay)

    async def _once(self) -> str:
        """One session from its start to its end; why it ended."""
        session = self._new_session()
        was_up = False
        try:
            async with self._connect(session):
                async with asyncio.timeout(self._start_timeout_s):
                    await self._listed(session)
                self._up(session)
                was_up = True
                async for _ in session.list_changes():
                    await self._list_again(session)
                self._session = None
            why = session.why or CLOSED
        except Exception as error:
            if _being_cancelled():
                raise asyncio.CancelledError from error  # a transport failed while it was taken down
            why = session.why or self._reason(error)
        finally:
            self._session = None
        if not was_up:
            self._down(why)
        return why

    def _reason(self, error: BaseException) -> str:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, TimeoutError):
            return f"it gave no list of tools within {self._start_timeout_s:g} s"
        return " ".join(str(error).split()) or type(error).__name__

    async def _list_again(self, session: McpSession) -> None:
        try:
            async with asyncio.timeout(self._start_timeout_s):
                await self._listed(session)
        except (MCPError, TimeoutError) as error:
            log.warning("MCP server %s: its new list of tools can't be had: %s", self._label, error)

    def _up(self, session: McpSession) -> None:
        self.generation += 1
        self._session, self._failed = session, ""
        if self._next is not None:
            self._next.set_result(session)
            self._next = None

    def _down(self, why: str) -> None:
        self._failed = why
        if self._next is not None:
            self._next.set_exception(ServerFailedError(why))
            self._next.exception()  # whoever waits is told; perhaps nobody does
            self._next = None


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
