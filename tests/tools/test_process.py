"""One worker process as the proxy sees it."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from paste_proxy.tools.loading import Registry
from paste_proxy.tools.ports import RunContext
from paste_proxy.tools.process import WorkerDiedError, start_worker
from paste_proxy.tools.wire import VALUE, Request, encode_request
from tests.tools.conftest import SAMPLE, end_of, ignore, number_in


def _request(registry: Registry, tool: str, **arguments: object) -> bytes:
    source = registry.source(tool)
    assert source is not None
    return encode_request(Request(source, tool, RunContext("t", "s"), arguments))


async def test_it_answers_until_it_is_killed(registry: Registry) -> None:
    worker = await start_worker(lowered=False)
    await worker.ready()
    assert await worker.is_quiet()
    assert (await worker.ask(_request(registry, "misbehave", how="prints"), ignore))[0] == VALUE
    large = "x" * 300_000
    assert len((await worker.ask(_request(registry, "echo", value=large), ignore))[1]) > 300_000
    worker.kill()
    worker.kill()
    assert await worker.reap() == -9
    worker.kill()
    assert not await worker.is_quiet()
    with pytest.raises(WorkerDiedError):
        await worker.ask(_request(registry, "whoami"), ignore)


async def test_it_has_a_session_of_its_own(registry: Registry) -> None:
    worker = await start_worker(lowered=False)
    try:
        assert os.getsid(worker.pid) == worker.pid != os.getsid(0)
    finally:
        worker.kill()
        await worker.reap()


async def test_it_ends_with_the_proxy_even_in_the_middle_of_a_run(tmp_path: Path) -> None:
    """A process that starts a worker, sets it to work and is killed."""
    code = f"""
import asyncio
from paste_proxy.config import PluginConfig
from paste_proxy.tools.loading import load_plugins
from paste_proxy.tools.local import LocalExecutor
from paste_proxy.tools.ports import Run, RunClass, RunContext

async def main():
    registry = load_plugins([PluginConfig(path={str(SAMPLE)!r})])
    run = Run("1", "backtrack", {{"path": {str(tmp_path / "pid")!r}}}, RunContext("", ""), RunClass.SPECULATIVE)
    await LocalExecutor(registry).run(run, lambda: None)

asyncio.run(main())
"""
    proxy = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    worker = await number_in(tmp_path / "pid")
    proxy.kill()
    await proxy.wait()
    await end_of(worker)
