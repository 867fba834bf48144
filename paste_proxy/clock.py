"""Time as an argument: the core never reads a clock, the shell reads this one."""

import time
from typing import Protocol


class Clock(Protocol):
    """A monotonic clock in seconds; its zero has no meaning."""

    def now(self) -> float: ...


class SystemClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        return time.monotonic()


class VirtualClock:
    """A clock that moves only when told to: for tests and the lab."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds
