"""`joint`: who gets a lease, who keeps it, who waits, and that nobody is lost or held for nothing."""

from paste_proxy.schedule.backends import BackendCapacity, BackendLoad
from paste_proxy.schedule.joint import COLD_TOKENS, READ_S
from paste_proxy.schedule.thrash import CALM
from tests.schedule.joint_bench import MEMORY, Bench


def test_nothing_is_held_while_all_sessions_fit() -> None:
    bench = Bench()
    for name in "abcdefgh":
        bench.ask(name)
    assert bench.go() == list("abcdefgh")
    assert bench.lane.facts.leased_tokens == 80_000


def test_who_does_not_fit_waits_until_a_session_is_over() -> None:
    bench = Bench()
    turns = [bench.ask(name, 30_000) for name in "abc"]
    bench.ask("d", 30_000)
    assert bench.go() == list("abc")
    bench.answer(turns[1], "b")
    assert bench.go() == [], "b runs a tool, and comes back for what is in memory"
    bench.lane.over("b", 0.0)
    assert bench.go() == ["d"]


def test_who_has_a_lease_goes_before_all_that_have_none() -> None:
    bench = Bench()
    first = bench.ask("a", 60_000)
    assert bench.go() == ["a"]
    bench.ask("b", 60_000, born=-100.0)
    bench.answer(first, "a")
    bench.ask("a", 61_000)
    assert bench.go() == ["a"]


def test_a_session_alone_goes_however_large_it_is() -> None:
    bench = Bench()
    bench.ask("a", 2 * MEMORY)
    assert bench.go() == ["a"]


def test_sessions_that_have_grown_too_large_together_give_way_youngest_first() -> None:
    bench = Bench()
    old, young = bench.ask("old", 40_000), bench.ask("young", 40_000, born=5.0)
    assert bench.go() == ["old", "young"]
    bench.answer(old, "old")
    bench.answer(young, "young")
    bench.ask("old", 60_000)
    assert bench.go() == ["old"], "it is not the one that has to go"
    bench.ask("young", 45_000, born=5.0)
    assert bench.go() == []
    assert bench.lane.facts.parked == 1
    bench.lane.over("old", 0.0)
    bench.lane.release("old3")
    bench.lane.over("old", 0.0)
    assert bench.go() == ["young"]


def test_a_lease_ends_with_a_long_absence_and_one_that_will_be_long_gets_none() -> None:
    bench = Bench()
    bench.lane.prefill_rate = MEMORY / 10  # to read the memory again takes ten seconds
    turn = bench.ask("a", 60_000)
    bench.ask("b", 60_000, now=1.0)
    bench.ask("", 1_000)
    assert len(bench.go()) == 2, "the engine has something to do"
    bench.answer(turn, "a", now=2.0)
    assert bench.lane.next_deadline() == 12.0
    assert not bench.lane.expire(11.9)
    assert bench.lane.expire(12.0)
    assert bench.go() == ["b"]
    bench.answer("b2", "b", away_s=10.1, now=20.0)
    assert bench.lane.facts.leased == 0


def test_who_is_behind_the_common_pace_goes_first_and_nobody_waits_for_all_who_come() -> None:
    bench = Bench()
    bench.ask("busy", 90_000)
    assert bench.go() == ["busy"]
    bench.ask("much", 80_000, served_s=50.0, now=100.0, born=0.0)
    bench.ask("late", 80_000, now=120.0)
    bench.ask("little", 80_000, served_s=1.0, now=101.0, born=90.0)
    bench.ask("later", 80_000, now=200.0)
    order, turns = (
        [],
        {"busy": "busy1", "much": "much2", "late": "late3", "little": "little4", "later": "later5"},
    )
    last = "busy"
    while last != "later":
        bench.lane.release(turns[last])
        bench.lane.over(last, 0.0)
        [last] = bench.go()
        order.append(last)
    assert order == ["much", "little", "late", "later"]


def test_priority_passes_who_waited_a_little_longer() -> None:
    bench = Bench()
    bench.ask("busy", 90_000)
    bench.go()
    bench.ask("plain", 50_000, now=0.0)
    bench.ask("urgent", 50_000, now=15.0, priority=2)
    bench.lane.release("busy1")
    bench.lane.over("busy", 0.0)
    assert bench.go() == ["urgent"]


def test_what_comes_once_and_is_small_waits_for_no_lease() -> None:
    bench = Bench()
    bench.ask("a", 90_000)
    bench.ask("b", 90_000)
    assert bench.go() == ["a"]
    bench.ask("chat", 2_000, returns=False)
    assert bench.go() == ["chat"]
    bench.ask("batch", 50_000, returns=False)
    assert bench.go() == [], "what is large waits, whether it comes again or not"


def test_what_nobody_can_read_waits_for_no_lease_and_takes_room_all_the_same() -> None:
    bench = Bench()
    bench.ask("a", 50_000)
    assert bench.go() == ["a"]
    bench.ask("b", 30_000)
    unread = bench.ask("", 30_000)
    assert bench.go() == [unread]
    bench.lane.release(unread)
    assert bench.go() == ["b"]


