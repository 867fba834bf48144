"""What a result must be to be given out by the client, and what the proxy is told where it is not."""

import pytest

from paste_proxy.client.calls import Alone, Joined, Kept
from tests.client.desk import BOOK, FUNCTION, Desk, connected

ALONE, JOINED = Alone.ALONE, Joined.JOINED


def outcome_of(desk: Desk, now: float = 0.0, **call: object) -> object:
    heard = desk.calls(**call)  # type: ignore[arg-type]
    desk.hears("answer", now, call=heard.call.number, outcome="reused", run="r1", session="s")
    return heard.verdicts[-1]


def test_not_older_than_the_tool_allows_by_the_client_s_own_clock() -> None:
    for now, expected in ((10.0, Kept("result of 1")), (10.1, ALONE)):
        desk = connected()
        desk.ready(now=0.0)
        assert outcome_of(desk, now) == expected


def test_of_the_same_tool_for_the_same_caller() -> None:
    desk = connected()
    desk.ready()
    assert outcome_of(desk, identity=object()) is ALONE


def test_of_the_same_state_where_the_tool_can_tell() -> None:
    desk = connected()
    desk.ready().mark = "old"
    assert outcome_of(desk) is ALONE


def test_asked_with_the_same_values_but_for_what_means_nothing_to_it() -> None:
    for values, expected in (
        ({"k": 1}, Kept("result of 1")),
        ({"k": 1, "why": "because"}, Kept("result of 1")),
        ({"k": 1.0}, ALONE),
        ({"k": True}, ALONE),
    ):
        desk = connected()
        desk.ready()
        assert outcome_of(desk, **values) == expected


@pytest.mark.parametrize("outcome", ["reused", "joined"])
def test_what_only_prepared_a_call_is_never_given_out_whatever_the_proxy_says(outcome: str) -> None:
    desk = connected()
    desk.machine.offer([BOOK])
    desk.hears("run", run="r1", tool="book", arguments={"k": 1}, session="s")
    [run] = desk.started
    desk.machine.began(run, FUNCTION, 0.0)
    call = desk.calls(tool="book")
    if outcome == "joined":
        desk.hears("answer", call=1, outcome=outcome, run="r1", session="s")
    desk.machine.ended(run, "nobody's", None, now=1.0)
    if outcome == "reused":
        desk.hears("answer", call=1, outcome=outcome, run="r1", session="s")
    assert call.verdicts[-1] == ALONE
    assert desk.machine.kept == 0


def test_a_result_that_tells_its_end_is_not_given_out_later() -> None:
    for asked, is_given in ((4.0, True), (6.0, False)):
        desk = connected()
        run = desk.runs()
        run.max_age = 5.0
        desk.machine.ended(run, "fleeting", None, now=1.0, size=3)
        [ended] = desk.said()
        assert ended["max_age"] == 5.0
        call = desk.calls()
        desk.hears("answer", now=asked, call=1, outcome="reused", run="r1", session="s")
        assert call.verdicts == [Kept("fleeting") if is_given else ALONE]


def test_a_hit_that_is_not_given_out_is_told_to_have_been_none() -> None:
    """Too old here, of another identity, or its caller has gone on without; and one that is given is not."""
    for asked, identity, impatient, is_given in (
        (1.0, FUNCTION, False, True),
        (1e6, FUNCTION, False, False),
        (1.0, "other", False, False),
        (1.0, FUNCTION, True, False),
    ):
        desk = connected()
        desk.ready()
        call = desk.calls(identity=identity)
        desk.said()
        if impatient:
            desk.machine.impatient(call.call)
        said = desk.hears("answer", now=asked, call=1, outcome="reused", run="r1", session="s")
        assert said == ([] if is_given else [{"say": "unused", "run": "r1"}])


def test_a_joined_run_that_is_too_old_when_it_ends_is_told_to_have_been_no_hit() -> None:
    desk = connected()
    run, call = desk.runs(), desk.calls()
    desk.hears("answer", call=1, outcome="joined", run="r1", session="s")
    run.max_age = 1.0
    desk.machine.ended(run, "late", None, now=5.0)
    assert call.verdicts == [JOINED, ALONE]
    assert [(one["say"], one["run"]) for one in desk.said()] == [("ended", "r1"), ("unused", "r1")]


def test_a_hit_for_a_caller_that_has_left_is_told_to_have_been_none() -> None:
    desk = connected()
    desk.ready()
    call = desk.calls()
    desk.machine.leave(call.call)
    desk.said()
    assert desk.hears("answer", call=1, outcome="reused", run="r1", session="s") == [
        {"say": "unused", "run": "r1"}
    ]
