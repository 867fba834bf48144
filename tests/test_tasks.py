"""Background tasks are named, kept, reported when they fail, and gone after `close`."""

import asyncio
import logging

import pytest

from paste_proxy.tasks import TaskSet


async def test_a_task_is_kept_until_it_ends() -> None:
    tasks, gate = TaskSet(), asyncio.Event()
    task = tasks.spawn(gate.wait(), name="waiter")
    assert (len(tasks), task.get_name()) == (1, "waiter")
    gate.set()
    await task
    await asyncio.sleep(0)
    assert len(tasks) == 0


async def test_a_failure_is_logged_with_the_task_s_name(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("broken")

    tasks = TaskSet()
    with caplog.at_level(logging.ERROR):
        await asyncio.wait([tasks.spawn(fail(), name="the failing one")])
        await asyncio.sleep(0)
    assert "the failing one" in caplog.text
    assert "broken" in caplog.text


async def test_close_cancels_and_waits() -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cleanly")

    tasks = TaskSet()
    tasks.spawn(work(), name="sleeper")
    await asyncio.sleep(0)
    await tasks.close()
    assert ended == ["cleanly"]
    assert len(tasks) == 0
