"""The scripted engine's clock: prefill, decoding slowed by the batch, places, and prefixes."""

import asyncio
import time

import msgspec
import pytest

from paste_proxy.lab.batch import Batch, Piece, PrefixCache
from paste_proxy.lab.workload import Workload
from tests.patience import quickest

PIECES = [Piece(8, number) for number in range(10)]


async def spent(batch: Batch, uncached: int = 0) -> float:
    begun = time.monotonic()
    assert [piece async for piece in batch.generate(uncached, PIECES, lambda: False)] == list(range(10))
    return time.monotonic() - begun


async def test_prefill_and_decoding_take_their_stated_time(workload: Workload) -> None:
    stated = (80 / 113.7 + 38112 / 38112) * 0.05

    async def seconds() -> float:
        return await spent(Batch(workload.engine, time_scale=0.05), uncached=38112)

    assert await quickest(seconds, stated + 0.03) == pytest.approx(stated, abs=0.03)


async def test_requests_in_one_batch_slow_each_other_down(workload: Workload) -> None:
    slow = msgspec.structs.replace(workload.engine, decode_slowdown_per_running_request=1.0)
    batch = Batch(slow, time_scale=0.05)
    both = await asyncio.gather(spent(batch), spent(batch))
    assert min(both) > 1.5 * 80 / 113.7 * 0.05


async def test_a_full_batch_makes_others_wait(workload: Workload) -> None:
    batch = Batch(msgspec.structs.replace(workload.engine, max_running_requests=1), time_scale=0.05)
    both = await asyncio.gather(spent(batch), spent(batch))
    assert max(both) >= 2 * 80 / 113.7 * 0.05
    assert batch.running == 0


async def test_a_stopped_request_says_nothing_more(workload: Workload) -> None:
    said: list[int] = []
    batch = Batch(workload.engine, time_scale=0.001)
    async for piece in batch.generate(0, PIECES, lambda: len(said) == 3):
        said.append(piece)
    assert said == [0, 1, 2]


def test_the_longest_known_prefix_counts() -> None:
    cache = PrefixCache()
    assert cache.cached_messages(("a", "b")) == 0
    cache.add(("a", "b"))
    assert cache.cached_messages(("a", "b", "c")) == 2
    assert cache.cached_messages(("x",)) == 0
