"""Tool runs that want a slot, and those that have one: of their tool, of all, of those ahead of their call.

Authoritative calls go first, then sealed ones, then what is only predicted, the worthiest first.
"""

import itertools
from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from paste_proxy.schedule.line import WaitingLine
from paste_proxy.tools.ports import RunClass

AUTHORITATIVE = RunClass.AUTHORITATIVE
Order: TypeAlias = tuple[int, float, int]


class Waiting(msgspec.Struct, frozen=True):
    """What wants to start, or does so now: a tool run (`lane` is its tool) or an LLM turn."""

    id: str
    lane: str
    run_class: RunClass = AUTHORITATIVE
    arrived: int = 0
    """Place in the order of arrival."""
    worth: float = 0.0
    """Seconds that a run ahead is expected to save: of those the worthiest goes first."""

    @property
    def order(self) -> Order:
        return (self.run_class, -self.worth, self.arrived)


class RunSlots(msgspec.Struct, frozen=True):
    runs: int
    reserve: int
    """Run slots that only authoritative work may use."""
    speculative: int
    """Runs ahead of their call, all tools together."""
    per_tool: Callable[[str], int]
    """Of each tool's, by its name. Asked anew each time: tools come and go."""


class RunQueue:
    """A line for each tool, and one of their heads: what is asked for most often, who comes next, looks at no
    tool that has no slot free, however many there are."""

    def __init__(self, slots: RunSlots) -> None:
        self._slots = slots
        self._arrivals = itertools.count()
        self._lanes: dict[str, WaitingLine[Waiting]] = {}
        self._heads: WaitingLine[Waiting] = WaitingLine()
        """Of the tools that may have a slot free, by tool."""
        self._waiting: dict[str, Waiting] = {}
        self._running: dict[str, Waiting] = {}
        self._in_lane: Counter[str] = Counter()
        self._ahead_in_lane: Counter[str] = Counter()
        """Of those in a lane the runs ahead of their call."""
        self._ahead = 0
        """Runs ahead of their call."""
        self._waiting_in_class: Counter[RunClass] = Counter()
        self._called: Counter[str] = Counter()
        """Authoritative runs that wait, by tool."""

    # -- what waits ---------------------------------------------------------------------------------------

    def add(self, item_id: str, lane: str, run_class: RunClass, worth: float) -> None:
        item = Waiting(item_id, lane, run_class, next(self._arrivals), worth)
        self._waiting[item_id] = item
        self._count_waiting(item, +1)
        line = self._lanes.get(lane)
        if line is None:
            line = self._lanes[lane] = WaitingLine()
        line.add(item_id, item, *item.order)
        if line.head() is item:
            self._offer(lane)

    def remove(self, item_id: str) -> None:
        item = self._waiting.pop(item_id)
        self._lanes[item.lane].remove(item_id)
        self._count_waiting(item, -1)
        self._offer(item.lane)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._waiting or item_id in self._running

    def waiting(self, run_class: RunClass) -> int:
        return self._waiting_in_class[run_class]

    def next(self) -> Waiting | None:
        """The first that may start; it has its slots from now on."""
        item = self._next()
        if item is None:
            return None
        self._lanes[item.lane].take()
        del self._waiting[item.id]
        self._count_waiting(item, -1)
        self._running[item.id] = item
        self._count(item, +1)
        self._offer(item.lane)
        return item

    def starved(self) -> list[Waiting]:
        """Authoritative runs at the head of their lane that find no slot, though runs ahead have some."""
        if not self._ahead:
            return []
        heads = (self._lanes[lane].head() for lane in self._called)
        return [head for head in heads if head is not None and not self._has_room(head)]

    # -- what runs ----------------------------------------------------------------------------------------

    def release(self, item_id: str) -> None:
        item = self._running.pop(item_id)
        self._count(item, -1)
        self._offer(item.lane)

    def promote(self, item_id: str) -> None:
        """The running `item_id` counts as authoritative from now on."""
        item = self._running[item_id]
        self._count(item, -1)
        self._running[item_id] = promoted = msgspec.structs.replace(item, run_class=AUTHORITATIVE)
        self._count(promoted, +1)

    def look_again(self) -> None:
        """Tools came, went or have other limits."""
        for lane in list(self._lanes):
            self._offer(lane)

    def in_lane(self, lane: str) -> int:
        return self._in_lane[lane]

    def lane_is_full(self, lane: str) -> bool:
        return self._in_lane[lane] >= self._slots.per_tool(lane)

    def pressure(self, lane: str) -> float:
        slots = self._slots
        own = self._in_lane[lane] - self._ahead_in_lane[lane]
        wanted = len(self._running) - self._ahead + self._waiting_in_class[AUTHORITATIVE]
        return max(own / slots.per_tool(lane), wanted / slots.runs)

    @property
    def speculative_limit(self) -> int:
        return self._slots.speculative

    # -- heads --------------------------------------------------------------------------------------------

    def _offer(self, lane: str) -> None:
        """It may have a slot free, or another head."""
        line, offered = self._lanes.get(lane), self._heads.find(lane)
        head = line.head() if line is not None else None
        if head is None:
            self._lanes.pop(lane, None)
        if offered is head:
            return
        if offered is not None:
            self._heads.remove(lane)
        if head is not None:
            self._heads.add(lane, head, *head.order)

    def _next(self) -> Waiting | None:
        if len(self._running) >= self._slots.runs:
            return None
        while (head := self._heads.head()) is not None:
            if not self._has_room_of_all(head):
                return None  # nor has any other: those behind are of no better class
            if self._has_room_of_tool(head):
                return head
            self._heads.remove(head.lane)  # until one of its runs ends
        return None

    def _has_room(self, item: Waiting) -> bool:
        return self._has_room_of_all(item) and self._has_room_of_tool(item)

    def _has_room_of_all(self, item: Waiting) -> bool:
        slots, runs = self._slots, len(self._running)
        if item.run_class is AUTHORITATIVE:
            return runs < slots.runs
        return runs < slots.runs - slots.reserve and self._ahead < slots.speculative

    def _has_room_of_tool(self, item: Waiting) -> bool:
        """One slot of several is kept free of what runs ahead."""
        of_tool = self._slots.per_tool(item.lane)
        kept = 0 if item.run_class is AUTHORITATIVE else min(1, of_tool - 1)
        return self._in_lane[item.lane] < of_tool - kept

    def _count(self, item: Waiting, by: int) -> None:
        self._in_lane[item.lane] += by
        if item.run_class is not AUTHORITATIVE:
            self._ahead += by
            self._ahead_in_lane[item.lane] += by

    def _count_waiting(self, item: Waiting, by: int) -> None:
        self._waiting_in_class[item.run_class] += by
        if item.run_class is AUTHORITATIVE:
            self._called[item.lane] += by
            if not self._called[item.lane]:
                del self._called[item.lane]
