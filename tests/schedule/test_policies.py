"""The orders by name: who goes next, on a virtual clock, and that nobody waits for ever."""

from collections.abc import Iterable

import pytest

from paste_proxy.schedule.asked import Asked, Place
from paste_proxy.schedule.backends import BackendCapacity
from paste_proxy.schedule.lanes import ENGINE_QUEUE, FILL
from paste_proxy.schedule.policies import (
    GAIN_AGEING,
    GAIN_PER_S,
    HINT_S,
    LEAST_S,
    LENGTH_AGEING,
    NAMED,
    is_policy,
    lanes_of,
)
from paste_proxy.schedule.queue import Capacity, JointQueue, turn_lane

TURNS = turn_lane("")
ALL = (*NAMED, "semaphore:2")


class Site:
    """One backend that takes one turn at a time, unless told otherwise; each turn has a session of its own."""

    def __init__(self, policy: str, at_once: int = 1) -> None:
        capacity = Capacity(lambda lane: at_once, 1, 0, 0, lambda tool: 1)
        self.queue = JointQueue(capacity, lanes_of(policy, lambda tenant: 1.0))
        self.lane = self.queue.turns(TURNS)
        self.number = 0

    def asks(self, name: str, now: float, **more: object) -> None:
        self.number += 1
        known = {"session": name, "born": now} | more
        self.queue.ask(Asked(name, place=Place(now, self.number), **known), TURNS)  # type: ignore[arg-type]

    def starts(self) -> list[str]:
        return [item.id for item in self.queue.startable()]

    def ends(self, names: Iterable[str]) -> list[str]:
        """Who starts then."""
        for name in names:
            self.queue.release(name)
            self.lane.over(name, 0.0)
        return self.starts()

    def order(self) -> list[str]:
        """In which those that wait start, one after the other."""
        gone = list[str]()
        started = self.ends(["busy"])
        while started:
            gone += started
            started = self.ends(started)
        return gone


def busy(policy: str) -> Site:
    site = Site(policy)
    site.asks("busy", -100.0)
    assert site.starts() == ["busy"]
    return site


def test_fcfs_knows_nothing_but_when_turns_came() -> None:
    site = busy("fcfs")
    site.asks("long", 0.0, seconds=50.0, served_s=50.0)
    site.asks("short", 1.0, seconds=1.0, gain_s=50.0)
    site.asks("next", 1.0)
    assert site.order() == ["long", "short", "next"]


def test_length_takes_the_shortest_first() -> None:
    site = busy("length")
    for name, seconds in [("five", 5.0), ("one", 1.0), ("three", 3.0)]:
        site.asks(name, 0.0, seconds=seconds)
    assert site.order() == ["one", "three", "five"]


def test_of_equal_lengths_the_first_to_come_goes_first_and_a_long_one_waits_for_a_while_only() -> None:
    site = busy("length")
    site.asks("long", 0.0, seconds=11.0)
    site.asks("first", 1.0, seconds=1.0)
    site.asks("second", 2.0, seconds=1.0)
    site.asks("late", 10.0 / LENGTH_AGEING + 1.0, seconds=1.0)
    assert site.order() == ["first", "second", "long", "late"]


def test_plas_takes_the_session_first_that_was_served_least() -> None:
    site = busy("plas")
    for name, served_s in [("much", 9.0), ("none", 0.0), ("some", 4.0)]:
        site.asks(name, 0.0, served_s=served_s, seconds=10.0 - served_s)
    assert site.order() == ["none", "some", "much"]


def test_a_second_of_waiting_weighs_as_much_as_one_of_service() -> None:
    site = busy("plas")
    site.asks("much", 0.0, served_s=9.0)
    site.asks("soon", 8.0)
    site.asks("later", 10.0)
    assert site.order() == ["soon", "much", "later"]


def test_paste_takes_what_hides_most_tool_time_for_its_work() -> None:
    site = busy("paste")
    for name, gain_s, seconds in [("none", 0.0, 1.0), ("much", 9.0, 3.0), ("cheap", 5.0, 1.0)]:
        site.asks(name, 0.0, gain_s=gain_s, seconds=seconds)
    assert site.order() == ["cheap", "much", "none"]


