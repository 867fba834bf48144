"""What the joint queue costs while 10,000 wait in it: microseconds per operation, for each policy.

`python -m benchmarks.schedule [--json] [--waiting 10000] [--rounds 2000]`, some seconds on one core. `turns`:
so many LLM turns wait for one backend that takes 64 at a time; `runs`: so many runs wait for the 64 slots of 20
tools. In each round two come, one that waits leaves (its client has gone), one that is under way ends, and the
next one starts. All policies take turns, round by round: what else the machine does hits them alike, and no
queue is in the processor's caches when its turn comes again, as in a proxy that had other things to do.

Times are CPU time, with the microsecond that it takes to read that: `p50` and `p99` of each operation, as the
core has it done. `startable` starts the next one, finds no place for another, and looks for calls whose slots
speculation has; `used` takes what the backend counted for a turn; `due` asks what has to be done now, and when
next, as after each event. The target is 20.
"""

import argparse
import json
import random
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias, TypeVar

from paste_proxy.lab.garbage import rare_collections
from paste_proxy.lab.summary import quantile
from paste_proxy.schedule.asked import Asked, Place
from paste_proxy.schedule.backends import BackendCapacity
from paste_proxy.schedule.policies import NAMED, lanes_of
from paste_proxy.schedule.queue import Capacity, JointQueue, turn_lane
from paste_proxy.schedule.runs import Waiting
from paste_proxy.tools.ports import RunClass

T = TypeVar("T")
Operations: TypeAlias = Mapping[str, Callable[[], object]]

SLOTS = 64
"""Under way at once, of turns as of runs."""
TOOLS, TENANTS = 20, 10
POLICIES = (*NAMED, "semaphore:64")
LANE = turn_lane("")
MEMORY_TOKENS, PROMPT_TOKENS, GROWTH_TOKENS = 900_000, 20_000, 2_000
"""Of the engine, and of each turn: memory, too, is short."""
OPERATIONS = {
    "turns": ("add", "arrived", "remove", "used", "release", "startable", "due"),
    "runs": ("add", "remove", "release", "startable"),
}
TARGET_US = 20.0


class Bench(ABC):
    """One queue of one policy, full from the beginning."""

    kind: ClassVar[str]

    def __init__(self, policy: str, waiting: int) -> None:
        self.micros: dict[str, list[float]] = {name: [] for name in OPERATIONS[self.kind]}
        self.started = 0
        self._queue = JointQueue(_capacity(), lanes_of(policy, lambda tenant: 1.0))
        self._queue.turns(LANE).knows(BackendCapacity(MEMORY_TOKENS, SLOTS))
        self._rng = random.Random(policy)
        self._added = 0
        self._waiting: list[str] = []
        self._place: dict[str, int] = {}
        """Of each that waits in that list."""
        self._under_way: list[str] = []
        for _ in range(waiting + SLOTS):
            self._add()
        self._start()
        self.started = 0

    def round(self) -> None:
        """Two come, one leaves and one starts: as many wait as before."""
        self._add()
        self._remove()
        self._add()
        self._release()
        self._start()

    def _take(self, operation: str, work: Callable[[], T]) -> T:
        began = time.thread_time_ns()
        result = work()
        self.micros[operation].append((time.thread_time_ns() - began) / 1000)
        return result

    def _take_all(self, operations: Operations) -> None:
        for operation, work in operations.items():
            self._take(operation, work)

    def _add(self) -> None:
        item = str(self._added)
        self._take("add", self._adding(item))
        self._added += 1
        self._place[item] = len(self._waiting)
        self._waiting.append(item)

    def _remove(self) -> None:
        item = self._rng.choice(self._waiting)
        self._take_all(self._leaving(item))
        self._forget(item)

    @abstractmethod
    def _adding(self, item: str) -> Callable[[], None]:
        """What brings it."""

    @abstractmethod
    def _leaving(self, item: str) -> Operations:
        """What is done when its client has gone."""

    @abstractmethod
    def _ending(self, item: str) -> Operations:
        """What is done when it ends."""

    def _release(self) -> None:
        item = self._under_way.pop(self._rng.randrange(len(self._under_way)))
        self._take_all(self._ending(item))

    def _start(self) -> None:
        for item in self._take("startable", self._starting):
            self._forget(item.id)
            self._under_way.append(item.id)
            self.started += 1

    def _starting(self) -> list[Waiting]:
        started = self._queue.startable()
        self._queue.starved()
        return started

    def _forget(self, item: str) -> None:
        """It waits no more: the last one takes its place."""
        place, last = self._place.pop(item), self._waiting.pop()
        if last != item:
            self._waiting[place], self._place[last] = last, place


