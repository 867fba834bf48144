"""Blocking work in threads: results, cancelling, closing."""

import asyncio
import threading

import pytest

from paste_proxy.errors import ToolError
from paste_proxy.tools.threads import Threads


async def test_results_and_errors_come_back() -> None:
    threads = Threads()
    assert await threads.run("one", lambda: 1) == 1

    def fail() -> int:
        raise ToolError("no")

    with pytest.raises(ToolError, match="no"):
        await threads.run("two", fail)


async def test_a_cancelled_run_lasts_until_its_thread_ends() -> None:
    threads, started, release = Threads(), asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(started.set)
        release.wait(5)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(threads.run("slow", work))
        await started.wait()
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
        release.set()
    assert task.cancelled()


async def test_cancelled_twice_it_waits_no_longer() -> None:
    threads, release = Threads(), threading.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(threads.run("stuck", lambda: release.wait(5)))
        for _ in range(2):
            await asyncio.sleep(0)
            task.cancel()
    assert task.cancelled()
    release.set()


async def test_closing_ends_the_wait_for_stuck_threads() -> None:
    threads, release = Threads(), threading.Event()
    async with asyncio.TaskGroup() as group:
        abandoned = group.create_task(threads.run("stuck", lambda: release.wait(5)))
        waiting = group.create_task(_message_of(threads.run("stuck", lambda: release.wait(5))))
        await asyncio.sleep(0)
        abandoned.cancel()
        await asyncio.sleep(0)
        threads.close()
    assert abandoned.cancelled()
    assert waiting.result() == "the proxy is shutting down"
    assert await _message_of(threads.run("late", lambda: None)) == "the proxy is shutting down"
    release.set()


async def _message_of(work: object) -> str:
    with pytest.raises(ToolError) as caught:
        await work  # type: ignore[misc]
    return caught.value.message


def test_a_thread_that_outlives_the_loop_ends_in_silence() -> None:
    release = threading.Event()

    async def main() -> None:
        threads = Threads()
        task = asyncio.get_running_loop().create_task(threads.run("late", lambda: release.wait(5)))
        await asyncio.sleep(0)
        threads.close()
        with pytest.raises(ToolError):
            await task

    asyncio.run(main())
    late = [thread for thread in threading.enumerate() if thread.name == "tool late"]
    release.set()
    for thread in late:
        thread.join(5)
        assert thread.daemon
    assert late
