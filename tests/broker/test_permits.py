"""What is put off: by budgets, by waste, by the operator's switch, by a second look at what was released."""

import msgspec

from paste_proxy.broker.keys import call_key
from paste_proxy.broker.permits import EVERY_TOOL
from paste_proxy.broker.speculation import PendingCall
from paste_proxy.config import BudgetConfig
from paste_proxy.tools.table import ToolTable
from tests.broker.desk import READ, S1, S2, Desk


def test_a_guess_beyond_the_budget_is_not_taken_on() -> None:
    desk = Desk(budgets={"session": BudgetConfig(concurrent=1)})
    assert desk.guess(1) == ["start run-1 read speculative"]
    assert desk.guess(2) == []
    assert desk.guess(2, S2) == ["start run-2 read speculative"]
    desk.ended("run-1")
    assert desk.guess(3) == ["start run-3 read speculative"]


def test_a_sealed_call_needs_no_budget_and_gives_its_guess_back() -> None:
    desk = Desk(budgets={"session": BudgetConfig(concurrent=1)})
    desk.guess(1)
    assert desk.guess(2, sealed=True) == ["start run-2 read decided"]
    desk.call("c", 1)
    desk.guess(3)
    assert desk.broker.live == 2


def test_a_guess_that_waits_counts_until_it_is_sealed() -> None:
    desk = Desk(slots=1, budgets={"session": BudgetConfig(concurrent=2, per_minute=2)})
    desk.guess(1)
    desk.guess(2)
    assert desk.guess(3) == []
    desk.guess(2, sealed=True)
    desk.guess(3)
    assert desk.broker.live == 3


def test_runs_that_serve_nobody_put_their_tool_off() -> None:
    desk = Desk(waste=1.0)
    for number in range(20):
        desk.guess(number)
        desk.ended(f"run-{number + 1}")
        desk.broker.discard_session("s1", desk.now)
    assert desk.guess(99) == []
    assert desk.broker.permits.reasons() == {"read": "waste"}
    assert desk.guess(99, sealed=True) != []


def test_the_switch_ends_what_runs_ahead_and_lets_nothing_begin() -> None:
    desk = Desk()
    desk.guess(1)
    desk.guess(1, tool="fast")
    desk.broker.switch("read", desk.now, on=False)
    assert desk.decisions() == ["cancel run-1"]
    assert desk.guess(2) == []
    assert desk.call("c", 1) == ["start run-3 read authoritative"]
    desk.broker.switch("read", desk.now, on=True)
    assert desk.guess(2) == ["start run-4 read speculative"]


def test_the_switch_for_all_outlasts_those_of_tools() -> None:
    desk = Desk()
    desk.guess(1)
    desk.broker.switch(EVERY_TOOL, desk.now, on=False)
    assert desk.decisions() == ["cancel run-1"]
    desk.broker.switch("read", desk.now, on=True)
    assert desk.guess(1) == desk.guess(1, sealed=True) == []
    desk.broker.switch(EVERY_TOOL, desk.now, on=True)
    assert desk.guess(1) == ["start run-2 read speculative"]


# -- a second look ----------------------------------------------------------------------------------------


def hit(desk: Desk, k: int = 1) -> list[str]:
    """A guess that is right. What follows upon its answer."""
    [started] = desk.guess(k)
    desk.ended(started.split()[1])
    answer, *more = desk.call(f"c{k}", k)
    assert answer.startswith(f"answer c{k} reused")
    return more


def test_a_hit_is_run_again_and_the_same_result_changes_nothing() -> None:
    desk = Desk(sample=1.0)
    assert hit(desk) == ["start run-2 read speculative"]
    assert desk.ended("run-2") == []
    assert desk.broker.sampling.tallies["read"].taken == 1
    assert desk.guess(2) != []


def test_a_tool_that_gives_something_else_runs_ahead_no_more() -> None:
    desk = Desk(sample=1.0)
    hit(desk)
    desk.guess(2)
    assert desk.ended("run-2", "another result") == ["cancel run-3"]
    assert desk.guess(3) == []
    assert desk.broker.permits.reasons() == {"read": "volatile"}
    assert desk.call("c2", 2) == ["start run-4 read authoritative"]