def test_so_much_of_it_waits_like_all_others() -> None:
    bench = Bench()
    bench.ask("a", 91_000)
    bench.go()
    for number in range(10):
        bench.ask(f"chat{number}", 4_000, returns=False)
    assert len(bench.go()) == 2


def test_what_waits_for_no_lease_passes_nobody_who_came_before_and_would_fit() -> None:
    """As when it shows only with the first replies that sessions of an application come once."""
    bench = Bench(running=1)  # and two more that wait in the engine
    turns = [bench.ask(f"s{number}", 500, now=number) for number in range(5)]
    assert bench.go() == ["s0", "s1", "s2"]
    for number in range(2):
        bench.ask(f"once{number}", 500, now=10.0 + number, returns=False)
        bench.lane.release(turns[number])
        bench.lane.over(f"s{number}", 20.0)
        assert bench.go() == [f"s{3 + number}"]
    bench.lane.release(turns[2])
    bench.lane.over("s2", 20.0)
    assert bench.go() == ["once0"]


def test_tenants_get_their_shares_of_memory() -> None:
    bench = Bench(shares={"heavy": 3.0, "light": 1.0})
    for number in range(20):
        bench.ask(f"h{number}", 10_000, tenant="heavy")
        bench.ask(f"l{number}", 10_000, tenant="light")
    gone = [name[0] for name in bench.go()]
    assert (gone.count("h"), gone.count("l")) == (7, 2)


def test_who_waits_when_shares_change_has_its_place_by_the_new_ones() -> None:
    bench = Bench()
    turns = [bench.ask(name, 20_000, tenant="one") for name in "ab"]
    bench.ask("c", 50_000, tenant="two")
    assert len(bench.go()) == 3
    bench.ask("d", 20_000, tenant="one")
    bench.ask("e", 20_000, tenant="two")
    bench.shares["two"] = 4.0
    bench.lane.shares_changed()
    bench.answer(turns[0], "a")
    bench.lane.over("a", 0.0)
    assert bench.go() == ["e"], "12,500 for each part of its share; the other has 20,000"


def test_a_tenant_that_holds_more_than_its_share_gives_way_first() -> None:
    bench = Bench()
    heavy = [bench.ask(f"h{number}", 20_000, tenant="heavy") for number in range(3)]
    light = bench.ask("l", 20_000, tenant="light", born=100.0)
    assert len(bench.go()) == 4
    for number, turn in enumerate(heavy):
        bench.answer(turn, f"h{number}")
    bench.answer(light, "l")
    bench.ask("l", 40_000, tenant="light", born=100.0)
    assert bench.go() == ["l"], "the youngest of all, but within its share"
    bench.ask("h2", 20_000, tenant="heavy")
    assert bench.go() == []


COLD = COLD_TOKENS + 1


def crowded(ranks: int = 1) -> Bench:
    """More than four fifths of its budget are leased, and there is room for four cold prompts."""
    bench = Bench(round(200_000 / CALM))
    bench.lane.knows(BackendCapacity(bench.memory, ranks=ranks))
    bench.ask("big", 162_000)
    assert bench.go() == ["big"]
    return bench


def test_nothing_is_read_one_by_one_while_there_is_room() -> None:
    bench = Bench()
    for name in "ab":
        bench.ask(name, 20_000, cold=COLD)
    assert bench.go() == ["a", "b"]


def test_cold_prompts_go_one_by_one_and_hold_up_nobody_else() -> None:
    bench = crowded()
    first = bench.ask("a", COLD, cold=COLD)
    bench.ask("b", COLD, cold=COLD)
    bench.ask("c", 1_000)
    assert bench.go() == ["a", "c"]
    bench.lane.read(first)
    assert bench.go() == ["b"]


def test_an_engine_with_several_ranks_reads_as_many_cold_prompts_at_once() -> None:
    bench = crowded(ranks=2)
    turns = [bench.ask(name, COLD, cold=COLD) for name in "abcd"]
    assert bench.go() == ["a", "b"]
    bench.lane.sent(turns[0], 100.0)
    bench.lane.sent(turns[1], 101.0)
    bench.lane.read(turns[1])
    assert bench.go() == ["c"]
    assert bench.lane.next_deadline() == 100.0 + READ_S
    assert bench.lane.expire(100.0 + READ_S)
    assert bench.go() == ["d"]


def test_where_the_memory_is_not_known_nothing_is_held_until_prompts_get_lost() -> None:
    bench = Bench(memory=0)
    turns = [bench.ask(f"s{number}", 50_000) for number in range(10)]
    assert len(bench.go()) == 10
    for window in range(2):
        for number, turn in enumerate(turns):
            bench.lane.used(turn, 50_000, 100, 50_000, 20.0 * window)
            bench.answer(turn, f"s{number}", now=20.0 * window)
        turns = [bench.ask(f"s{number}", 50_100) for number in range(10)]
        bench.go()
    bench.lane.used(turns[0], 50_000, 100, 50_000, 60.0)
    assert 0 < bench.lane.facts.budget < 500_000
    bench.ask("new", 50_000)
    assert bench.go() == []


