"""How tasks arrive: so many at a time, at random times, or so many at once; perhaps through a gate."""

import itertools
import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal

import msgspec

from paste_proxy.lab.virtual.agent import Agent, Site, TaskTrack

Arrivals = Literal["closed", "poisson", "cohort"]
NewAgent = Callable[[int, Callable[[TaskTrack], None]], Agent]
"""The agent of a task's number, and what it calls when the task is over."""


class Ended(msgspec.Struct, frozen=True):
    """A task that is over, measured or not."""

    at: float
    task: int
    model_s: float


class Gate:
    """A plain semaphore of active sessions, first come, first served: what operators do without us (E*)."""

    def __init__(self, places: int = 0) -> None:
        """0: no limit."""
        self._places = places
        self._inside = 0
        self._waiting: deque[Callable[[], None]] = deque()

    def enter(self, begin: Callable[[], None]) -> None:
        if self._places and self._inside >= self._places:
            self._waiting.append(begin)
        else:
            self._inside += 1
            begin()

    def leave(self) -> None:
        if self._waiting:
            self._waiting.popleft()()
        else:
            self._inside -= 1


class Driver:
    """Starts tasks and keeps their tracks."""

    def __init__(self, site: Site, new_agent: NewAgent, gate: Gate, measured: Sequence[int]) -> None:
        self.tracks: dict[int, TaskTrack] = {}
        """Of the tasks that are measured, by number."""
        self.ended: list[Ended] = []
        self.spent_s = 0.0
        """What measured tasks have taken until the last one ended, those under way too."""
        self._arrived: dict[int, float] = {}
        """Of the measured tasks under way."""
        self._site = site
        self._new_agent = new_agent
        self._gate = gate
        self._measured = frozenset(measured)

    @property
    def done(self) -> bool:
        return len(self.tracks) == len(self._measured)

    def start(self, task: int, then: Callable[[], None] = lambda: None) -> None:
        """A task arrives; its time counts from here. `then` is called when it is over."""
        arrived = self._site.time.now
        if task in self._measured:
            self._arrived[task] = arrived

        def over(track: TaskTrack) -> None:
            track.start = arrived
            self.ended.append(Ended(track.end, task, track.model_s))
            if task in self._measured:
                del self._arrived[task]
                self.tracks[task] = track
                self._sum_up()
            self._gate.leave()
            then()

        self._gate.enter(lambda: self._new_agent(task, over).begin())

    def _sum_up(self) -> None:
        over = sum(track.seconds for track in self.tracks.values())
        self.spent_s = over + sum(self._site.time.now - arrived for arrived in self._arrived.values())

    # -- arrivals -----------------------------------------------------------------------------------------

    def closed(self, orders: Sequence[Iterator[int]], spread_s: float, rng: random.Random) -> None:
        """A worker for each of `orders`, which may share one, with its next task when the last is over, until
        it ends. They begin spread over `spread_s`, so that they do not march in step."""

        def work(order: Iterator[int]) -> None:
            task = None if self.done else next(order, None)
            if task is not None:
                self.start(task, lambda: work(order))

        for order in orders:
            self._site.time.at(rng.random() * spread_s, partial(work, order))

    def poisson(self, per_s: float, order: Iterator[int], rng: random.Random) -> None:
        """Independent arrivals, `per_s` of them a second, until `order` ends."""

        def arrive() -> None:
            task = next(order, None)
            if task is not None and not self.done:
                self.start(task)
                self._site.time.after(-math.log(1.0 - rng.random()) / per_s, arrive)

        arrive()

    def cohorts(self, load: int, order: Iterator[int]) -> None:
        """`load` tasks at once, and so many again when all of them are over."""
        left = load

        def over() -> None:
            nonlocal left
            left -= 1
            if not left and not self.done:
                self.cohorts(load, order)

        for task in itertools.islice(order, load):
            self.start(task, over)
