"""Several executors as one: each tool's runs go to the executor of the source that offered it."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from paste_proxy.errors import UnknownToolError
from paste_proxy.tools.ports import Executor, Output, Run


class RoutingExecutor:
    """Implements `ports.Executor`. `source`: who offers a tool now, as `ToolTable.source` says it."""

    def __init__(self, source: Callable[[str], str], executors: Mapping[str, Executor]) -> None:
        self._source = source
        self._executors = executors

    async def run(self, run: Run, begun: Callable[[], None]) -> Output:
        return await self._of(run.tool).run(run, begun)

    def fingerprint(self, tool: str, arguments: dict[str, Any]) -> bytes | None:
        return self._of(tool).fingerprint(tool, arguments)

    def promote(self, run: str) -> None:
        """Whose run it is need not be kept: the others don't know it, and ignore it."""
        for executor in self._executors.values():
            executor.promote(run)

    async def warm_up(self) -> None:
        await asyncio.gather(*(executor.warm_up() for executor in self._executors.values()))

    async def close(self) -> None:
        await asyncio.gather(*(executor.close() for executor in self._executors.values()))

    def _of(self, tool: str) -> Executor:
        source = self._source(tool)
        executor = self._executors.get(source) or self._executors.get(source.partition(":")[0])
        if executor is None:
            raise UnknownToolError(f"there is no tool {tool!r} any more: its server is gone", param=tool)
        return executor
