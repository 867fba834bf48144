"""A heap of moments at which the core has something to do."""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass

SWEEP_FROM = 64
"""Cancelled entries are swept out once they are so many and the larger half: amortised, a constant each."""


@dataclass(eq=False, slots=True)
class Timer:
    """One entry; `action` is None once it has run or was cancelled, so that it holds on to nothing."""

    action: Callable[[float], None] | None


class Deadlines:
    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, when: float, action: Callable[[float], None]) -> Timer:
        """Call `action(now)` once `now >= when`, unless it is cancelled before."""
        timer = Timer(action)
        heapq.heappush(self._heap, (when, next(self._order), timer))
        return timer

    def cancel(self, timer: Timer | None) -> None:
        """Safe for timers that have run, were cancelled, or never were."""
        if timer is None or timer.action is None:
            return
        timer.action = None
        self._cancelled += 1
        if self._cancelled >= SWEEP_FROM and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].action is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def next(self) -> float | None:
        self._drop_cancelled()
        return self._heap[0][0] if self._heap else None

    def run_due(self, now: float) -> None:
        while (when := self.next()) is not None and when <= now:
            timer = heapq.heappop(self._heap)[2]
            action, timer.action = timer.action, None
            if action is not None:
                action(now)

    def _drop_cancelled(self) -> None:
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
            self._cancelled -= 1