def test_no_turn_is_so_cheap_that_any_gain_goes_first() -> None:
    site = busy("paste")
    site.asks("first", 0.0, gain_s=1.0, seconds=LEAST_S)
    site.asks("nothing", 1.0, gain_s=1.0, seconds=0.0)
    assert site.order() == ["first", "nothing"]


def test_gain_passes_who_waited_a_little_longer() -> None:
    site = busy("paste")
    site.asks("plain", 0.0, seconds=1.0)
    lead_s = GAIN_PER_S * 10.0 / GAIN_AGEING
    site.asks("late", lead_s + 1.0, gain_s=10.0, seconds=1.0)
    site.asks("gains", lead_s - 1.0, gain_s=10.0, seconds=1.0)
    assert site.order() == ["gains", "plain", "late"]


@pytest.mark.parametrize("policy", ALL)
def test_a_client_s_hint_is_worth_some_seconds_with_each(policy: str) -> None:
    site = busy(policy)
    site.asks("plain", 0.0)
    site.asks("late", HINT_S + 1.0, priority=1)
    site.asks("urgent", HINT_S - 1.0, priority=1)
    site.asks("patient", -1.0, priority=-1)
    assert site.order() == ["urgent", "plain", "late", "patient"]


@pytest.mark.parametrize("policy", ALL)
def test_with_each_who_came_first_starts_before_all_who_came_long_after(policy: str) -> None:
    site = busy(policy)
    site.asks("first", 0.0, seconds=60.0, served_s=600.0, context=50_000)
    for number in range(20):
        site.asks(f"{number}", 5000.0 + number, seconds=1.0, gain_s=60.0, context=100)
    assert site.order()[0] == "first"


@pytest.mark.parametrize("policy", ["length", "plas", "paste"])
def test_what_the_engine_could_only_queue_is_held(policy: str) -> None:
    site = Site(policy, at_once=0)
    site.lane.knows(BackendCapacity(running=2))
    for number in range(9):
        site.asks(f"{number}", float(number))
    assert site.starts() == [f"{number}" for number in range(2 + ENGINE_QUEUE)]
    assert site.ends("0") == ["4"]


@pytest.mark.parametrize("policy", ["length", "plas", "paste"])
def test_so_is_what_does_not_fit_its_memory_though_not_if_it_is_alone(policy: str) -> None:
    site = Site(policy, at_once=0)
    site.lane.knows(BackendCapacity(kv_tokens=100))
    site.asks("large", 0.0, context=200)
    site.asks("small", 1.0, context=round(FILL * 100))
    site.asks("tiny", 2.0, context=1)
    assert site.starts() == ["large"]
    assert site.ends(["large"]) == ["small"]
    assert site.ends(["small"]) == ["tiny"]


def test_a_semaphore_does_not_grow_with_what_the_engine_runs_at_once() -> None:
    site = Site("semaphore:2", at_once=0)
    site.lane.knows(BackendCapacity(kv_tokens=100, running=48))
    for name in "abc":
        site.asks(name, 0.0)
    assert site.starts() == ["a", "b"]
    assert site.ends("a") == ["c"]


def test_fcfs_holds_nothing_where_no_limit_was_set() -> None:
    site = Site("fcfs", at_once=0)
    site.lane.knows(BackendCapacity(kv_tokens=100, running=2))
    for number in range(9):
        site.asks(f"{number}", 0.0, context=50)
    assert len(site.starts()) == 9


def test_a_semaphore_lets_so_many_sessions_in_and_their_next_turns_before_all_others() -> None:
    site = Site("semaphore:2", at_once=0)
    for name in "abc":
        site.asks(name, 0.0)
    assert site.starts() == ["a", "b"]
    site.queue.release("a")
    site.lane.paused("a", 1.0, 5.0, calls=True)
    assert site.starts() == [], "it comes again"
    site.asks("a2", 6.0, session="a")
    assert site.starts() == ["a2"]
    site.queue.release("a2")
    site.lane.over("a", 6.0)
    assert site.starts() == ["c"]


@pytest.mark.parametrize(
    "name", ["", "FCFS", "semaphore", "semaphore:", "semaphore:0", "semaphore:1e3", "lifo"]
)
def test_what_there_is_not(name: str) -> None:
    assert not is_policy(name)
    with pytest.raises(KeyError):
        lanes_of(name, lambda tenant: 1.0)


@pytest.mark.parametrize("name", ALL)
def test_what_there_is(name: str) -> None:
    assert is_policy(name)
