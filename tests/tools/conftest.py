import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from paste_proxy.config import PluginConfig
from paste_proxy.tools.loading import Registry, load_plugins
from paste_proxy.tools.local import LocalExecutor
from paste_proxy.tools.ports import Run, RunClass, RunContext
from tests.patience import SOON_S

SAMPLE = Path(__file__).parent / "sample_plugin.py"

KILLED_S = 20.0
"""Far less than the minute for which these processes sleep."""
AUTHORITATIVE, SPECULATIVE = RunClass.AUTHORITATIVE, RunClass.SPECULATIVE


@pytest.fixture(scope="session")
def registry() -> Registry:
    return load_plugins([PluginConfig(path=str(SAMPLE))])


@pytest.fixture
async def executor(registry: Registry) -> AsyncIterator[LocalExecutor]:
    executor = LocalExecutor(registry, workers=2)
    yield executor
    await executor.close()


@pytest.fixture
def make_run() -> Callable[..., Run]:
    count = itertools.count()

    def make(tool: str, run_class: RunClass = AUTHORITATIVE, **arguments: Any) -> Run:
        return Run(f"run-{next(count)}", tool, arguments, RunContext("tenant", "session"), run_class)

    return make


def ignore() -> None:
    """A `begun` for tests of other things."""


def processes_of(parent: int) -> set[int]:
    """The children of a process, those included that have ended and were not reaped."""
    children: set[int] = set()
    for thread in Path(f"/proc/{parent}/task").iterdir():
        # A thread may end between the listing and the reading; the kernel hands its children to another.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            children |= {int(pid) for pid in (thread / "children").read_text().split()}
    return children


def is_running(pid: int) -> bool:
    """False for a process that has ended, reaped or not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def number_in(path: Path) -> int:
    """The number that another process writes to a file, once it is there."""
    async with asyncio.timeout(SOON_S):
        while not (path.exists() and path.read_text()):  # noqa: ASYNC110, ASYNC240 - another process
            await asyncio.sleep(0.002)
    return int(path.read_text())  # noqa: ASYNC240


async def end_of(pid: int) -> None:
    """Wait for the end of a process; by itself none ends so soon."""
    async with asyncio.timeout(KILLED_S):
        while is_running(pid):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.001)
