"""Virtual time: what is due next happens next, and no time passes between."""

import heapq
from collections.abc import Callable


class Timer:
    """Something that will happen, unless it is cancelled."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], None] | None) -> None:
        self.action = action

    def cancel(self) -> None:
        self.action = None


class VirtualTime:
    """Seconds from 0. What is due at the same moment happens in the order in which it was asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Timer]] = []
        self._count = 0

    def at(self, moment: float, action: Callable[[], None]) -> Timer:
        """A moment that is over is now."""
        self._count += 1
        timer = Timer(action)
        heapq.heappush(self._due, (max(moment, self.now), self._count, timer))
        return timer

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        return self.at(self.now + seconds, action)

    def run(self, until: Callable[[], bool]) -> None:
        """Until that holds, or nothing is due any more."""
        while self._due and not until():
            moment, _, timer = heapq.heappop(self._due)
            action, timer.action = timer.action, None
            if action is not None:
                self.now = moment
                action()
