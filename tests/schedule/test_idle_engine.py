"""`joint` beside an engine with nothing to do: how long the sessions that are away keep one that waits."""

from paste_proxy.schedule.joint import SLOW_RATE
from tests.schedule.joint_bench import MEMORY, Bench


def away_beside_one_who_waits() -> Bench:
    """The engine reads 10,000 tokens a second; `a` went, then `b`, and `c` needs nearly half of the memory."""
    bench = Bench()
    bench.lane.prefill_rate = 10_000.0
    first, second = bench.ask("a", 45_000), bench.ask("b", 45_000)
    assert bench.go() == ["a", "b"]
    for turn in (first, second):
        bench.lane.sent(turn, 0.0)
    bench.answer(first, "a", now=1.0)
    bench.answer(second, "b", now=2.0)
    bench.ask("c", 40_000, now=2.5)
    assert bench.go() == []
    return bench


def test_an_engine_with_nothing_to_do_waits_for_those_away_no_longer_than_it_takes_to_read_them_again() -> None:
    bench = away_beside_one_who_waits()
    assert bench.lane.next_deadline() == 2.0 + 4.0
    assert not bench.lane.expire(5.9)
    assert bench.lane.expire(6.0)
    assert bench.go() == ["c"]
    assert bench.lane.facts.leased == 2, "a has gone first, and that is enough"
    bench.ask("b", 46_000)
    assert bench.go() == ["b"]


def test_who_comes_back_before_finds_the_lease_and_the_engine_is_busy_again() -> None:
    bench = away_beside_one_who_waits()
    back = bench.ask("b", 46_000)
    assert bench.go() == ["b"]
    bench.lane.sent(back, 5.0)
    assert not bench.lane.expire(6.0)
    assert bench.go() == []
    bench.answer(back, "b", now=7.0)
    assert bench.lane.next_deadline() == 1.0 + MEMORY / 10_000.0, "a is away for too long before that"
    assert bench.lane.expire(11.0)
    assert bench.go() == ["c"]


def test_an_engine_to_which_a_turn_is_on_its_way_has_something_to_do() -> None:
    bench = away_beside_one_who_waits()
    bench.ask("b", 46_000)
    assert bench.go() == ["b"]
    assert bench.lane.next_deadline() == 1.0 + MEMORY / 10_000.0, "a is away for too long"
    assert not bench.lane.expire(6.0)
    assert bench.go() == []


def test_where_the_rate_is_not_known_an_idle_engine_waits_as_one_that_reads_slowly() -> None:
    bench = Bench()
    turn = bench.ask("a", 60_000)
    assert bench.go() == ["a"]
    bench.lane.sent(turn, 0.0)
    bench.answer(turn, "a", now=2.0)
    bench.ask("b", 60_000, now=2.0)
    assert bench.lane.next_deadline() == 2.0 + 60_000 / SLOW_RATE


def test_a_turn_that_never_went_leaves_the_engine_idle_since_before() -> None:
    bench = away_beside_one_who_waits()
    bench.lane.start("c3")
    bench.answer("c3", "c", now=5.0)
    bench.ask("d", 40_000, now=5.5)
    assert bench.lane.next_deadline() == 6.0
