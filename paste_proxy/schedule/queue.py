"""One queue for LLM turns and tool runs, with the slots that they occupy.

Sans-IO: `add` what wants to start, `startable` gives what may start now, `release` gives a slot back.
Each lane (the turns of one backend, or the runs of one tool) is ordered by the policy; a free slot goes to the
first of all lanes that have room, so nothing waits beside a free slot that it could use.
"""

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec

from paste_proxy.tools.ports import RunClass

TURNS = "turns:"
"""Begins the names of lanes of turns; every other lane has its tool's name, in which there is no colon."""


def turn_lane(backend: str) -> str:
    """The lane of the turns of one backend."""
    return TURNS + backend


def is_turns(lane: str) -> bool:
    return lane.startswith(TURNS)


class Waiting(msgspec.Struct, frozen=True):
    """Something that wants to start: an LLM turn (in its backend's `turn_lane`) or a tool run."""

    id: str
    lane: str
    run_class: RunClass
    arrived: int = 0
    """Place in the order of arrival."""
    worth: float = 0.0
    """Seconds that a run ahead is expected to save: of those the worthiest goes first."""


Policy: TypeAlias = Callable[[Waiting], tuple[float, ...]]


def fcfs(item: Waiting) -> tuple[float, ...]:
    """First come, first served, inside each class; what is only predicted by its worth."""
    return (item.run_class, -item.worth, item.arrived)


POLICIES: Mapping[str, Policy] = {"fcfs": fcfs}


class Capacity(msgspec.Struct, frozen=True):
    """Slots. Zero turns means no limit: the engine's own queue orders them."""

    turns: Callable[[str], int]
    """Of each lane of turns. Asked anew each time: backends come and go."""
    runs: int
    reserve: int
    """Run slots that only authoritative work may use."""
    speculative: int
    """Runs ahead of their call, all tools together."""
    per_tool: Callable[[str], int]
    """Of each tool's, by its name. Asked anew each time: tools come and go."""


