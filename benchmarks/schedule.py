"""What the joint queue costs while 10,000 wait in it: microseconds per operation, for each policy.

`python -m benchmarks.schedule [--json] [--waiting 10000] [--rounds 2000]`, some seconds on one core. `turns`:
so many LLM turns wait for one backend that takes 64 at a time; `runs`: so many runs wait for the 64 slots of 20
tools. In each round two come, one that waits leaves (its client has gone), one that is under way ends, and the
next one starts. All policies take turns, round by round, so that what else the machine does hits them alike.
Times are CPU time: `p50` and `p99` of `add`, `remove`, `release` and `startable`. The target is 20.
"""

import argparse
import json
import random
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from paste_proxy.lab.garbage import rare_collections
from paste_proxy.lab.summary import quantile
from paste_proxy.schedule.asked import Asked, Place
from paste_proxy.schedule.backends import BackendCapacity
from paste_proxy.schedule.policies import NAMED, lanes_of
from paste_proxy.schedule.queue import Capacity, JointQueue, turn_lane
from paste_proxy.tools.ports import RunClass

T = TypeVar("T")

SLOTS = 64
"""Under way at once, of turns as of runs."""
TOOLS, TENANTS = 20, 10
POLICIES = (*NAMED, "semaphore:64")
LANE = turn_lane("")
MEMORY_TOKENS, PROMPT_TOKENS, GROWTH_TOKENS = 900_000, 20_000, 2_000
"""Of the engine, and of each turn: memory, too, is short."""
OPERATIONS = ("add", "remove", "release", "startable")
TARGET_US = 20.0


class Bench(ABC):
    """One queue of one policy, full from the beginning."""

    def __init__(self, policy: str, waiting: int) -> None:
        self.micros: dict[str, list[float]] = {name: [] for name in OPERATIONS}
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

    def _add(self) -> None:
        item = str(self._added)
        self._take("add", self._adding(item))
        self._added += 1
        self._place[item] = len(self._waiting)
        self._waiting.append(item)

    def _remove(self) -> None:
        item = self._rng.choice(self._waiting)
        self._take("remove", lambda: self._queue.remove(item))
        self._forget(item)

    @abstractmethod
    def _adding(self, item: str) -> Callable[[], None]:
        """What brings it."""

    @abstractmethod
    def _releasing(self, item: str) -> Callable[[], None]:
        """What ends it."""

    def _release(self) -> None:
        item = self._under_way.pop(self._rng.randrange(len(self._under_way)))
        self._take("release", self._releasing(item))

    def _start(self) -> None:
        started = self._take("startable", self._queue.startable)
        for item in started:
            self._forget(item.id)
            self._under_way.append(item.id)
            self.started += 1

    def _forget(self, item: str) -> None:
        """It waits no more: the last one takes its place."""
        place, last = self._place.pop(item), self._waiting.pop()
        if last != item:
            self._waiting[place], self._place[last] = last, place


class Turns(Bench):
    """Each of a session of its own, which is over with it."""

    def _adding(self, item: str) -> Callable[[], None]:
        at = self._added / 10
        tenant = f"tenant-{self._added % TENANTS}"
        place = Place(at, self._added)
        asked = Asked(item, item, tenant, place, at, context=PROMPT_TOKENS, growth=GROWTH_TOKENS)
        return lambda: self._queue.ask(asked, LANE)

    def _releasing(self, item: str) -> Callable[[], None]:
        def release() -> None:
            self._queue.release(item)
            self._queue.turns(LANE).over(item)

        return release


class Runs(Bench):
    def _adding(self, item: str) -> Callable[[], None]:
        tool = f"tool-{self._added % TOOLS}"
        return lambda: self._queue.add(item, tool, RunClass.AUTHORITATIVE)

    def _releasing(self, item: str) -> Callable[[], None]:
        return lambda: self._queue.release(item)


def _capacity() -> Capacity:
    """Each tool may have more than its part, so that all slots are taken."""
    return Capacity(lambda lane: SLOTS, SLOTS, 0, 0, lambda tool: 2 * SLOTS // TOOLS)


def measure(waiting: int, rounds: int, policies: Sequence[str]) -> dict[str, Any]:
    """By policy and kind: the quantiles of each operation."""
    kinds: Mapping[str, type[Bench]] = {"turns": Turns, "runs": Runs}
    benches = {(policy, kind): new(policy, waiting) for policy in policies for kind, new in kinds.items()}
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
