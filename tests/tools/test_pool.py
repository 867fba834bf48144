"""Worker processes: bounded, reused, killed by a cancel, replaced, and gone after `close`."""

import asyncio
import contextlib
import functools
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop

from paste_proxy.errors import ToolError
from paste_proxy.tools import pool as pool_module
from paste_proxy.tools import priority
from paste_proxy.tools.loading import Registry
from paste_proxy.tools.pool import WorkerPool
from paste_proxy.tools.ports import Output, RunClass, RunContext
from paste_proxy.tools.wire import Request, Source
from tests.patience import SOON_S, until
from tests.tools.conftest import (
    AUTHORITATIVE,
    SPECULATIVE,
    descriptors,
    end_of,
    ignore,
    is_running,
    number_in,
    processes_of,
)

Call = Callable[..., Coroutine[Any, Any, Output]]


def _caller(pool: WorkerPool, registry: Registry) -> Call:
    async def call(run: str, tool: str, run_class: RunClass = SPECULATIVE, **arguments: Any) -> Output:
        source = registry.source(tool)
        assert source is not None
        return await pool.run(run, run_class, Request(source, tool, RunContext("t", "s"), arguments), ignore)

    return call


@contextlib.asynccontextmanager
async def _pool(
    registry: Registry, size: int, *, lowered: bool = True
) -> AsyncIterator[tuple[WorkerPool, Call]]:
    pool = WorkerPool(size, lowered=lowered)
    try:
        yield pool, _caller(pool, registry)
    finally:
        await pool.close()


def _started(work: Coroutine[Any, Any, Output]) -> asyncio.Task[Output]:
    return asyncio.get_running_loop().create_task(work)


def _value(output: Output) -> Any:
    return msgspec.json.decode(output.body)


async def test_a_worker_is_reused_at_low_priority(registry: Registry) -> None:
    async with _pool(registry, 2) as (_, call):
        first = _value(await call("1", "whoami"))
        second = _value(await call("2", "whoami"))
    assert first == second
    assert first["pid"] != os.getpid()
    assert (first["nice"], first["policy"]) == (priority.NICENESS, os.SCHED_BATCH)
    assert not is_running(first["pid"])


async def test_no_more_processes_than_allowed_and_the_urgent_go_first(
    registry: Registry, tmp_path: Path
) -> None:
    order: list[str] = []

    async def call_and_note(call: Call, run: str, run_class: RunClass) -> int:
        pid: int = _value(await call(run, "whoami", run_class))["pid"]
        order.append(run)
        return pid

    async with _pool(registry, 1) as (pool, call), asyncio.TaskGroup() as group:
        free = tmp_path / "free"
        held = call("holder", "touch_and_wait_for", path=str(tmp_path / "pid"), other=str(free))
        holder = group.create_task(held)
        await number_in(tmp_path / "pid")
        runs = [("first", SPECULATIVE), ("joined", SPECULATIVE), ("decided", RunClass.DECIDED)]
        tasks = [group.create_task(call_and_note(call, run, kind)) for run, kind in runs]
        await asyncio.sleep(0)
        pool.promote("joined")
        assert len(processes_of(os.getpid())) == 1
        free.touch()
        pids = [await task for task in tasks]
    assert holder.done()
    assert order == ["joined", "decided", "first"]
    assert set(pids) == {int((tmp_path / "pid").read_text())}


async def test_cancelling_kills_the_process_and_all_that_it_started(registry: Registry, tmp_path: Path) -> None:
    async with _pool(registry, 1) as (_, call):
        task = _started(call("1", "start_child_and_wait", path=str(tmp_path / "pid")))
        child = await number_in(tmp_path / "pid")
        (worker,) = processes_of(os.getpid())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await end_of(worker)
        await end_of(child)
        assert _value(await call("2", "whoami"))["pid"] != worker


async def test_cancelling_kills_what_holds_the_interpreter(registry: Registry, tmp_path: Path) -> None:
    async with _pool(registry, 1, lowered=False) as (_, call):
        task = _started(call("1", "backtrack", path=str(tmp_path / "pid")))
        worker = await number_in(tmp_path / "pid")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await end_of(worker)