def test_a_difference_that_a_write_explains_says_nothing() -> None:
    desk = Desk(sample=1.0)
    hit(desk)
    desk.broker.begin_write(frozenset("a"), desk.now)
    desk.broker.end_write(frozenset("a"), desk.now)
    desk.ended("run-2", "another result")
    assert desk.broker.permits.reasons() == {}


def test_a_second_look_that_fails_says_nothing() -> None:
    desk = Desk(sample=1.0)
    hit(desk)
    desk.ended("run-2", None)
    assert (desk.broker.permits.reasons(), desk.broker.sampling.tallies["read"].taken) == ({}, 0)


def test_a_second_look_is_the_first_to_make_room() -> None:
    desk = Desk(slots=1, sample=1.0)
    hit(desk)
    assert desk.call("other", 7) == ["cancel run-2", "start run-3 read authoritative"]
    assert desk.broker.ledger.unused["speculative"] == 0


def test_a_second_look_that_finds_no_slot_is_left_out() -> None:
    desk = Desk(slots=1, sample=1.0)
    desk.guess(1)
    desk.ended("run-1")
    desk.call("other", 7)
    assert desk.call("c", 1)[0].startswith("answer c reused")
    desk.at(3.0)
    assert desk.ended("run-2") == ["answer other executed result 3 0"]


def test_the_switch_lets_no_second_look_begin() -> None:
    """The call had joined its run before, and so gets its result."""
    desk = Desk(sample=1.0)
    desk.guess(1)
    desk.call("c", 1)
    desk.broker.switch("read", desk.now, on=False)
    assert desk.ended("run-1") == ["answer c joined result 0 0"]


def test_a_second_look_counts_against_the_budgets() -> None:
    desk = Desk(sample=1.0, budgets={"tool": BudgetConfig(per_minute=2)})
    assert hit(desk) == ["start run-2 read speculative"]
    assert desk.guess(2) == [], "both are spent"
    desk.at(30)
    assert hit(desk, 3) == [], "nothing is left for a second look"


def test_a_second_look_that_ends_makes_room_in_its_budget() -> None:
    desk = Desk(sample=1.0, budgets={"tool": BudgetConfig(concurrent=1)})
    for number in range(1, 4):
        [again] = hit(desk, number)
        assert desk.guess(99) == []
        desk.ended(again.split()[1])


def test_a_second_look_that_never_began_gives_back_what_it_had() -> None:
    desk = Desk(slots=1, sample=1.0, budgets={"tool": BudgetConfig(concurrent=1, per_minute=2)})
    desk.guess(1)
    desk.ended("run-1")
    desk.call("other", 7)
    desk.call("c", 1)
    desk.at(3.0)
    desk.ended("run-2")
    assert desk.guess(3) != []


def test_what_a_second_look_costs_is_told() -> None:
    desk = Desk(sample=1.0)
    desk.broker.specs = ToolTable({"read": msgspec.structs.replace(READ, price=2.0)})
    desk.guess(1)
    desk.ended("run-1")
    spec = desk.broker.specs["read"]
    key = call_key(S1.tenant, S1.session, spec, {"k": 1})
    desk.broker.call(PendingCall("c", spec, {"k": 1}, S1, key, desk.now, None), desk.now)
    desk.decisions()
    desk.ended("run-2")
    assert desk.broker.ledger.wasted_price == 2.0


def test_a_tool_that_is_another_now_is_judged_anew() -> None:
    desk = Desk(sample=1.0)
    hit(desk)
    desk.ended("run-2", "another result")
    desk.broker.permits.offered(READ)
    assert desk.broker.permits.reasons() == {"read": "volatile"}
    desk.broker.permits.offered(msgspec.structs.replace(READ, description="reads elsewhere"))
    assert desk.broker.permits.reasons() == {}


def test_what_unused_runs_cost_is_told_by_tool() -> None:
    desk = Desk()
    desk.guess(1)
    desk.broker.discard_session("s1", desk.now)
    assert desk.broker.ledger.unused_of == {"read": 1}
