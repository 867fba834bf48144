"""Leased runs, and runs that are only followed: when each has ended, also where its client is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from paste_proxy.client.protocol import Ended, RunAhead
from paste_proxy.errors import ToolError
from paste_proxy.events import DropResult
from paste_proxy.leases.executor import LeaseExecutor
from paste_proxy.tasks import TaskSet
from paste_proxy.tools.ports import Output, Run, RunClass, RunContext
from paste_proxy.tools.table import ToolTable, client_source
from tests.broker.cast import SPECS

CONTEXT = RunContext("default", "s")


class Client:
    def __init__(self) -> None:
        self.leased: list[RunAhead] = []
        self.cancelled: list[str] = []

    def lease(self, run: RunAhead) -> None:
        self.leased.append(run)

    def cancel(self, run: str) -> None:
        self.cancelled.append(run)


class Bench:
    def __init__(self, tasks: TaskSet) -> None:
        table = ToolTable()
        quick = [msgspec.structs.replace(spec, timeout=0.05) for spec in SPECS.values()]
        table.offer(client_source("default"), quick)
        self.executor = LeaseExecutor(table)
        self.client = Client()
        self.executor.came("one", self.client)
        self.begun: list[str] = []
        self._tasks = tasks

    def start(self, run: str, tool: str = "read_a", run_class: RunClass = RunClass.SPECULATIVE) -> Any:
        made = Run(run, tool, {"k": 1}, CONTEXT, run_class, client="one")
        return self._tasks.spawn(self.executor.run(made, lambda: self.begun.append(run)), name=run)


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    tasks = TaskSet()
    try:
        yield Bench(tasks)
    finally:
        await tasks.close()


async def test_a_run_ahead_is_leased_begins_and_ends_as_its_client_says() -> None:
    async with bench() as b:
        task = b.start("r1", run_class=RunClass.DECIDED)
        await asyncio.sleep(0)
        [lease] = b.client.leased
        assert (lease.run, lease.tool, bytes(lease.arguments), lease.session) == (
            "r1",
            "read_a",
            b'{"k":1}',
            "s",
        )
        assert lease.decided
        b.executor.began("two", "r1")
        b.executor.ended("two", Ended("r1"))
        assert b.begun == []
        b.executor.began("one", "r1")
        assert b.begun == ["r1"]
        b.executor.ended("one", Ended("r1", size=7, digest="d"))
        b.executor.ended("one", Ended("r1", size=8))
        assert await task == Output(b"", is_text=True, kept=7, digest="d")
        b.executor.ended("one", Ended("r1", size=7))


async def test_a_run_ahead_that_is_cancelled_is_so_at_its_client() -> None:
    async with bench() as b:
        task = b.start("r1")
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert b.client.cancelled == ["r1"]
        b.executor.drop(DropResult("r2", "one"))
        b.executor.drop(DropResult("r2", "two"))
        assert b.client.cancelled == ["r1", "r2"]


async def test_a_run_of_a_lost_client_fails_and_later_ones_do_at_once() -> None:
    async with bench() as b:
        ahead, read = b.start("r1"), b.start("r2", run_class=RunClass.AUTHORITATIVE)
        await asyncio.sleep(0)
        assert b.begun == ["r2"], "its client was told to run it, and does"
        b.executor.gone("one")
        for task in (ahead, read, b.start("r3")):
            with pytest.raises(ToolError):
                await task


async def test_a_write_goes_on_for_as_long_as_it_may_take_when_its_client_is_lost() -> None:
    async with bench() as b:
        write = b.start("r1", "write_a", RunClass.AUTHORITATIVE)
        await asyncio.sleep(0)
        b.executor.gone("one")
        await asyncio.sleep(0)
        assert not write.done()
        with pytest.raises(ToolError, match="connection to its client is lost"):
            await write


async def test_a_write_that_is_cancelled_has_ended_when_its_client_says_so() -> None:
    async with bench() as b:
        write = b.start("r1", "write_a", RunClass.AUTHORITATIVE)
        await asyncio.sleep(0)
        write.cancel()
        for _ in range(3):
            await asyncio.sleep(0)
        assert not write.done()
        b.executor.ended("one", Ended("r1"))
        with pytest.raises(asyncio.CancelledError):
            await write


async def test_an_error_at_the_client_is_one_here() -> None:
    async with bench() as b:
        task = b.start("r1")
        await asyncio.sleep(0)
        b.executor.ended("one", Ended("r1", "ValueError"))
        with pytest.raises(ToolError, match="read_a: ValueError"):
            await task


async def test_it_closes_with_runs_under_way() -> None:
    async with bench() as b:
        task = b.start("r1")
        await asyncio.sleep(0)
        await b.executor.close()
        with pytest.raises(ToolError, match="shutting down"):
            await task
