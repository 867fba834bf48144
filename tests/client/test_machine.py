"""The client's side: what it says, and who gets which result."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.client.calls import Alone, Call, Joined, Kept
from paste_proxy.client.machine import AHEAD_LIMIT, CALLS_LIMIT, KEPT_LIMIT
from paste_proxy.client.offers import Offers
from paste_proxy.client.protocol import (
    MESSAGE_LIMIT,
    TOOLS_LIMIT,
    ProtocolError,
    decode_from_client,
    decode_from_proxy,
    offered,
)
from paste_proxy.tools.spec import Effect, ToolSpec
from tests.client.desk import FUNCTION, Desk, connected

ALONE, JOINED = Alone.ALONE, Joined.JOINED


def test_it_says_hello_with_its_tools_and_is_up_once_it_is_welcome() -> None:
    desk = Desk()
    desk.machine.opened()
    assert not desk.machine.is_up
    [hello] = desk.said()
    assert [tool["name"] for tool in hello["tools"]] == ["read", "write"]
    assert hello["tools"][0]["effect"] == "read"
    desk.hears("welcome", version=1, refused={"write": "effect"})
    assert (desk.machine.is_up, desk.machine.refused) == (True, {"write": "effect"})


def test_what_guards_runs_ahead_is_told_with_the_tool() -> None:
    """Its network, for the egress rule; and that what its schema says of defaults is only a claim."""
    spec = ToolSpec("fetch", "", {"type": "object"}, effect=Effect.READ, writes=frozenset())
    for one in (spec, msgspec.structs.replace(spec, network=True, exact=True, price=2.0, inert=frozenset("k"))):
        assert offered(one).spec() == one


def test_without_a_proxy_every_call_goes_alone_at_once() -> None:
    desk = Desk()
    assert desk.calls().verdicts == [ALONE]
    assert desk.said() == []


def test_a_staged_result_is_given_to_the_call_that_the_proxy_names_and_once() -> None:
    desk = connected()
    desk.ready()
    one, other = desk.calls(), desk.calls()
    desk.hears("answer", call=2, outcome="reused", run="r1", session="s")
    assert (one.verdicts, other.verdicts) == ([], [Kept("result of 1")])
    desk.hears("answer", call=1, outcome="reused", run="r1", session="s")
    assert one.verdicts == [ALONE]
    assert desk.sessions == ["s", "s"]
    assert (desk.machine.kept, desk.machine.waiting) == (0, 0)


def test_a_call_joins_a_run_and_gets_its_result() -> None:
    desk = connected()
    run, call = desk.runs(), desk.calls()
    desk.hears("answer", call=1, outcome="joined", run="r1", session="s")
    assert call.verdicts == [JOINED]
    desk.machine.ended(run, "late", None, now=5.0)
    assert call.verdicts == [JOINED, Kept("late")]
    assert [said["say"] for said in desk.said()] == ["ended"]
    assert (desk.machine.kept, desk.machine.waiting) == (0, 0)


def test_a_joined_run_that_fails_is_run_afresh_by_the_call() -> None:
    desk = connected()
    run, call = desk.runs(), desk.calls()
    desk.hears("answer", call=1, outcome="joined", run="r1", session="s")
    desk.machine.ended(run, None, "ValueError", now=5.0)
    assert call.verdicts == [JOINED, ALONE]
    desk.said()
    desk.machine.finished(call.call, None)
    assert desk.said() == [], "what it is by the proxy's books is not known yet"
    [ended] = desk.hears("answer", call=1, outcome="executed", run="r2", session="s")
    assert (ended["say"], ended["run"], ended.get("error")) == ("ended", "r2", None)
    assert desk.machine.waiting == 0


def test_a_call_that_joins_what_could_not_be_run_runs_it_and_is_told_later_what_it_is() -> None:
    desk = connected()
    desk.cannot = "no loop"
    desk.hears("run", run="r1", tool="read", arguments={"k": 1}, session="s")
    call = desk.calls()
    desk.hears("answer", call=1, outcome="joined", run="r1", session="s")
    assert call.verdicts == [ALONE]
    desk.machine.finished(call.call, None)
    [ended] = desk.hears("answer", call=1, outcome="executed", run="r2", session="s")
    assert (ended["run"], desk.machine.waiting) == ("r2", 0)


def test_the_joined_run_is_not_cancelled_and_outlives_the_connection() -> None:
    desk = connected()
    run, call = desk.runs(), desk.calls()
    desk.hears("answer", call=1, outcome="joined", run="r1", session="s")
    desk.hears("cancel", run="r1")
    desk.machine.lost()
    desk.machine.ended(run, "late", None, now=5.0)
    assert call.verdicts == [JOINED, Kept("late")]
    assert desk.stopped == []


@pytest.mark.parametrize("outcome", ["executed", "promoted"])
def test_a_call_that_is_to_be_run_is_told_to_have_ended(outcome: str) -> None:
    desk = connected()
    call = desk.calls(tool="write")
    assert [said["say"] for said in desk.said()] == ["claim"]
    desk.hears("answer", call=1, outcome=outcome, run="r1", session="")
    assert call.verdicts == [ALONE]
    desk.machine.finished(call.call, "OSError")
    [ended] = desk.said()
    assert (ended["run"], ended["error"]) == ("r1", "OSError")


def test_an_answer_that_comes_too_late_changes_nothing_but_the_books() -> None:
    desk = connected()
    desk.ready()
    reused, executed = desk.calls(), desk.calls(k=2)
    for one in (reused, executed):
        desk.machine.impatient(one.call)
    desk.said()
    late = desk.hears("answer", call=1, outcome="reused", run="r1", session="s")
    assert late == [{"say": "unused", "run": "r1"}]
    assert desk.hears("answer", call=2, outcome="executed", run="r2", session="s") == []
    desk.machine.finished(executed.call, None)
    assert [said["run"] for said in desk.said()] == ["r2"]
    assert (reused.verdicts, executed.verdicts) == ([], [])
    assert (desk.machine.kept, desk.machine.waiting) == (0, 0)


def test_a_caller_that_leaves_is_told_and_what_it_was_to_run_is_closed() -> None:
    desk = connected()
    run, joined, early = desk.runs(), desk.calls(), desk.calls(k=2)
    desk.hears("answer", call=1, outcome="joined", run="r1", session="s")
    desk.said()
    desk.machine.leave(joined.call)
    desk.machine.leave(early.call)
    assert [(said["say"], said["call"]) for said in desk.said()] == [("leave", 1), ("leave", 2)]
    assert desk.stopped == [run.id]
    [ended] = desk.hears("answer", call=2, outcome="executed", run="r2", session="s")
    assert (ended["run"], ended["error"]) == ("r2", "the caller left")


def test_a_refused_call_goes_alone() -> None:
    desk = connected()
    call = desk.calls()
    desk.hears("answer", call=1, outcome="refused", error="no such tool")
    assert call.verdicts == [ALONE]
    assert desk.machine.waiting == 0


# -- runs ahead ---------------------------------------------------------------------------------------------


def test_a_run_ahead_is_told_to_have_begun_and_ended() -> None:
    desk = connected()
    assert desk.hears("run", run="r1", tool="read", arguments={"k": 1}, session="s") == []
    [run] = desk.started
    desk.machine.began(run, FUNCTION, 1.0)
    desk.machine.ended(run, "value", None, now=2.0, size=5, output="value")
    began, ended = desk.said()
    assert began == {"say": "began", "run": "r1"}
    assert (ended["size"], ended["output"]) == (5, "value")


def test_what_can_t_be_run_is_said_so() -> None:
    desk = connected(read="not allowed")
    [ended] = desk.hears("run", run="r1", tool="read", arguments={"k": 1}, session="s")
    assert ended["error"] == "no tool of this name runs ahead here"
    desk = connected()
    desk.cannot = "no loop"
    [ended] = desk.hears("run", run="r1", tool="read", arguments={"k": 1}, session="s")
    assert ended["error"] == "no loop"
    assert desk.machine.kept == 0


def test_no_more_runs_at_once_than_the_tool_allows_those_that_nothing_can_stop_included() -> None:
    desk = connected()
    desk.runs("r1")
    stuck = desk.runs("r2")
    assert desk.hears("run", run="r3", tool="read", arguments={"k": 1}, session="s")[0]["error"] == "busy"
    desk.hears("cancel", run="r2")
    assert desk.hears("run", run="r3", tool="read", arguments={"k": 1}, session="s")[0]["error"] == "busy"
    desk.machine.ended(stuck, None, "cancelled", now=0.0)
    assert desk.hears("run", run="r3", tool="read", arguments={"k": 1}, session="s") == []
    assert AHEAD_LIMIT >= 2


def test_a_cancelled_run_is_stopped_and_a_dropped_result_is_gone() -> None:
    desk = connected()
    desk.runs("r1")
    desk.hears("cancel", run="r1")
    assert desk.stopped == ["r1"]
    desk.ready("r2")
    desk.hears("cancel", run="r2")
    desk.hears("cancel", run="r9")
    assert desk.machine.kept == 0
    assert desk.stopped == ["r1"]


def test_results_are_kept_in_bounds() -> None:
    desk = connected()
    for number in range(KEPT_LIMIT + 5):
        desk.ready(f"r{number}")
    assert desk.machine.kept == KEPT_LIMIT
    desk.ready("late", now=100.0)
    assert desk.machine.kept == 1, "the others are too old to be of use"


# -- connections --------------------------------------------------------------------------------------------


def test_a_lost_connection_voids_leases_and_never_a_call() -> None:
    desk = connected()
    desk.runs("r1")
    desk.ready("r2", k=2)
    waiting, running = desk.calls(), desk.calls(k=3)
    desk.hears("answer", call=2, outcome="executed", run="r4", session="s")
    desk.machine.lost()
    assert (waiting.verdicts, running.verdicts) == ([ALONE], [ALONE])
    assert desk.stopped == ["r1"]
    assert (desk.machine.kept, desk.machine.waiting) == (0, 0)
    desk.machine.finished(running.call, None)
    assert desk.said() == []


def test_writes_that_nobody_heard_of_are_told_when_there_is_somebody_to_tell() -> None:
    desk = Desk()
    call = desk.calls(tool="write")
    desk.machine.finished(call.call, None)
    read = desk.calls()
    desk.machine.finished(read.call, None)
    assert desk.connect()[0]["ran"] == ["write"]
    lost = desk.calls(tool="write")
    desk.machine.lost()
    desk.machine.finished(lost.call, None)
    assert desk.connect()[0]["ran"] == ["write"]
    desk.machine.lost()
    assert desk.connect()[0].get("ran", []) == []


def test_more_tools_are_offered_at_once() -> None:
    desk = connected()
    desk.machine.offer([msgspec.structs.replace(desk.machine.offers.specs["read"], name="other")])
    [hello] = desk.said()
    assert [tool["name"] for tool in hello["tools"]] == ["read", "write", "other"]


def test_a_proxy_that_answers_nothing_is_asked_no_more() -> None:
    desk = connected()
    for _ in range(CALLS_LIMIT):
        desk.calls()
    assert desk.calls().verdicts == [ALONE]


def test_a_proxy_of_another_version_is_none() -> None:
    desk = Desk()
    desk.machine.opened()
    with pytest.raises(ProtocolError, match="version 2"):
        desk.hears("welcome", version=2, refused={})
    assert not desk.machine.is_up


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_noise_is_an_error_of_the_protocol_and_no_other(frame: bytes | str) -> None:
    for decode in (decode_from_client, decode_from_proxy):
        with pytest.raises(ProtocolError):
            decode(frame)


@pytest.mark.parametrize(("output", "error"), [("name-\udce4", None), (None, "no file name-\udce4")])
def test_a_text_that_is_no_unicode_keeps_nobody_waiting(output: str | None, error: str | None) -> None:
    """As names of files may be: `os.fsdecode`."""
    desk = connected()
    run, call = desk.runs(), desk.calls()
    desk.hears("answer", call=1, outcome="joined", run="r1", session="s")
    desk.machine.ended(run, output, error, now=2.0, size=5, digest="d", output=output)
    assert call.verdicts == [JOINED, ALONE if error else Kept(output)]
    [ended] = desk.said()
    assert (ended["run"], ended["output"], bool(ended["error"])) == ("r1", None, error is not None)
    odd = Call("read", "{}", {}, FUNCTION, lambda verdict: heard.append(verdict), session="\udce4")
    heard: list[object] = []
    desk.machine.claim(odd)
    assert heard == [ALONE]


def test_what_no_message_holds_is_not_said() -> None:
    """The proxy would end the connection, and with it all that ran ahead."""
    desk = connected()
    run = desk.runs()
    desk.said()
    large = "x" * MESSAGE_LIMIT
    desk.machine.ended(run, large, None, now=2.0, size=len(large), digest="d", output=large)
    [ended] = desk.said()
    assert (ended["size"], ended["digest"], ended.get("output")) == (len(large), "d", None)
    heard: list[object] = []
    call = Call("write", large, {}, FUNCTION, heard.append)
    desk.machine.claim(call)
    assert (heard, desk.said(), desk.machine.waiting) == ([ALONE], [], 0)
    desk.machine.finished(call, None)
    [hello] = desk.said()
    assert hello["ran"] == ["write"], "that it was made is said all the same"


def test_of_more_tools_than_a_proxy_takes_the_first_are_offered_and_the_others_run_as_if_unwrapped() -> None:
    desk = Desk()
    desk.machine.offer(ToolSpec(f"t{number:03}", "", {"type": "object"}) for number in range(TOOLS_LIMIT))
    [hello] = desk.connect()
    assert len(hello["tools"]) == TOOLS_LIMIT
    decode_from_client(msgspec.json.encode(hello))
    assert set(desk.machine.offers.left_out) == {"t254", "t255"}
    assert "256 tools" in desk.machine.offers.left_out["t254"]
    assert (desk.machine.may_run_ahead("t253"), desk.machine.may_run_ahead("t254")) == (True, False)
    assert desk.machine.may_run_ahead("read")


def test_a_tool_too_large_for_a_message_is_left_out_alone() -> None:
    large = ToolSpec("large", "", {"type": "object", "description": "x" * MESSAGE_LIMIT})
    desk = Desk()
    desk.machine.offer([large, ToolSpec("small", "", {"type": "object"})])
    [hello] = desk.connect()
    assert [tool["name"] for tool in hello["tools"]] == ["read", "write", "small"]


def test_that_a_tool_ran_unseen_that_the_proxy_does_not_know_is_never_cut_off() -> None:
    offers = Offers()
    names = [f"t{number:03}" for number in range(TOOLS_LIMIT + 2)]
    offers.add(ToolSpec(name, "", {"type": "object"}) for name in names)
    told = offers.unseen(names)
    assert (len(told), told[:2]) == (TOOLS_LIMIT, ("t256", "t257"))


def test_that_a_write_outlived_its_connection_is_told_when_it_ends() -> None:
    desk = connected()
    call = desk.calls(tool="write")
    desk.hears("answer", call=1, outcome="executed", run="r1", session="s")
    desk.machine.lost()
    assert [hello["ran"] for hello in desk.connect()] == [["write"]]
    desk.machine.finished(call.call, None)
    assert [(said["say"], said["ran"]) for said in desk.said()] == [("hello", ["write"])]
