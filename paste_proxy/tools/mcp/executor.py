"""Runs the tools of one MCP server (port: `ports.Executor`)."""

from collections.abc import Callable
from typing import Any

from paste_proxy.errors import ToolError
from paste_proxy.tools.mcp.process import ServerFailedError
from paste_proxy.tools.mcp.results import output_of
from paste_proxy.tools.mcp.session import AskedBackError, CallFailedError, McpSession, SessionEndedError
from paste_proxy.tools.mcp.upstream import Upstream
from paste_proxy.tools.ports import Output, Progress, Run, RunClass
from paste_proxy.tools.spec import RESULT_LIMIT


class McpExecutor:
    """Authoritative runs wait for a server that is just being started; runs ahead never do.

    `progressed`: called with a run's id whenever its server says how far it is.
    """

    def __init__(self, upstream: Upstream, progressed: Callable[[str, Progress], None]) -> None:
        self.upstream = upstream
        self._progressed = progressed

    async def run(self, run: Run, begun: Callable[[], None]) -> Output:
        wire = self.upstream.offer.wire_names.get(run.tool)
        if wire is None:
            raise self._error(run, "its server does not offer it any more")
        try:
            result = await self._result(run, wire, begun)
        except ServerFailedError as error:
            raise self._error(run, f"MCP server {self.upstream.name} is not there: {error}") from error
        except SessionEndedError as error:
            raise self._error(run, f"MCP server {self.upstream.name} ends each session at once") from error
        except CallFailedError as error:
            raise self._error(
                run, f"MCP server {self.upstream.name} answered with an error: {error}"
            ) from error
        except AskedBackError as error:
            raise self._error(run, "its server asked for something that nobody can give ahead") from error
        return output_of(run.tool, result, RESULT_LIMIT)

    async def _result(self, run: Run, wire: str, begun: Callable[[], None]) -> dict[str, Any]:
        if run.run_class is not RunClass.AUTHORITATIVE:
            if self.upstream.ahead is None:
                raise self._error(run, "nothing of its server runs ahead")
            return await self._call(self.upstream.ahead.now(), run, wire, begun)
        try:
            return await self._call(await self.upstream.authoritative.session(), run, wire, begun)
        except SessionEndedError:  # so it was not run
            return await self._call(await self.upstream.authoritative.session(), run, wire, begun)

    async def _call(
        self, session: McpSession, run: Run, wire: str, begun: Callable[[], None]
    ) -> dict[str, Any]:
        def progressed(done: float, total: float | None, message: str | None) -> None:
            self._progressed(run.run, Progress(done, total, message))

        begun()
        try:
            return await session.call(wire, run.arguments, progressed)
        except ServerFailedError as error:
            reason = f"MCP server {self.upstream.name} went away during the call, which may have run or not"
            raise self._error(run, f"{reason}: {error}") from error

    def fingerprint(self, tool: str, arguments: dict[str, Any]) -> bytes | None:
        """Of the server's life: one that was started anew has forgotten what it held."""
        ahead = self.upstream.ahead
        return None if ahead is None else b"%d.%d" % (self.upstream.authoritative.generation, ahead.generation)

    def promote(self, run: str) -> None:
        """A server knows no priorities."""

    async def warm_up(self) -> None:
        self.upstream.start()

    async def close(self) -> None:
        await self.upstream.close()

    def _error(self, run: Run, reason: str) -> ToolError:
        return ToolError(f"{run.tool}: {reason}", param=run.tool)
