"""The timing of the scripted engine: prefill of what no earlier request left behind, then paced decoding."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from paste_proxy.lab.workload import EngineRates

T = TypeVar("T")


class Piece(msgspec.Struct, Generic[T], frozen=True):
    """What the engine emits at once, and how many tokens it took to generate."""

    tokens: int
    content: T


class Batch:
    """The running requests of one engine.

    Deadlines are absolute, so late timers do not add up: the stated rates hold over a whole turn.
    """

    def __init__(self, rates: EngineRates, time_scale: float) -> None:
        self._rates = rates
        self._time_scale = time_scale
        self._slots = asyncio.Semaphore(rates.max_running_requests)
        self.running = 0

    async def generate(
        self, uncached_tokens: int, pieces: Sequence[Piece[T]], stopped: Callable[[], bool]
    ) -> AsyncGenerator[T]:
        """Yields each piece when its tokens are due, until `stopped()`."""
        loop = asyncio.get_running_loop()
        async with self._slots:
            self.running += 1
            try:
                due = loop.time() + uncached_tokens / self._rates.prefill_tokens_per_s * self._time_scale
                for piece in pieces:
                    due += piece.tokens * self._rates.token_seconds(self.running) * self._time_scale
                    await asyncio.sleep(max(0.0, due - loop.time()))
                    if stopped():
                        return
                    yield piece.content
            finally:
                self.running -= 1


class PrefixCache:
    """Which message prefixes the engine has seen: their tokens are not computed again."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def cached_messages(self, chain: Sequence[str]) -> int:
        """How many leading messages are known."""
        for count in range(len(chain), 0, -1):
            if chain[count - 1] in self._seen:
                return count
        return 0

    def add(self, chain: Sequence[str]) -> None:
        self._seen.update(chain)
