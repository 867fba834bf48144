"""A client that leaves stops the engine's work, by SGLang's own count of aborted requests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import openai
import pytest

from paste_proxy.tasks import TaskSet
from tests.conformance.support import ENGINE_TEST, MODEL, metric, until
from tests.patience import SOON_S

pytestmark = ENGINE_TEST

BATCH = 4
"""Requests that the engine works on at once (`conftest.engine`)."""
LONG: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "write for ever"}],
    "max_tokens": 8000,
    "extra_body": {"ignore_eos": True},
}
"""A minute's work for the tiny model."""


async def aborted(engine: str) -> float:
    return await metric(f"{engine}/metrics", "sglang:num_aborted_requests_total")


async def told(proxy: str) -> float:
    """Aborts that the proxy sent. Every 4 s the engine looks by itself whether a client is still there."""
    return await metric(f"{proxy}/paste/metrics", "paste_aborts_total")


async def running(engine: str) -> float:
    return await metric(f"{engine}/metrics", "sglang:num_running_reqs")


async def queued(engine: str) -> float:
    return await metric(f"{engine}/metrics", "sglang:num_queue_reqs")


@asynccontextmanager
async def leaving(work: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """Runs a request and, at the end of the block, leaves as a client does whose user gave up."""
    tasks = TaskSet()
    tasks.spawn(work, name="client")
    try:
        yield
    finally:
        await tasks.close()


def equals(count: Callable[[str], Coroutine[Any, Any, float]], engine: str, value: float) -> Any:
    async def holds() -> bool:
        return await count(engine) == value

    return holds


async def drain(stream: openai.AsyncStream[Any]) -> None:
    async for _ in stream:
        pass


@pytest.fixture(autouse=True)
async def _idle(engine: str) -> None:
    await until(equals(running, engine, 0), SOON_S, "the engine has nothing to do")


async def test_mid_stream(engine: str, proxy: str, client: openai.AsyncOpenAI) -> None:
    before, sent = await aborted(engine), await told(proxy)
    stream = await client.chat.completions.create(**LONG, stream=True)
    for _ in range(3):
        await anext(aiter(stream))
    await stream.close()
    await until(equals(aborted, engine, before + 1), SOON_S, "the request was aborted")
    await until(equals(running, engine, 0), SOON_S, "the engine has nothing to do")
    assert await told(proxy) == sent + 1


async def test_without_streaming(engine: str, proxy: str, client: openai.AsyncOpenAI) -> None:
    before, sent = await aborted(engine), await told(proxy)
    async with leaving(client.chat.completions.create(**LONG)):
        await until(equals(running, engine, 1), SOON_S, "the request runs")
    await until(equals(aborted, engine, before + 1), SOON_S, "the request was aborted")
    await until(equals(running, engine, 0), SOON_S, "the engine has nothing to do")
    assert await told(proxy) == sent + 1


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_before_the_first_byte(
    engine: str,
    client: openai.AsyncOpenAI,
    stream: bool,
) -> None:
    """The batch is full, so a fifth request waits in the engine's queue while its client leaves."""
    async with AsyncExitStack() as others:
        for _ in range(BATCH):
            busy = await client.chat.completions.create(**LONG, stream=True)
            others.push_async_callback(busy.close)
        before = await aborted(engine)
        async with leaving(client.chat.completions.create(**LONG, stream=stream)):
            await until(equals(queued, engine, 1), SOON_S, "the request waits in the engine's queue")
        await until(equals(aborted, engine, before + 1), SOON_S, "the waiting request was aborted")
    await until(equals(aborted, engine, before + 1 + BATCH), SOON_S, "all others were aborted, too")


async def test_a_request_that_is_read_to_its_end_is_not_aborted(
    engine: str, client: openai.AsyncOpenAI
) -> None:
    before = await aborted(engine)
    await drain(await client.chat.completions.create(**LONG | {"max_tokens": 5}, stream=True))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), 0.3)
    assert await aborted(engine) == before