async def test_a_run_cancelled_while_it_waits_costs_no_process(registry: Registry, tmp_path: Path) -> None:
    async with _pool(registry, 1) as (_, call):
        free = tmp_path / "free"
        held = _started(call("1", "touch_and_wait_for", path=str(tmp_path / "pid"), other=str(free)))
        waiting = _started(call("2", "whoami"))
        worker = await number_in(tmp_path / "pid")
        waiting.cancel()
        free.touch()
        await held
        assert _value(await call("3", "whoami"))["pid"] == worker
        assert waiting.cancelled()


async def test_a_run_cancelled_while_its_process_starts_leaves_it_to_the_next(registry: Registry) -> None:
    async with _pool(registry, 1) as (_, call):
        task = _started(call("1", "whoami"))
        await asyncio.sleep(0)
        task.cancel()
        assert _value(await call("2", "whoami"))["nice"] == priority.NICENESS
        assert len(processes_of(os.getpid())) == 1


async def test_a_process_that_dies_is_a_tool_error_and_is_replaced(registry: Registry) -> None:
    async with _pool(registry, 1) as (pool, call):
        with pytest.raises(ToolError, match=r"die: its worker process died \(exit status -11\)"):
            await call("1", "die")
        replaced = _value(await call("2", "whoami"))["pid"]
        os.kill(replaced, 9)
        await end_of(replaced)
        await until(lambda: not any(worker.alive for worker in pool._idle))
        assert _value(await call("3", "whoami"))["pid"] != replaced


async def test_a_tool_that_forks_gets_its_own_result_and_so_does_the_next(registry: Registry) -> None:
    async with _pool(registry, 1) as (_, call):
        assert (await call("1", "fork")).body == b"parent"
        assert _value(await call("2", "echo", value=2)) == ["t", "s", 2]


async def test_a_reply_to_no_request_is_an_error_and_ends_the_worker(registry: Registry) -> None:
    async with _pool(registry, 1) as (_, call):
        worker = _value(await call("1", "whoami"))["pid"]
        with pytest.raises(ToolError, match="babble: its worker process answered what it was not asked"):
            await call("2", "babble", delay=0)
        assert _value(await call("3", "whoami"))["pid"] != worker
        assert not is_running(worker)


async def test_bytes_left_over_cost_the_next_call_nothing_but_another_worker(registry: Registry) -> None:
    async with _pool(registry, 1) as (pool, call):
        worker = _value(await call("1", "babble", delay=0.02))
        await until(lambda: pool._idle[0]._stdout._buffer)  # type: ignore[attr-defined]
        assert _value(await call("2", "whoami"))["pid"] != worker


async def test_a_run_begins_when_a_process_has_loaded_its_tool(registry: Registry, tmp_path: Path) -> None:
    begun: list[str] = []
    async with _pool(registry, 1) as (pool, _):
        source = registry.source("touch_and_wait_for")
        assert source is not None
        seen = tmp_path / "seen"
        arguments = {"path": str(tmp_path / "pid"), "other": str(seen)}
        request = Request(source, "touch_and_wait_for", RunContext("t", "s"), arguments)
        first, second = (
            _started(pool.run(run, SPECULATIVE, request, functools.partial(begun.append, run)))
            for run in ("first", "second")
        )
        await asyncio.sleep(0)
        assert begun == []
        await number_in(tmp_path / "pid")
        assert begun == ["first"]
        seen.touch()
        await first
        await second
    assert begun == ["first", "second"]


async def test_a_run_that_can_not_be_loaded_never_begins(registry: Registry) -> None:
    source = registry.source("whoami")
    assert source is not None
    request = Request(Source(source.plugin, "0:0"), "whoami", RunContext("t", "s"), {})
    begun: list[str] = []
    async with _pool(registry, 1) as (pool, _):
        with pytest.raises(ToolError, match="was changed since the proxy started"):
            await pool.run("1", SPECULATIVE, request, lambda: begun.append("1"))
    assert begun == []


async def _spares(pool: WorkerPool, count: int) -> set[int]:
    """The processes of the pool, once `count` of them are idle."""
    async with asyncio.timeout(SOON_S):
        while pool.idle < count:  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.002)
    return processes_of(os.getpid())


async def test_spare_processes_are_started_before_they_are_wanted(registry: Registry, tmp_path: Path) -> None:
    async with _pool(registry, 2) as (pool, call):
        pool.keep_spares(1)
        (spare,) = await _spares(pool, 1)
        task = _started(call("1", "touch_and_wait", path=str(tmp_path / "pid"), seconds=60))
        assert await number_in(tmp_path / "pid") == spare
        (other,) = await _spares(pool, 1) - {spare}
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert _value(await call("2", "whoami"))["pid"] == other
    assert processes_of(os.getpid()) == set()


