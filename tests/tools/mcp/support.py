"""An upstream with a fake server behind it, and what it told."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from paste_proxy.config_mcp import McpServerConfig
from paste_proxy.tools.mcp.executor import McpExecutor
from paste_proxy.tools.mcp.upstream import Upstream
from paste_proxy.tools.ports import Output, Progress, Run, RunClass, RunContext
from paste_proxy.tools.spec import ToolSpec
from tests.patience import SOON_S, until

FAKE = Path(__file__).with_name("fake_server.py")


def fake(
    tools: dict[str, Any] | None = None, env: dict[str, str] | None = None, **settings: Any
) -> McpServerConfig:
    listed = {"FAKE_TOOLS": json.dumps(tools)} if tools else {}
    return McpServerConfig(
        command=sys.executable, args=("-S", "-E", str(FAKE)), env={**listed, **(env or {})}, **settings
    )


class Shop:
    """What the rest of the proxy sees of one server."""

    def __init__(self, config: McpServerConfig, taken: frozenset[str] = frozenset()) -> None:
        self.offers: list[dict[str, ToolSpec]] = []
        self.progress: list[Progress] = []
        self.offered = asyncio.Event()
        upstream = Upstream("fake", config, lambda name, _source: name in taken, self._told, frozenset())
        self.executor = McpExecutor(upstream, lambda _run, progress: self.progress.append(progress))
        self.upstream = upstream

    def _told(self, source: str, specs: tuple[ToolSpec, ...]) -> None:
        assert source == "mcp:fake"
        self.offers.append({spec.name: spec for spec in specs})
        self.offered.set()

    @property
    def specs(self) -> dict[str, ToolSpec]:
        return self.offers[-1]

    async def call(
        self,
        tool: str,
        run_class: RunClass = RunClass.AUTHORITATIVE,
        begun: Callable[[], None] = lambda: None,
        **arguments: Any,
    ) -> Output:
        run = Run("run-1", tool, arguments, RunContext("tenant", "session"), run_class)
        async with asyncio.timeout(SOON_S):
            return await self.executor.run(run, begun)

    async def text(self, tool: str, run_class: RunClass = RunClass.AUTHORITATIVE, **arguments: Any) -> str:
        output = await self.call(tool, run_class, **arguments)
        assert output.is_text
        return output.body.decode()

    async def next_offer(self) -> None:
        self.offered.clear()
        async with asyncio.timeout(SOON_S):
            await self.offered.wait()


@asynccontextmanager
async def shop(config: McpServerConfig, taken: frozenset[str] = frozenset()) -> AsyncIterator[Shop]:
    """Ready for calls; afterwards nothing may be left: no task, no file, no process."""
    tasks, files = our_tasks(), open_files()
    opened = Shop(config, taken)
    await opened.executor.warm_up()
    try:
        await opened.upstream.tried()
        yield opened
    finally:
        await opened.executor.close()
    await nothing_left(lambda: our_tasks() <= tasks and open_files() <= files)


def our_tasks() -> set["asyncio.Task[Any]"]:
    """A gateway in this process keeps a session that ended without a word until it is idle for long."""
    return {task for task in asyncio.all_tasks() if not task.get_name().startswith("mcp.server.")}


async def nothing_left(condition: Callable[[], bool]) -> None:
    """A server in this process needs a moment to see that its client is gone."""
    try:
        await until(condition)
    except AssertionError:
        raise AssertionError(f"left: {our_tasks()}, {open_files()} files") from None


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
