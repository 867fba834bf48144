"""How tasks arrive: so many at a time, at random times, or so many at once; perhaps through a gate."""

import itertools
import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from paste_proxy.lab.virtual.agent import Agent, Door, Site, TaskTrack
from paste_proxy.lab.virtual.world import Script

Arrivals = Literal["closed", "poisson", "cohort"]
NewScript = Callable[[int], Script]
"""The script of a task's number."""


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

    def __init__(
        self,
        site: Site,
        new_script: NewScript,
        gate: Gate,
        measured: Sequence[int],
        door_of: Callable[[str], Door | None] = lambda task: None,
    ) -> None:
        """`door_of` a task, by its name: what its turns pass before they reach us."""
        self.tracks: dict[int, TaskTrack] = {}
        """Of the tasks that are measured, by number."""
        self.ended: list[float] = []
        """When tasks ended, measured or not."""
        self.spent_s = 0.0
        """What measured tasks have taken until the last one ended, those under way too."""
        self._arrived: dict[int, float] = {}
        """Of the measured tasks under way."""
        self._site = site
        self._new_script = new_script
        self._gate = gate
        self._door_of = door_of
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
            self.ended.append(track.end)
            if task in self._measured:
                del self._arrived[task]
                self.tracks[task] = track
                self._sum_up()
            self._gate.leave()
            then()

        def begin() -> None:
            script = self._new_script(task)
            Agent(script, self._site, over, self._door_of(script.task)).begin()

        self._gate.enter(begin)

    def _sum_up(self) -> None:
        over = sum(track.seconds for track in self.tracks.values())
        self.spent_s = over + sum(self._site.time.now - arrived for arrived in self._arrived.values())

    # -- arrivals -----------------------------------------------------------------------------------------

    def closed(self, load: int, order: Iterator[int], spread_s: float, rng: random.Random) -> None:
        """`load` workers, each with its next task when the last is over. They begin spread over `spread_s`,
        so that they do not march in step."""

        def work() -> None:
            if not self.done:
                self.start(next(order), work)

        for _ in range(load):
            self._site.time.at(rng.random() * spread_s, work)

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
