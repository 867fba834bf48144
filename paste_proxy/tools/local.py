"""Runs the tools of plugins: async ones on the event loop, sync ones in threads or worker processes."""

import asyncio
import functools
import inspect
import logging
import uuid
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from paste_proxy.config import NetworkConfig
from paste_proxy.errors import PasteError, ToolError, UnknownToolError
from paste_proxy.tasks import TaskSet
from paste_proxy.tools.ahead import enter
from paste_proxy.tools.arguments import typed_arguments
from paste_proxy.tools.authoring import Tool
from paste_proxy.tools.invoke import close, invoke_async, invoke_sync, prepare_async, warm_up, warm_up_async
from paste_proxy.tools.loading import Registry
from paste_proxy.tools.pool import WorkerPool
from paste_proxy.tools.ports import Output, Run, RunClass, RunContext
from paste_proxy.tools.spec import Effect
from paste_proxy.tools.threads import Threads
from paste_proxy.tools.wire import Request

log = logging.getLogger(__name__)

WORKERS = 16
"""The default of `speculation.slots`."""

SPARES = 2
"""Processes kept ready ahead of their use: a turn's likely calls start together, and a start takes 0.2 s."""


class LocalExecutor:
    """The executor of one proxy process (port: `ports.Executor`).

    | tool | authoritative | decided, speculative |
    |---|---|---|
    | async | event loop | event loop |
    | sync | thread | worker process at low priority |
    | sync, `isolated` | worker process | worker process at low priority |

    Time limits are the core's: a run goes on until it is done or cancelled.

    `workers`: processes for runs ahead, at least `speculation.slots`. A run that the core has started then
    finds a process, or room for one, however many others hang; so does one that a call joins later.
    `isolated`: processes for authoritative runs. By default, by the same argument, the sum of what the
    isolated tools declare as their `concurrency`.
    `network`: `speculation.network`.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        workers: int = WORKERS,
        isolated: int | None = None,
        network: Mapping[str, NetworkConfig] = MappingProxyType({}),
    ) -> None:
        self._registry = registry
        self._network = network
        self._threads = Threads()
        if isolated is None:
            isolated = sum(tool.spec.concurrency for tool in registry.values() if tool.isolated)
        self._isolated = WorkerPool(max(1, isolated), lowered=False)
        self._ahead = WorkerPool(max(1, workers), lowered=True)
        self._warm: dict[str, asyncio.Task[Any]] = {}
        self._tasks = TaskSet()

    async def run(self, run: Run, begun: Callable[[], None]) -> Output:
        tool = self._tool(run.tool)
        authoritative = run.run_class is RunClass.AUTHORITATIVE
        if not tool.is_async and (tool.isolated or not authoritative):
            pool = self._isolated if authoritative else self._ahead
            typed_arguments(tool, run.arguments)
            request = self._request(run.tool, run.context, run.arguments, prepares=_prepares(tool, run))
            return await pool.run(run.run, run.run_class, request, begun)
        return await self._run_here(tool, run, begun)

    def promote(self, run: str) -> None:
        self._ahead.promote(run)

    def fingerprint(self, tool: str, arguments: dict[str, Any]) -> bytes | None:
        """Where the hook fails, as for a file that is gone, a value that equals no other."""
        declared = self._tool(tool)
        if declared.fingerprint is None:
            return None
        try:
            value = declared.fingerprint(**typed_arguments(declared, arguments))
            return b"=" + msgspec.json.encode(value, order="deterministic")
        except Exception as error:  # noqa: BLE001 - the author's code; the run itself tells what is wrong
            log.debug("tool %s: no fingerprint: %s", tool, error)
            return b"!" + uuid.uuid4().bytes

    async def warm_up(self) -> None:
        """Call all warm-ups now rather than at first use, where the authoritative runs will be.

        Processes are started now, too, and from now on replaced before they are wanted.
        """
        self._keep_spares()
        tools = [tool for tool in self._registry.values() if tool.warm is not None]
        await asyncio.gather(*(self._warmed(tool) for tool in tools))

    def _keep_spares(self) -> None:
        """In the pools that the tools may use; what no plugin declares can't run in a process."""
        for name, tool in self._registry.items():
            if tool.is_async or self._registry.source(name) is None:
                continue
            if tool.spec.effect is not Effect.NEVER:
                self._ahead.keep_spares(SPARES)
            if tool.isolated:
                self._isolated.keep_spares(1)

    async def close(self) -> None:
        """End all runs in threads and processes; tasks that wait for runs are cancelled after it, not before.

        A cancelled run waits for its thread, which may be stuck.
        """
        self._threads.close()
        await self._tasks.close()
        await asyncio.gather(self._isolated.close(), self._ahead.close())
        hooks = {tool.close: tool for tool in self._registry.values() if tool.close is not None}
        await asyncio.gather(*(close(tool) for tool in hooks.values()))

    def _tool(self, name: str) -> Tool[..., Any]:
        tool = self._registry.get(name)
        if tool is None:
            raise UnknownToolError(f"unknown tool {name!r}", param=name)
        return tool

    async def _run_here(self, tool: Tool[..., Any], run: Run, begun: Callable[[], None]) -> Output:
        arguments = typed_arguments(tool, run.arguments)
        await self._warmed(tool)
        if tool.is_async:
            enter(run, self._network)
            begun()
            call = prepare_async if _prepares(tool, run) else invoke_async
            return await call(tool, run.context, arguments)
        work = functools.partial(invoke_sync, tool, run.context, arguments)
        return await self._threads.run(run.tool, work, begun)

    def _request(
        self, tool: str, context: RunContext, arguments: dict[str, Any] | None, *, prepares: bool = False
    ) -> Request:
        source = self._registry.source(tool)
        if source is None:
            raise ToolError(
                f"{tool}: runs in a worker process, which finds tools of loaded plugins only; "
                "declare it in a plugin, or make it async",
                param=tool,
            )
        return Request(source, tool, context, arguments, prepares)

    async def _warmed(self, tool: Tool[..., Any]) -> None:
        """Wait for the tool's warm-up in this process; the first to come starts it."""
        if tool.warm is None:
            return
        name = tool.spec.name
        if name not in self._warm:
            self._warm[name] = self._tasks.spawn(self._warm_up(tool), name=f"warm up {name}")
        await asyncio.shield(self._warm[name])

    async def _warm_up(self, tool: Tool[..., Any]) -> None:
        name = tool.spec.name
        if inspect.iscoroutinefunction(tool.warm):
            await warm_up_async(tool)
        elif not tool.isolated:
            await self._threads.run(name, functools.partial(warm_up, tool))
        else:
            request = self._request(name, RunContext("", ""), None)
            try:
                await self._isolated.run(f"warm up {name}", RunClass.AUTHORITATIVE, request, begun=_unobserved)
            except PasteError as error:
                log.warning("tool %s: its warm-up failed: %s", name, error)


def _prepares(tool: Tool[..., Any], run: Run) -> bool:
    """Whether something else than the tool is to be run: ahead of its call it may do no more."""
    return tool.spec.effect.prepares and run.run_class is not RunClass.AUTHORITATIVE


def _unobserved() -> None:
    """A warm-up is nobody's run: its start is of no interest."""