async def test_a_killed_process_is_replaced_before_the_next_run(registry: Registry) -> None:
    async with _pool(registry, 1) as (pool, call):
        pool.keep_spares(3)
        (spare,) = await _spares(pool, 1)
        with pytest.raises(ToolError, match="died"):
            await call("1", "die")
        assert await _spares(pool, 1) != {spare}


async def test_closing_waits_for_no_spare_that_still_starts(registry: Registry) -> None:
    pool = WorkerPool(2, lowered=True)
    pool.keep_spares(2)
    await asyncio.sleep(0)
    await pool.close()
    assert processes_of(os.getpid()) == set()


async def test_spares_that_can_not_be_started_are_not_tried_over_and_over(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[bool] = []

    async def refuse(*, lowered: bool) -> None:
        tries.append(lowered)
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(pool_module, "start_worker", refuse)
    async with _pool(registry, 2) as (pool, call):
        pool.keep_spares(1)
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(tries) == 1
        assert "no spare worker process could be started" in caplog.text
        results = await asyncio.gather(*(call(run, "whoami") for run in "123"), return_exceptions=True)
        assert [type(result) for result in results] == [ToolError] * 3
        monkeypatch.undo()
        await call("4", "whoami")
        assert len(await _spares(pool, 2)) == 2


async def test_promoting_raises_a_running_process_and_its_next_run_is_low_again(
    registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with _pool(registry, 1) as (pool, call), asyncio.TaskGroup() as group:
        pid, promoted = tmp_path / "pid", tmp_path / "promoted"
        task = group.create_task(call("1", "touch_and_wait_for", path=str(pid), other=str(promoted)))
        await number_in(pid)
        pool.promote("1")
        pool.promote("unknown")
        promoted.touch()
        raised = _value(await task)["nice"]
        assert _value(await call("2", "whoami"))["nice"] == priority.NICENESS
    assert raised == (0 if os.geteuid() == 0 else priority.NICENESS)


async def test_where_raising_is_refused_it_is_said_once(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(priority, "restore", lambda _: False)
    async with _pool(registry, 1) as (_, call):
        for run in "12":
            await call(run, "whoami", AUTHORITATIVE)
    assert caplog.text.count("can't be raised to normal priority") == 1


async def test_where_no_process_can_be_started_it_is_said(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*, lowered: bool) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(pool_module, "start_worker", refuse)
    async with _pool(registry, 1) as (_, call):
        for run in "12":
            with pytest.raises(ToolError, match="no worker process could be started"):
                await call(run, "whoami")


async def test_closing_ends_running_waiting_and_later_runs(registry: Registry, tmp_path: Path) -> None:
    pool = WorkerPool(1, lowered=True)
    call = _caller(pool, registry)
    runs = [
        _started(call("1", "touch_and_wait", path=str(tmp_path / "pid"), seconds=60)),
        _started(call("2", "whoami")),
    ]
    worker = await number_in(tmp_path / "pid")
    await pool.close()
    assert not is_running(worker)
    for error in await asyncio.gather(*runs, call("3", "whoami"), return_exceptions=True):
        assert isinstance(error, ToolError)
        assert "the proxy is shutting down" in error.message


async def _churn(registry: Registry, folder: Path) -> None:
    """Start, reuse, kill, crash, and close."""
    folder.mkdir()  # noqa: ASYNC240
    async with _pool(registry, 2) as (_, call):
        for turn in range(2):
            path = folder / f"pid-{turn}"
            task = _started(call("cancelled", "touch_and_wait", path=str(path), seconds=60))
            await call("reused", "whoami")
            await number_in(path)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            with contextlib.suppress(ToolError):
                await call("crashed", "die")


@pytest.mark.slow
@pytest.mark.parametrize(
    "loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_no_process_and_no_descriptor_is_left(
    registry: Registry, tmp_path: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    left = []
    for turn in "12":  # libuv keeps two descriptors of its own from the first time on
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(_churn(registry, tmp_path / turn))
            assert processes_of(os.getpid()) == set()
        left.append(descriptors())
    assert left[0] == left[1]
