"""One queue for LLM turns and tool runs, with the slots that they occupy.

Sans-IO: `ask` and `add` what wants to start, `startable` gives what may start now, `release` gives a slot back.
A turn waits in its backend's lane (`lanes.py`), a run in its tool's (`runs.py`). Nothing waits beside a free
slot that it could use, unless the policy holds its session back for the engine's memory.
"""

from collections.abc import Callable
from functools import partial

import msgspec

from paste_proxy.schedule.asked import Asked, Place
from paste_proxy.schedule.lanes import Lane
from paste_proxy.schedule.policies import NewLane, lanes_of
from paste_proxy.schedule.runs import RunQueue, RunSlots, Waiting
from paste_proxy.tools.ports import RunClass

TURNS = "turns:"
"""Begins the names of lanes of turns; every other lane has its tool's name, in which there is no colon."""


def turn_lane(backend: str) -> str:
    """The lane of the turns of one backend."""
    return TURNS + backend


def is_turns(lane: str) -> bool:
    return lane.startswith(TURNS)


class Capacity(msgspec.Struct, frozen=True):
    """Slots. Zero turns means no limit of our own."""

    turns: Callable[[str], int]
    """Of each lane of turns. Asked anew each time: backends come and go."""
    runs: int
    reserve: int
    """Run slots that only authoritative work may use."""
    speculative: int
    """Runs ahead of their call, all tools together."""
    per_tool: Callable[[str], int]
    """Of each tool's, by its name. Asked anew each time: tools come and go."""


def _everybody(_tenant: str) -> float:
    return 1.0


class JointQueue:
    def __init__(self, capacity: Capacity, new_lane: NewLane | None = None) -> None:
        """`new_lane`: by the policy; None: `fcfs`."""
        self.moved = False
        """Something came, went or got another class since `startable` was asked: the answer may be another."""
        self._capacity = capacity
        self._new_lane = new_lane or lanes_of("fcfs", _everybody)
        self._turn_lanes: dict[str, Lane] = {}
        self._lane_of: dict[str, tuple[str, Lane]] = {}
        """Of each turn that waits or is under way, with its name."""
        self._runs = RunQueue(
            RunSlots(capacity.runs, capacity.reserve, capacity.speculative, capacity.per_tool)
        )

    # -- turns --------------------------------------------------------------------------------------------

    def turns(self, lane: str) -> Lane:
        """Where the turns of one backend wait."""
        found = self._turn_lanes.get(lane)
        if found is None:
            found = self._turn_lanes[lane] = self._new_lane(partial(self._capacity.turns, lane))
        return found

    @property
    def turn_lanes(self) -> dict[str, Lane]:
        """By name, as far as there were turns."""
        return self._turn_lanes

    def retire(self, lane: str) -> None:
        """Nothing waits there any more, nor ever will; what is under way ends with the lane that it has."""
        self._turn_lanes.pop(lane, None)

    def shares_changed(self) -> None:
        """Of tenants."""
        self.moved = True
        for lane in self._turn_lanes.values():
            lane.shares_changed()

    def ask(self, asked: Asked, lane: str) -> None:
        """A turn wants to go to its backend."""
        self.moved = True
        found = self.turns(lane)
        self._lane_of[asked.id] = (lane, found)
        found.add(asked)

    def arrived(self, turn: str) -> Place | None:
        """Its place in the order of arrival; None if it does not wait."""
        known = self._lane_of.get(turn)
        asked = known[1].find(turn) if known is not None else None
        return asked.place if asked is not None else None

    def start(self, turn: str) -> Waiting:
        """It goes now, whether there is a slot or not, and whatever the policy says."""
        self.moved = True
        name, lane = self._lane_of[turn]
        lane.start(turn)
        return Waiting(turn, name)

    # -- runs ---------------------------------------------------------------------------------------------

    def add(self, item_id: str, lane: str, run_class: RunClass, worth: float = 0.0) -> None:
        self.moved = True
        self._runs.add(item_id, lane, run_class, worth)

    def promote(self, item_id: str) -> None:
        """The running `item_id` counts as authoritative from now on."""
        self.moved = True
        self._runs.promote(item_id)

    def waiting(self, run_class: RunClass) -> int:
        """Tool runs of a class that wait."""
        return self._runs.waiting(run_class)

    def starved(self) -> list[Waiting]:
        """Authoritative runs at the head of their lane that find no slot, though speculation holds some."""
        return self._runs.starved()

    def look_again(self) -> None:
        """Limits have changed: tools came or went, a backend said what it can hold."""
        self.moved = True
        self._runs.look_again()

    def lane_is_full(self, lane: str) -> bool:
        """Is it the tool's own limit that is reached (rather than the overall one)?"""
        return self._runs.lane_is_full(lane)

    def pressure(self, lane: str) -> float:
        """The share of slots for runs, those of the lane or those of all, that authoritative work has or waits
        for; whichever is larger."""
        return self._runs.pressure(lane)

    @property
    def speculative_limit(self) -> int:
        """Runs ahead of their call that may be under way at once."""
        return self._runs.speculative_limit

    # -- both ---------------------------------------------------------------------------------------------

    def remove(self, item_id: str) -> None:
        """`item_id` does not want to start any more."""
        self.moved = True
        if (known := self._lane_of.pop(item_id, None)) is not None:
            known[1].remove(item_id)
        else:
            self._runs.remove(item_id)

    def release(self, item_id: str) -> None:
        """`item_id` has ended: its slot is free."""
        self.moved = True
        if (known := self._lane_of.pop(item_id, None)) is not None:
            known[1].release(item_id)
        else:
            self._runs.release(item_id)

    def under_way(self, lane: str) -> int:
        """Those of the lane that have a slot."""
        return self.turns(lane).under_way if is_turns(lane) else self._runs.in_lane(lane)

    def startable(self) -> list[Waiting]:
        """Everything that may start now, in order; it occupies its slots from now on."""
        started = []
        for name, lane in self._turn_lanes.items():
            while (asked := lane.next()) is not None:
                started.append(Waiting(asked.id, name))
        while (item := self._runs.next()) is not None:
            started.append(item)
        self.moved = False
        return started
