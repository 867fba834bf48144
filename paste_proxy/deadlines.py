"""A heap of moments at which the core has something to do; stale ones are the receiver's to ignore."""

import heapq
import itertools
from collections.abc import Callable
from typing import TypeAlias

Action: TypeAlias = Callable[[float], None]


class Deadlines:
    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Action]] = []
        self._order = itertools.count()

    def at(self, when: float, action: Action) -> None:
        """Call `action(now)` once `now >= when`. It must check that it is still wanted."""
        heapq.heappush(self._heap, (when, next(self._order), action))

    def next(self) -> float | None:
        return self._heap[0][0] if self._heap else None

    def run_due(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            heapq.heappop(self._heap)[2](now)
