"""Speculations behind speculations: how a chain's parts end."""

import pytest

from paste_proxy.broker.lifecycle import State, Trigger
from paste_proxy.broker.speculation import Speculation
from paste_proxy.predict.model import Call
from paste_proxy.tools.ports import RunClass
from tests.broker.desk import S1, Desk

PARENT = {("read", '{"k":1}')}


def taken(desk: Desk, k: int, parent: Speculation | None = None) -> Speculation:
    found = desk.broker.offer(S1, Call("read", {"k": k}), RunClass.SPECULATIVE, desk.now, parent=parent)
    assert found is not None
    return found


def chain(desk: Desk, length: int = 2) -> list[Speculation]:
    """All staged; each behind the one before."""
    found: list[Speculation] = []
    for k in range(1, length + 1):
        found.append(taken(desk, k, found[-1] if found else None))
        desk.decisions()
        desk.ended(found[-1].id, "r")
    return found


@pytest.mark.parametrize("trigger", [Trigger.EXPIRE, Trigger.VOID, Trigger.DISCARD])
def test_what_is_chained_ends_with_what_it_is_chained_to(trigger: Trigger) -> None:
    desk = Desk()
    first, second, third = chain(desk, 3)
    match trigger:
        case Trigger.EXPIRE:
            desk.at(first.expires)
        case Trigger.VOID:
            desk.broker.begin_write(frozenset("a"), desk.now)
        case Trigger.DISCARD:
            desk.broker.discard(first, desk.now)
    assert not first.is_live
    assert not second.is_live
    assert not third.is_live
    assert desk.broker.live == 0
    assert desk.broker.staging.total_bytes == 0


def test_a_run_that_is_chained_is_stopped_with_what_it_is_chained_to() -> None:
    desk = Desk()
    [first] = chain(desk, 1)
    second = taken(desk, 2, first)
    desk.decisions()
    desk.broker.discard(first, desk.now)
    assert second.state is State.DISCARDED
    assert desk.decisions() == [f"cancel {second.id}"]


def test_once_its_first_call_is_claimed_the_rest_is_as_any_other() -> None:
    desk = Desk()
    _, second, third = chain(desk, 3)
    assert desk.call("c1") == ["answer c1 reused r 0 0"]
    assert second.is_live
    assert (second.parent, third.parent) == (None, second)
    desk.broker.end_chains("s1", PARENT, desk.now)
    assert [one.is_live for one in (second, third)] == [True, True], "they are for later turns"
    desk.broker.discard_waiting("s1", desk.now)
    assert desk.call("c2", 2) == ["answer c2 reused r 0 0"]
    assert desk.call("c3", 3) == ["answer c3 reused r 0 0"]
    assert desk.broker.ledger.chained == {"started": 2, "claimed": 2}


def test_a_turn_that_did_not_ask_for_the_first_ends_what_is_behind_it() -> None:
    desk = Desk()
    first, second, third = chain(desk, 3)
    desk.broker.end_chains("s1", PARENT, desk.now)
    assert second.is_live
    assert third.is_live
    desk.broker.end_chains("s2", set(), desk.now)
    desk.broker.end_chains("s1", set(), desk.now)
    assert [one.is_live for one in (first, second, third)] == [True, False, False]


def test_what_is_expected_in_its_own_right_meanwhile_is_chained_no_more() -> None:
    desk = Desk()
    first, second = chain(desk)
    assert desk.guess(2) == []
    assert second.parent is None
    desk.broker.discard(first, desk.now)
    assert second.is_live


def test_what_waits_for_a_later_turn_survives_the_end_of_this_one_and_no_more() -> None:
    desk = Desk(speculative=2)
    first, second = chain(desk)
    waiting, behind = taken(desk, 7, first), taken(desk, 8, second)
    desk.prompt = False
    assert [one.state for one in (waiting, behind)] == [State.QUEUED] * 2
    for left in ([True, True], [False, True], [False, False]):
        desk.broker.discard_waiting("s1", desk.now)
        assert [one.is_live for one in (waiting, behind)] == left
    assert first.is_live
    assert second.is_live


def test_a_chained_result_that_makes_its_parent_leave_the_store_leaves_with_it() -> None:
    """The session's oldest result makes room for the newest."""
    desk = Desk(session=10)
    [first] = chain(desk, 1)
    second = taken(desk, 2, first)
    desk.decisions()
    desk.ended(second.id, "123456789 ")
    assert not first.is_live
    assert not second.is_live
    assert desk.broker.staging.total_bytes == 0