class JointQueue:
    def __init__(self, capacity: Capacity, policy: Policy = fcfs) -> None:
        self.moved = False
        """Something came, went or got another class since `startable` was asked: the answer may be another."""
        self._capacity = capacity
        self._policy = policy
        self._arrivals = itertools.count()
        self._entries = itertools.count()
        self._lanes: dict[str, list[tuple[tuple[float, ...], int, Waiting]]] = {}
        """Heaps; the number between parts two of one place, of which one has taken over the other's."""
        self._waiting: dict[str, Waiting] = {}
        self._running: dict[str, Waiting] = {}
        self._in_lane: Counter[str] = Counter()
        self._ahead_in_lane: Counter[str] = Counter()
        """Of those in a lane the runs ahead of their call."""
        self._in_class: Counter[RunClass] = Counter()
        self._runs_waiting: Counter[RunClass] = Counter()

    def add(
        self, item_id: str, lane: str, run_class: RunClass, worth: float = 0.0, arrived: int | None = None
    ) -> None:
        """`arrived`: the place of another that it takes over."""
        place = next(self._arrivals) if arrived is None else arrived
        item = Waiting(item_id, lane, run_class, place, worth)
        self._wait(item)
        heapq.heappush(self._lanes.setdefault(lane, []), (self._policy(item), next(self._entries), item))

    def remove(self, item_id: str) -> None:
        """`item_id` does not want to start any more. Its heap entry is dropped when it comes up."""
        self._stop_waiting(self._waiting[item_id])

    def waiting(self, run_class: RunClass) -> int:
        """Tool runs of a class that wait."""
        return self._runs_waiting[run_class]

    def arrived(self, item_id: str) -> int | None:
        """Its place in the order of arrival; None if it does not wait."""
        item = self._waiting.get(item_id)
        return item.arrived if item is not None else None

    def start(self, item_id: str) -> Waiting:
        """`item_id` starts, whether there is a slot or not, and whatever the policy says."""
        item = self._waiting[item_id]
        self._occupy(item)
        return item

    def release(self, item_id: str) -> None:
        """`item_id` has ended: its slot is free."""
        self._count(self._running.pop(item_id), -1)

    def promote(self, item_id: str) -> None:
        """The running `item_id` counts as authoritative from now on."""
        item = self._running[item_id]
        self._count(item, -1)
        self._running[item_id] = promoted = msgspec.structs.replace(item, run_class=RunClass.AUTHORITATIVE)
        self._count(promoted, +1)

    def startable(self) -> list[Waiting]:
        """Everything that may start now, in order; it occupies its slots from now on."""
        started = []
        while (item := self._next()) is not None:
            heapq.heappop(self._lanes[item.lane])
            self._occupy(item)
            started.append(item)
        self.moved = False
        return started

    def starved(self) -> list[Waiting]:
        """Authoritative runs at the head of their lane that find no slot, though speculation holds some."""
        if not self._waiting:
            return []
        heads = (self._head(lane) for lane in list(self._lanes) if not is_turns(lane))
        return [
            head
            for head in heads
            if head is not None and head.run_class is RunClass.AUTHORITATIVE and not self._has_room(head)
        ]

    def lane_is_full(self, lane: str) -> bool:
        """Is it the tool's own limit that is reached (rather than the overall one)?"""
        return self._in_lane[lane] >= self._capacity.per_tool(lane)

    def under_way(self, lane: str) -> int:
        """Those of the lane that have a slot."""
        return self._in_lane[lane]

    def pressure(self, lane: str) -> float:
        """The share of slots for runs, those of the lane or those of all, that authoritative work has or waits
        for; whichever is larger."""
        limits = self._capacity
        own = self._in_lane[lane] - self._ahead_in_lane[lane]
        wanted = self._in_class[RunClass.AUTHORITATIVE] + self._runs_waiting[RunClass.AUTHORITATIVE]
        return max(own / limits.per_tool(lane), wanted / limits.runs)

    @property
    def speculative_limit(self) -> int:
        """Runs ahead of their call that may be under way at once."""
        return self._capacity.speculative

    def _occupy(self, item: Waiting) -> None:
        self._stop_waiting(item)
        self._running[item.id] = item
        self._count(item, +1)

    def _next(self) -> Waiting | None:
        if not self._waiting:
            return None
        heads = (self._head(lane) for lane in list(self._lanes))
        ready = [head for head in heads if head is not None and self._has_room(head)]
        return min(ready, key=self._policy, default=None)

    def _head(self, lane: str) -> Waiting | None:
        heap = self._lanes[lane]
        while heap and self._waiting.get(heap[0][2].id) is not heap[0][2]:
            heapq.heappop(heap)
        if not heap:
            del self._lanes[lane]
            return None
        return heap[0][2]

    def _has_room(self, item: Waiting) -> bool:
        limits = self._capacity
        if is_turns(item.lane):
            most = limits.turns(item.lane)
            return not most or self._in_lane[item.lane] < most
        ahead = item.run_class is not RunClass.AUTHORITATIVE
        runs = sum(self._in_class.values())
        of_tool = limits.per_tool(item.lane)
        if runs >= limits.runs - (limits.reserve if ahead else 0):
            return False
        if self._in_lane[item.lane] >= of_tool - (min(1, of_tool - 1) if ahead else 0):
            return False
        return not ahead or runs - self._in_class[RunClass.AUTHORITATIVE] < limits.speculative

    def _wait(self, item: Waiting) -> None:
        self.moved = True
        self._waiting[item.id] = item
        if not is_turns(item.lane):
            self._runs_waiting[item.run_class] += 1

    def _stop_waiting(self, item: Waiting) -> None:
        self.moved = True
        del self._waiting[item.id]
        if not is_turns(item.lane):
            self._runs_waiting[item.run_class] -= 1

    def _count(self, item: Waiting, by: int) -> None:
        self.moved = True
        self._in_lane[item.lane] += by
        if not is_turns(item.lane):
            self._in_class[item.run_class] += by
            if item.run_class is not RunClass.AUTHORITATIVE:
                self._ahead_in_lane[item.lane] += by