def test_a_backend_that_others_use_too_overrules_our_account() -> None:
    bench = Bench()
    bench.ask("a", 90_000)
    bench.ask("b", 90_000)
    assert bench.go() == ["a"]
    for _ in range(2):
        bench.lane.told(BackendLoad(running=10))
        assert bench.go() == []
    bench.lane.told(BackendLoad(running=10))
    assert bench.go() == ["b"]
    assert bench.lane.facts.overruled
    for _ in range(3):
        bench.lane.told(BackendLoad(running=2))
    assert not bench.lane.facts.overruled


def away(bench: Bench, times: int, *seconds: float, context: int = 30_000) -> None:
    """So many turns of each of some sessions, after each of which it is away for so long."""
    for _ in range(times):
        for number, away_s in enumerate(seconds):
            name = f"a{number}"
            turn = bench.ask(name, context)
            bench.go()
            bench.answer(turn, name, away_s)


def reads_its_memory_in(seconds: float) -> Bench:
    bench = Bench()
    bench.lane.prefill_rate = MEMORY / seconds
    return bench


def test_what_the_engine_reads_again_sooner_than_sessions_come_back_keeps_nobody_waiting() -> None:
    bench = reads_its_memory_in(2.0)
    away(bench, 64, 3.0)
    assert bench.lane.facts.budget == 0
    bench.ask("b", 30_000)
    bench.ask("c", 70_000)
    assert bench.go() == ["b", "c"], "away for longer than it takes to read the whole memory again"


def test_where_sessions_come_back_sooner_there_is_a_budget_again() -> None:
    bench = reads_its_memory_in(2.0)
    away(bench, 64, 3.0)
    away(bench, 64, 1.0)
    bench.ask("b", 70_000)
    assert bench.go() == []


def test_small_sessions_with_slow_tools_change_little() -> None:
    bench = reads_its_memory_in(10.0)
    away(bench, 64, 600.0, context=1_000)
    assert bench.lane.facts.budget > 0


def test_how_long_a_tool_runs_of_which_nothing_is_known_changes_nothing() -> None:
    bench = reads_its_memory_in(2.0)
    away(bench, 64, 3.0)
    away(bench, 64, 0.0)
    assert bench.lane.facts.budget == 0


def test_a_turn_that_must_go_goes_without_a_lease() -> None:
    bench = Bench()
    bench.ask("a", 90_000)
    late = bench.ask("b", 90_000)
    assert bench.go() == ["a"]
    assert bench.lane.find(late) is not None
    bench.lane.start(late)
    assert bench.lane.find(late) is None
    assert bench.lane.under_way == 2
    assert bench.lane.facts.leased == 1
    bench.answer(late, "b")


def test_a_cold_prompt_that_is_not_read_in_time_holds_up_the_next_no_longer() -> None:
    bench = crowded()
    first = bench.ask("a", COLD, cold=COLD)
    bench.ask("b", COLD, cold=COLD)
    assert bench.go() == ["a"]
    assert bench.lane.next_deadline() is None, "it is not even sent"
    bench.lane.sent(first, 100.0)
    assert bench.lane.next_deadline() == 100.0 + READ_S
    assert not bench.lane.expire(99.0 + READ_S)
    assert bench.lane.expire(100.0 + READ_S)
    assert bench.go() == ["b"]


def test_a_reply_that_does_not_stream_says_nothing_of_its_prompt_so_nobody_waits_for_that() -> None:
    bench = crowded()
    for name in "ab":
        bench.ask(name, COLD, cold=COLD, streams=False)
    assert bench.go() == ["a", "b"]


def two_of_one_session() -> tuple[Bench, str, str]:
    """Its first turn has got it a lease, the second waits yet: all places are taken."""
    bench = Bench(running=1)
    others = [bench.ask(f"{number}", 1_000) for number in range(3)]
    first, second = bench.ask("a", 5_000), bench.ask("a", 5_000)
    bench.go()
    bench.answer(others[0], "0")
    assert bench.go() == ["a"]
    return bench, first, second


def test_a_turn_that_must_go_counts_for_the_lease_that_its_session_has() -> None:
    bench, first, second = two_of_one_session()
    bench.lane.start(second)
    bench.lane.release(first)
    bench.lane.over("a", 0.0)
    bench.lane.release(second)
    bench.lane.over("a", 0.0)
    assert bench.lane.facts.leased == 3


def test_a_lease_does_not_end_while_a_turn_of_its_session_is_under_way() -> None:
    bench, first, second = two_of_one_session()
    bench.answer(first, "a")
    assert bench.go() == ["a"]
    bench.lane.expire(1e9)
    bench.answer(second, "a", now=1e9)
    assert bench.lane.facts.leased == 3
