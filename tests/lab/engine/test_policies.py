"""In which order requests leave the engine's queue."""

from paste_proxy.lab.engine.cache import Message
from paste_proxy.lab.engine.policies import MATCHED_AT_MOST, looks_for_prefixes, ordered
from paste_proxy.lab.engine.requests import EngineRequest, Tracked, tracked
from paste_proxy.lab.engine.spec import PolicyName


def waiting(rid: str, tokens: int, *, priority: int = 0, prefilled: int = 0) -> Tracked:
    request = EngineRequest(rid, (Message(rid, tokens),), (1,), rid + " reply", priority)
    return tracked(request, 0, prefilled, 1)


def order(policy: PolicyName, *requests: Tracked, cached: dict[str, int] | None = None, now: int = 0) -> str:
    there = cached or {}
    return "".join(one.rid for one in ordered(policy, requests, lambda one: there.get(one.rid, 0), now))


def test_first_come_first_served() -> None:
    assert order("fcfs", waiting("a", 9), waiting("b", 1), cached={"b": 1}) == "ab"


def test_the_longest_prefix_goes_first_and_equal_ones_as_they_came() -> None:
    requests = waiting("a", 9), waiting("b", 9), waiting("c", 9), waiting("d", 9)
    assert order("lpm", *requests, cached={"b": 3, "c": 5, "d": 3}) == "cbda"


def test_the_highest_response_ratio_goes_first() -> None:
    """`a` waits for twice its work, `b` for a tenth of its; of `c` nothing is to be read at all."""
    requests = waiting("b", 1000, prefilled=0), waiting("a", 50), waiting("c", 10, prefilled=100)
    assert order("hrrn", *requests, cached={"c": 10}, now=100) == "cab"


def test_the_shortest_prefill_counts_what_has_to_be_read_again() -> None:
    again = waiting("a", 10)
    again.written = 90.0
    assert order("shortest-prefill-first", again, waiting("b", 60), waiting("c", 80), cached={"c": 70}) == "cba"


def test_the_highest_priority_goes_first_and_equal_ones_as_they_came() -> None:
    requests = waiting("a", 1), waiting("b", 1, priority=2), waiting("c", 1, priority=2)
    assert order("priority", *requests) == "bca"


def test_in_a_long_queue_nobody_looks_for_prefixes_but_the_shortest_prefill() -> None:
    requests = [waiting(f"{number:04}", 9) for number in range(MATCHED_AT_MOST + 1)]
    last = requests[-1].rid
    assert not order("lpm", *requests, cached={last: 5}).startswith(last)
    assert order("shortest-prefill-first", *requests, cached={last: 5}).startswith(last)
    assert looks_for_prefixes("lpm", MATCHED_AT_MOST)
    assert not looks_for_prefixes("hrrn", MATCHED_AT_MOST + 1)
    assert not looks_for_prefixes("fcfs", 1)