class Turns(Bench):
    """Each of a session of its own, which is over with it."""

    kind = "turns"

    def round(self) -> None:
        super().round()
        self._take("due", self._due)

    def _due(self) -> None:
        lane = self._queue.turns(LANE)
        lane.expire(self._added / 10)
        lane.next_deadline()

    def _adding(self, item: str) -> Callable[[], None]:
        at = self._added / 10
        tenant = f"tenant-{self._added % TENANTS}"
        place = Place(at, self._added)
        asked = Asked(item, item, tenant, place, at, context=PROMPT_TOKENS, growth=GROWTH_TOKENS)
        return lambda: self._queue.ask(asked, LANE)

    def _leaving(self, item: str) -> Operations:
        return {"arrived": lambda: self._queue.arrived(item), "remove": lambda: self._queue.remove(item)}

    def _ending(self, item: str) -> Operations:
        lane, now = self._queue.turns(LANE), self._added / 10

        def release() -> None:
            self._queue.release(item)
            lane.over(item, now)

        return {"used": lambda: lane.used(item, PROMPT_TOKENS, GROWTH_TOKENS, 0, now), "release": release}


class Runs(Bench):
    kind = "runs"

    def _adding(self, item: str) -> Callable[[], None]:
        tool = f"tool-{self._added % TOOLS}"
        return lambda: self._queue.add(item, tool, RunClass.AUTHORITATIVE)

    def _leaving(self, item: str) -> Operations:
        return {"remove": lambda: self._queue.remove(item)}

    def _ending(self, item: str) -> Operations:
        return {"release": lambda: self._queue.release(item)}


def _capacity() -> Capacity:
    """Each tool may have more than its part, so that all slots are taken."""
    return Capacity(lambda lane: SLOTS, SLOTS, 0, 0, lambda tool: 2 * SLOTS // TOOLS)


def measure(waiting: int, rounds: int, policies: Sequence[str]) -> dict[str, Any]:
    """By policy and kind: the quantiles of each operation."""
    kinds: Sequence[type[Bench]] = (Turns, Runs)
    benches = {(policy, new.kind): new(policy, waiting) for policy in policies for new in kinds}
    for bench in benches.values():
        for micros in bench.micros.values():
            micros.clear()  # filling it is not what is asked for
    with rare_collections():
        for _ in range(rounds):
            for bench in benches.values():
                bench.round()
    found: dict[str, Any] = {policy: {} for policy in policies}
    for (policy, kind), bench in benches.items():
        assert bench.started >= rounds // 2, f"{policy}: {bench.started} {kind} started in {rounds} rounds"
        found[policy][kind] = {name: _shares(micros) for name, micros in bench.micros.items()}
    return {"waiting": waiting, "rounds": rounds, "target_us": TARGET_US, "policies": found}


def _shares(micros: Sequence[float]) -> dict[str, float]:
    return {"p50": round(quantile(micros, 0.5), 2), "p99": round(quantile(micros, 0.99), 2)}


def lines(found: Mapping[str, Any]) -> list[str]:
    """A line for each policy and kind."""
    return [
        f"{policy:12} {kind:6}"
        + "".join(f"  {name} {one['p50']:.1f} ({one['p99']:.1f})" for name, one in operations.items())
        for policy, kinds in found["policies"].items()
        for kind, operations in kinds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.schedule")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=2000)
    options = parser.parse_args()
    found = measure(options.waiting, options.rounds, POLICIES)
    if options.json:
        json.dump(found, sys.stdout, indent=2)
        print()
        return
    print(f"us of CPU per operation with {options.waiting:,} waiting: median (99th percentile)")
    print("\n".join(lines(found)))


if __name__ == "__main__":
    main()
