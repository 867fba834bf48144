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
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from paste_proxy.lab.garbage import rare_collections
from paste_proxy.lab.summary import quantile
from paste_proxy.schedule.queue import POLICIES, Capacity, JointQueue, turn_lane
from paste_proxy.tools.ports import RunClass

T = TypeVar("T")

SLOTS = 64
"""Under way at once, of turns as of runs."""
TOOLS = 20
OPERATIONS = ("add", "remove", "release", "startable")
TARGET_US = 20.0


def turns(number: int) -> str:
    return turn_lane("")


def runs(number: int) -> str:
    return f"tool-{number % TOOLS}"


class Bench:
    """One queue of one policy, full from the beginning."""

    def __init__(self, policy: str, lane_of: Callable[[int], str], waiting: int) -> None:
        self.micros: dict[str, list[float]] = {name: [] for name in OPERATIONS}
        self._queue = JointQueue(_capacity(), POLICIES[policy])
        self._lane_of = lane_of
        self._rng = random.Random(policy)
        self._added = 0
        self._waiting: list[str] = []
        self._place: dict[str, int] = {}
        """Of each that waits in that list."""
        self._under_way: list[str] = []
        for _ in range(waiting + SLOTS):
            self._add()
        self._start()

    def round(self) -> None:
        """Two come, one leaves and one starts: as many wait as before."""
        self._add()
        self._remove()
        self._add()
        self._release()
        started = self._start()
        assert started == 1, "a slot was free, and nothing took it"

    def _take(self, operation: str, work: Callable[[], T]) -> T:
        began = time.thread_time_ns()
        result = work()
        self.micros[operation].append((time.thread_time_ns() - began) / 1000)
        return result

    def _add(self) -> None:
        item, lane = str(self._added), self._lane_of(self._added)
        self._take("add", lambda: self._queue.add(item, lane, RunClass.AUTHORITATIVE))
        self._added += 1
        self._place[item] = len(self._waiting)
        self._waiting.append(item)

    def _remove(self) -> None:
        item = self._rng.choice(self._waiting)
        self._take("remove", lambda: self._queue.remove(item))
        self._forget(item)

    def _release(self) -> None:
        item = self._under_way.pop(self._rng.randrange(len(self._under_way)))
        self._take("release", lambda: self._queue.release(item))

    def _start(self) -> int:
        started = self._take("startable", self._queue.startable)
        for item in started:
            self._forget(item.id)
            self._under_way.append(item.id)
        return len(started)

    def _forget(self, item: str) -> None:
        """It waits no more: the last one takes its place."""
        place, last = self._place.pop(item), self._waiting.pop()
        if last != item:
            self._waiting[place], self._place[last] = last, place


def _capacity() -> Capacity:
    """Each tool may have more than its part, so that all slots are taken."""
    return Capacity(lambda lane: SLOTS, SLOTS, 0, 0, lambda tool: 2 * SLOTS // TOOLS)


def measure(waiting: int, rounds: int, policies: Sequence[str]) -> dict[str, Any]:
    """By policy and kind: the quantiles of each operation."""
    kinds = {"turns": turns, "runs": runs}
    benches = {
        (policy, kind): Bench(policy, lane_of, waiting)
        for policy in policies
        for kind, lane_of in kinds.items()
    }
    for bench in benches.values():
        for micros in bench.micros.values():
            micros.clear()  # filling it is not what is asked for
    with rare_collections():
        for _ in range(rounds):
            for bench in benches.values():
                bench.round()
    found: dict[str, Any] = {policy: {} for policy in policies}
    for (policy, kind), bench in benches.items():
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
    found = measure(options.waiting, options.rounds, sorted(POLICIES))
    if options.json:
        json.dump(found, sys.stdout, indent=2)
        print()
        return
    print(f"us of CPU per operation with {options.waiting:,} waiting: median (99th percentile)")
    print("\n".join(lines(found)))


if __name__ == "__main__":
    main()
