"""The executor of wrapped tools: leases runs ahead to clients, and follows the runs that they make themselves.

An authoritative run is the client's own: it was told to make it, and nothing here can stop it. If its client is
lost while it writes, it goes on unseen, and counts as going on for as long as a run of its tool may take.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from paste_proxy.client.protocol import Ended, RunAhead
from paste_proxy.errors import ToolError
from paste_proxy.events import DropResult
from paste_proxy.tools.ports import Output, Run, RunClass
from paste_proxy.tools.table import ToolTable


class Client(Protocol):
    """A client as the executor speaks to it. Nothing here raises."""

    def lease(self, run: RunAhead) -> None: ...

    def cancel(self, run: str) -> None: ...


@dataclass(eq=False, slots=True)
class _Lease:
    run: Run
    begun: Callable[[], None]
    ended: asyncio.Future[Output]
    lingers_s: float
    """How long it may go on where nobody can say any more whether it does."""


class LeaseExecutor:
    """Implements `tools.ports.Executor`. `tools` says what a run may write."""

    def __init__(self, tools: ToolTable) -> None:
        self._tools = tools
        self._clients: dict[str, Client] = {}
        self._leases: dict[str, _Lease] = {}
        self._closed = False

    # -- for the connections ------------------------------------------------------------------------------

    def came(self, name: str, client: Client) -> None:
        self._clients[name] = client

    def gone(self, name: str) -> None:
        self._clients.pop(name, None)
        for lease in [one for one in self._leases.values() if one.run.client == name]:
            error = ToolError(f"{lease.run.tool}: the connection to its client is lost", param=lease.run.tool)
            if lease.lingers_s:
                asyncio.get_running_loop().call_later(lease.lingers_s, _fail, lease.ended, error)
            else:
                _fail(lease.ended, error)

    def began(self, name: str, run: str) -> None:
        lease = self._leases.get(run)
        if lease is not None and lease.run.client == name:
            lease.begun()

    def ended(self, name: str, ended: Ended) -> None:
        lease = self._leases.get(ended.run)
        if lease is None or lease.run.client != name or lease.ended.done():
            return
        if ended.error is not None:
            _fail(lease.ended, ToolError(f"{lease.run.tool}: {ended.error}", param=lease.run.tool))
        else:
            body = (ended.output or "").encode("utf-8", "replace")
            kept, digest = ended.size, ended.digest
            output = Output(body, is_text=True, max_age=ended.max_age, kept=kept, digest=digest)
            lease.ended.set_result(output)

    def drop(self, dropped: DropResult) -> None:
        if (client := self._clients.get(dropped.client)) is not None:
            client.cancel(dropped.run)

    # -- for the runtime ----------------------------------------------------------------------------------

    async def run(self, run: Run, begun: Callable[[], None]) -> Output:
        client = self._clients.get(run.client)
        if client is None or self._closed:
            raise ToolError(f"{run.tool}: the client that was to run it is gone", param=run.tool)
        lease = self._leases[run.run] = _Lease(
            run, begun, asyncio.get_running_loop().create_future(), self._lingers_s(run)
        )
        try:
            if run.run_class is RunClass.AUTHORITATIVE:
                begun()
                return await self._followed(lease)
            return await self._leased(lease, client)
        finally:
            del self._leases[run.run]

    async def _leased(self, lease: _Lease, client: Client) -> Output:
        run = lease.run
        client.lease(
            RunAhead(
                run.run,
                run.tool,
                msgspec.Raw(msgspec.json.encode(run.arguments)),
                run.context.session,
                decided=run.run_class is RunClass.DECIDED,
            )
        )
        try:
            return await lease.ended
        except asyncio.CancelledError:
            client.cancel(run.run)
            raise

    async def _followed(self, lease: _Lease) -> Output:
        """Cancelled, it waits until the run has really ended: what it writes is open until then."""
        try:
            return await asyncio.shield(lease.ended)
        except asyncio.CancelledError:
            if lease.lingers_s:
                await asyncio.wait({lease.ended}, timeout=lease.lingers_s)
            raise
        finally:
            lease.ended.cancel()

    def _lingers_s(self, run: Run) -> float:
        spec = self._tools.get(run.tool)
        return spec.timeout if spec is not None and spec.writes else 0.0

    def fingerprint(self, tool: str, arguments: dict[str, Any]) -> bytes | None:
        """Where a tool has one, its client compares."""
        del tool, arguments
        return None

    def promote(self, run: str) -> None:
        """Its client was told by the answer to its call."""

    async def warm_up(self) -> None:
        """Nothing of wrapped tools is ours to warm up."""

    async def close(self) -> None:
        self._closed = True
        for lease in list(self._leases.values()):
            _fail(lease.ended, ToolError("the proxy is shutting down"))


def _fail(ended: asyncio.Future[Output], error: ToolError) -> None:
    if not ended.done():
        ended.set_exception(error)
