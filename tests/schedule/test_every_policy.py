"""Whatever sessions and engine do, with every policy: no turn is lost or started twice, and none waits beside
an engine with nothing to do, unless for a session that is away and has a lease for a while."""

from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from paste_proxy.schedule.asked import Asked, Place
from paste_proxy.schedule.backends import BackendCapacity, BackendLoad
from paste_proxy.schedule.joint import JointLane
from paste_proxy.schedule.policies import NAMED, lanes_of
from paste_proxy.schedule.queue import Capacity, JointQueue, turn_lane

TURNS = turn_lane("")
SESSIONS = 8
"""The last of them nobody can tell."""
LONG_S = 1e6

sizes = st.integers(1, 60_000)
picks = st.integers(0, 30)


class Backend(RuleBasedStateMachine):
    """One backend, and sessions of two tenants; told to the queue as the core tells it."""

    policy: ClassVar[str]

    @initialize(
        at_once=st.sampled_from([0, 3]), memory=st.sampled_from([0, 50_000]), running=st.sampled_from([0, 2])
    )
    def begin(self, at_once: int, memory: int, running: int) -> None:
        capacity = Capacity(lambda lane: at_once, 1, 0, 0, lambda tool: 1)
        self.shares = {"one": 1.0, "two": 3.0}
        self.queue = JointQueue(capacity, lanes_of(self.policy, self.shares.__getitem__))
        self.lane = self.queue.turns(TURNS)
        self.lane.knows(BackendCapacity(memory, running))
        self.at_once = at_once
        self.now = 0.0
        self.asked = 0
        self.waits: dict[str, str] = {}
        """The session of each turn."""
        self.runs: dict[str, str] = {}

    @rule(pick=picks, size=sizes, cold=st.booleans(), returns=st.booleans(), streams=st.booleans())
    def ask(self, pick: int, size: int, *, cold: bool, returns: bool, streams: bool) -> None:
        self.asked += 1
        turn, pick = f"{self.asked}", pick % SESSIONS
        self.waits[turn] = f"s{pick}" if pick < SESSIONS - 1 else ""
        asked = Asked(
            turn,
            session=self.waits[turn],
            tenant="one" if pick < SESSIONS // 2 else "two",
            place=Place(self.now, self.asked),
            context=size,
            cold=size if cold else 0,
            returns=returns,
            streams=streams,
            priority=pick % 3,
        )
        self.queue.ask(asked, TURNS)

    @precondition(lambda self: self.waits)
    @rule(pick=picks)
    def leave(self, pick: int) -> None:
        turn = self._one_of(self.waits, pick)
        self.queue.remove(turn)
        self._rests(self.waits.pop(turn), comes=True)

    @precondition(lambda self: self.waits)
    @rule(pick=picks)
    def start(self, pick: int) -> None:
        """Its client waits no longer."""
        turn = self._one_of(self.waits, pick)
        assert self.queue.start(turn).id == turn
        self.runs[turn] = self.waits.pop(turn)

    @precondition(lambda self: self.runs)
    @rule(pick=picks, read=st.booleans())
    def go(self, pick: int, *, read: bool) -> None:
        turn = self._one_of(self.runs, pick)
        self.lane.sent(turn, self.now)
        if read:
            self.lane.read(turn)
            self.queue.moved = True

    @precondition(lambda self: self.runs)
    @rule(pick=picks, size=sizes, lost=st.sampled_from([None, 0.0, 0.5]), comes=st.booleans())
    def end(self, pick: int, size: int, lost: float | None, *, comes: bool) -> None:
        turn = self._one_of(self.runs, pick)
        self.lane.used(turn, size, 10, round(lost * size) if lost is not None else None, self.now)
        self.queue.release(turn)
        self._rests(self.runs.pop(turn), comes=comes)

    @rule(seconds=st.sampled_from([0.5, 15.0, LONG_S]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.queue.moved |= self.lane.expire(self.now)

    @rule(running=st.integers(0, 12) | st.none())
    def told(self, running: int | None) -> None:
        """By the engine: it has turns of others, too, or does not say."""
        self.lane.told(BackendLoad(running=running) if running is not None else None)
        self.queue.moved = True

    @rule()
    def lose(self) -> None:
        self.lane.lost()
        self.queue.moved = True

    @rule(memory=st.sampled_from([0, 20_000, 90_000]), running=st.sampled_from([0, 1, 4]))
    def restart(self, memory: int, running: int) -> None:
        self.lane.knows(BackendCapacity(memory, running))
        self.queue.moved = True

    @rule(share=st.sampled_from([0.5, 3.0]))
    def share(self, share: float) -> None:
        """As the operator says from now on."""
        self.shares["two"] = share
        self.queue.shares_changed()

    def _rests(self, session: str, *, comes: bool) -> None:
        if comes:
            self.lane.paused(session, 1.0, self.now, calls=True)
        else:
            self.lane.over(session, self.now)
        self.queue.moved = True

    def _one_of(self, turns: dict[str, str], pick: int) -> str:
        return list(turns)[pick % len(turns)]

    @invariant()
    def nobody_is_lost_or_waits_for_nothing(self) -> None:
        moved = self.queue.moved
        for item in self.queue.startable():
            assert moved, "nothing new may start until something moves"
            self.runs[item.id] = self.waits.pop(item.id)
            assert not self.at_once or len(self.runs) <= self.at_once
        assert (self.lane.waiting, self.lane.under_way) == (len(self.waits), len(self.runs))
        assert all(self.queue.arrived(turn) is not None for turn in self.waits)
        assert all(self.queue.arrived(turn) is None for turn in self.runs)
        assert self.lane.facts.leased_tokens >= 0
        if self.waits and not self.runs:
            assert self.lane.facts.leased, "nobody is away, and yet some wait"
            assert self.lane.next_deadline() is not None, "they wait for ever"

    @invariant()
    def tenants_wait_by_what_they_hold_for_their_shares(self) -> None:
        if isinstance(self.lane, JointLane):
            places = {tenant: entry[0] for tenant, entry in self.lane._lines.entries.items()}
            assert places == {tenant: self.lane._level(tenant) for tenant in places}

    def teardown(self) -> None:
        """All come to their turn, and leave nothing behind."""
        for _ in range(2 * self.asked):
            if self.runs:
                self.end(0, 10, None, comes=False)
            elif (due := self.lane.next_deadline()) is not None:
                self.pass_time(max(0.0, due - self.now))
            self.nobody_is_lost_or_waits_for_nothing()
        assert not self.waits
        assert not self.runs
        self.pass_time(LONG_S)
        self.pass_time(LONG_S)
        assert (self.lane.facts.leased, self.lane.facts.leased_tokens) == (0, 0)


@pytest.mark.parametrize("policy", [*NAMED, "semaphore:2"])
def test_no_turn_is_lost_or_doubled_and_none_waits_beside_an_idle_engine(policy: str) -> None:
    machine: Any = type("Backend", (Backend,), {"policy": policy})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=40, stateful_step_count=40, deadline=None)
    )
