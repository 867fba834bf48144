"""Turns as transcripts: what a stream or a history says opens and closes writes."""

import pytest

from paste_proxy.config import ClientToolConfig
from paste_proxy.errors import ToolError
from paste_proxy.events import CallRequested, Identity, RunEnded, TimePassed, TurnClosed, TurnStreamed
from paste_proxy.grammar.events import CallOpened, CallSealed, Malformed, TurnEnded
from paste_proxy.tools.ports import Output
from tests.talk import NOBODY, Talk, runs, talk


def test_a_sealed_write_does_not_start_and_no_read_after_it_does() -> None:
    t = talk()
    t.ask()
    assert t.seals("write_a", "c1") == []
    assert t.seals("read_a", "c2") == []
    assert t.seals("read_b", "c3") == ["read_b decided"]


def test_a_tool_of_the_client_s_own_writes_everything_until_its_result_comes_back() -> None:
    t = talk()
    t.ask()
    t.seals("edit")
    t.ends()
    assert t.core.broker.open_scopes == 1
    t.answers()
    t.ask()
    assert t.core.broker.open_scopes == 0
    assert t.seals("read_a", "c2") == ["read_a decided"]


def test_the_operator_may_say_what_a_client_s_tool_writes() -> None:
    t = talk(edit=("b",))
    t.ask()
    t.seals("edit")
    assert t.seals("read_a", "c2") == ["read_a decided"]
    assert t.seals("read_b", "c3") == []


def test_a_client_that_retries_waits_for_no_result_of_the_failed_turn() -> None:
    t = talk()
    t.ask()
    t.seals("edit")
    t.ends(complete=False)
    assert t.core.broker.open_scopes == 1
    del t.messages[1:]
    t.ask()
    assert t.core.broker.open_scopes == 0


def test_a_result_that_comes_back_in_an_edited_history_closes_the_write() -> None:
    t = talk()
    t.identity = Identity(session="s")
    t.messages.insert(0, {"role": "system", "content": "be good"})
    t.ask()
    t.seals("edit")
    t.ends()
    t.answers()
    t.messages[1]["content"] = "go, once more"
    t.ask()
    assert t.core.broker.open_scopes == 0


def test_a_result_closes_no_write_of_another_conversation_with_the_same_id() -> None:
    """Some engines count the calls of each conversation from 0."""
    one = talk(edit_a=("a",), edit_b=("b",))
    other = Talk(one.core)
    other.messages[0]["content"] = "something else"
    for t, tool in ((one, "edit_a"), (other, "edit_b")):
        t.ask()
        t.seals(tool, "functions.edit:0")
        t.ends()
    for _ in range(2):
        other.answers("functions.edit:0")
        other.ask()
        other.ends()
        assert one.core.broker.epochs.is_open(frozenset("a"))
        assert not one.core.broker.epochs.is_open(frozenset("b"))
    one.answers("functions.edit:0")
    one.ask()
    assert one.core.broker.open_scopes == 0


def test_a_fork_s_own_result_closes_no_write_of_its_parent_s() -> None:
    t = talk()
    t.ask()
    t.seals("read_a", "c1")
    t.ends()
    t.answers("c1")
    fork = Talk(t.core)
    fork.messages = list(t.messages)
    for one, tool in ((t, "edit"), (fork, "read_b")):
        one.ask()
        one.seals(tool, "c2")
        one.ends()
    fork.answers("c2")
    fork.ask()
    assert t.core.broker.open_scopes == 1


def test_another_conversation_does_not_close_a_write() -> None:
    t = talk()
    t.ask()
    t.seals("edit")
    t.ends()
    other = Talk(t.core)
    other.ask()
    other.messages[0]["content"] = "something else"
    other.ask()
    assert t.core.broker.open_scopes == 1


def test_a_call_with_the_id_of_another_or_with_none_is_a_write_of_its_own() -> None:
    for call_id in ("", "c"):
        t = talk(edit_a=("a",), edit_b=("b",))
        t.ask()
        for ordinal, tool in enumerate(("edit_b", "edit_a")):
            t.tell(TurnStreamed(t.turn, CallSealed(ordinal, call_id, tool, "{}")))
        assert t.core.broker.open_scopes == 2


def test_a_write_is_open_from_its_name_on_whatever_becomes_of_its_arguments() -> None:
    t = talk()
    t.ask()
    t.tell(TurnStreamed(t.turn, CallOpened(0, "c1", "edit")))
    assert t.seals("read_a", "c2") == []
    assert t.core.broker.open_scopes == 1


@pytest.mark.parametrize("unclear", ["malformed", "unread", "several replies", "legacy"])
def test_what_can_t_be_read_is_taken_for_a_write_of_everything_until_the_next_request(unclear: str) -> None:
    t = talk()
    t.ask(n=2 if unclear == "several replies" else 1)
    if unclear == "malformed":
        t.tell(TurnStreamed(t.turn, Malformed("junk", 7)))
    t.tell(TurnStreamed(t.turn, TurnEnded("function_call" if unclear == "legacy" else "stop")))
    t.tell(TurnClosed(t.turn, complete=True, unread=unclear == "unread"))
    assert t.core.broker.open_scopes == 1
    t.messages.append({"role": "assistant", "content": ""})
    t.messages.append({"role": "user", "content": "go on"})
    t.ask()
    assert t.core.broker.open_scopes == 0


def test_a_write_that_shows_only_in_the_history_voids_what_was_read_before() -> None:
    t = talk()
    reader = Talk(t.core)
    reader.messages[0]["content"] = "look"
    reader.ask()
    reader.seals("read_a", "r1")
    function = {"name": "edit", "arguments": "{}"}
    t.messages.append(
        {"role": "assistant", "tool_calls": [{"id": "x", "type": "function", "function": function}]}
    )
    t.answers("x")
    t.ask()
    assert reader.calls("read_a", "r1") == ["read_a authoritative"]


@pytest.mark.parametrize("call", ["untold", "told with another request"])
def test_a_result_whose_call_nobody_saw_voids_what_was_read_before(call: str) -> None:
    t = talk()
    reader = Talk(t.core)
    reader.messages[0]["content"] = "look"
    if call != "untold":
        function = {"name": "edit", "arguments": "{}"}
        t.messages.append(
            {"role": "assistant", "tool_calls": [{"id": "x", "type": "function", "function": function}]}
        )
        t.ask()
        t.ends(complete=False)
    reader.ask()
    reader.seals("read_a", "r1")
    t.answers("x")
    t.ask()
    assert reader.calls("read_a", "r1") == ["read_a authoritative"]


def test_a_result_of_a_read_that_the_stream_told_voids_nothing() -> None:
    t = talk()
    t.ask()
    t.seals("read_a", "c1")
    t.ends()
    stamp = t.core.broker.epochs.stamp(frozenset("a"))
    t.messages[-1] = {"role": "assistant", "content": ""}
    t.answers("c1")
    t.ask()
    assert t.core.broker.epochs.is_current(stamp)


def test_a_session_that_is_forgotten_closes_its_writes() -> None:
    t = talk()
    t.ask()
    t.seals("edit")
    t.ends()
    t.now += 10_000
    t.core.turns.expire(t.now)
    assert t.core.broker.open_scopes == 0
    assert t.core.turns.sessions == {}


@pytest.mark.parametrize("output", [Output(b"done"), None])
def test_a_write_that_the_gateway_ran_ends_with_its_answer_though_its_agent_never_asks_again(
    output: Output | None,
) -> None:
    t = talk()
    t.ask()
    t.seals("write_a", "c1")
    t.ends()
    [run] = runs(t.tell(CallRequested("call", NOBODY, "write_a", b'{"k": 1}', "c1")))
    assert t.core.broker.open_scopes == 1
    t.tell(RunEnded(run, output, None if output else ToolError("it broke")))
    assert t.core.broker.open_scopes == 0
    other = Talk(t.core)
    other.ask()
    assert other.seals("read_a", "c2") == ["read_a decided"]


def test_a_write_that_the_gateway_ran_is_not_taken_for_a_new_one_when_its_result_comes_back() -> None:
    t = talk()
    t.ask()
    t.seals("write_a", "c1")
    t.ends()
    [run] = runs(t.tell(CallRequested("call", NOBODY, "write_a", b'{"k": 1}', "c1")))
    t.tell(RunEnded(run, Output(b"done")))
    stamp = t.core.broker.epochs.stamp(frozenset("a"))
    t.answers("c1")
    t.ask()
    assert t.core.broker.epochs.is_current(stamp)


def test_a_call_with_the_id_of_a_write_that_the_agent_runs_itself_does_not_end_it() -> None:
    """The agent's tool may ask the gateway for something, and name the call that it serves."""
    t = talk(edit=("b",))
    t.identity = Identity(session="s")
    t.ask()
    t.seals("edit", "c1")
    t.ends()
    [run] = runs(t.tell(CallRequested("call", t.identity, "read_a", b'{"k": 1}', "c1")))
    t.tell(RunEnded(run, Output(b"done")))
    assert t.core.broker.epochs.is_open(frozenset("b"))


def test_each_answer_ends_one_of_the_writes_with_its_id() -> None:
    t = talk()
    t.ask()
    for ordinal in range(2):
        t.hears(CallSealed(ordinal, "c1", "write_a", f'{{"k": {ordinal}}}'))
    t.ends()
    assert t.core.broker.open_scopes == 1
    for _ in range(2):
        [run] = runs(t.tell(CallRequested(f"at {t.now}", NOBODY, "write_a", b'{"k": 1}', "c1")))
        assert t.core.broker.open_scopes == 1
        t.tell(RunEnded(run, Output(b"done")))
    assert t.core.broker.open_scopes == 0


def test_a_write_whose_id_comes_late_waits_for_its_result() -> None:
    t = talk()
    t.ask()
    t.hears(CallOpened(0, "", "edit"))
    t.seals("edit", "c1")
    t.ends()
    t.messages.append({"role": "user", "content": "meanwhile"})
    t.ask()
    assert t.core.broker.open_scopes == 1
    t.ends()
    t.answers()
    t.ask()
    assert t.core.broker.open_scopes == 0


OWN = ClientToolConfig(writes=("session",))
"""Each agent has a sandbox of its own."""


def begun(t: Talk, task: str = "", identity: Identity = NOBODY) -> Talk:
    """Another conversation of the same proxy."""
    other = Talk(t.core, identity)
    other.messages[0]["content"] = task or "go"
    return other


def may_read_ahead(t: Talk) -> bool:
    t.ask()
    runs = t.seals("read_all", f"r{t.now}")
    t.ends()
    return bool(runs)


def test_what_a_client_s_tool_writes_of_its_session_s_own_stops_no_other_session() -> None:
    t = talk(OWN)
    reader = begun(t, "look")
    reader.ask()
    assert reader.seals("read_a", "r1") == ["read_a decided"]
    t.ask()
    t.seals("edit")
    assert reader.calls("read_a", "r1") == [], "it joins what began before the write"
    assert may_read_ahead(begun(t, "look here"))
    assert t.seals("read_all", "c2") == [], "its own session waits for it"


def test_what_was_read_before_a_write_of_its_session_s_own_is_void() -> None:
    t = talk(OWN)
    t.ask()
    assert t.seals("read_a", "c1") == ["read_a decided"]
    t.hears(CallSealed(1, "c2", "edit", "{}"))
    assert t.calls("read_a", "c1") == ["read_a authoritative"]


@pytest.mark.parametrize(
    ("writer", "reader", "common"),
    [
        (Identity(session="s"), Identity(session="s"), True),
        (Identity(session="s"), Identity(session="t"), False),
        (Identity(session="s"), Identity(session="t", parent="s"), True),
        (Identity(session="t", parent="s"), Identity(session="s"), True),
        (Identity(session="s"), Identity(session="s", tenant="another"), False),
        (NOBODY, NOBODY, True),
    ],
)
def test_sessions_that_may_be_one_agent_s_have_what_is_their_own_in_common(
    writer: Identity, reader: Identity, common: bool
) -> None:
    t = talk(OWN)
    t.identity = writer
    t.ask()
    t.seals("edit")
    t.ends()
    assert may_read_ahead(begun(t, identity=reader)) is not common


def test_a_history_that_was_edited_is_of_the_same_agent() -> None:
    t = talk(OWN)
    t.ask()
    t.seals("read_a", "c1")
    t.ends()
    t.answers("c1")
    t.ask()
    t.seals("edit", "c2")
    t.ends()
    edited = Talk(t.core)
    edited.messages = [*t.messages[:3], {"role": "user", "content": "meanwhile"}]
    assert not may_read_ahead(edited)


def test_what_was_some_session_s_own_is_forgotten_with_it() -> None:
    t = talk(OWN)
    bumps = len(t.core.broker.epochs._bumps)
    t.ask()
    t.seals("edit")
    t.ends()
    t.now += 10_000
    t.core.turns.expire(t.now)
    assert len(t.core.broker.epochs._bumps) == bumps


def test_a_write_whose_agent_tells_no_result_counts_as_over_after_its_time() -> None:
    t = talk(ClientToolConfig(timeout_s=50))
    t.ask()
    t.seals("edit")
    t.now += 100
    t.ends()
    t.now += 48
    t.tell(TimePassed())
    assert not may_read_ahead(begun(t, "look"))
    t.now += 50
    t.tell(TimePassed())
    assert t.core.broker.open_scopes == 0
    assert may_read_ahead(begun(t, "look here"))


def test_a_result_that_comes_after_its_time_was_a_write_all_the_same() -> None:
    t = talk(ClientToolConfig(timeout_s=50))
    t.ask()
    t.seals("edit")
    t.ends()
    t.now += 51
    reader = begun(t, "look")
    reader.now = t.now
    reader.ask()
    assert reader.seals("read_a", "r1") == ["read_a decided"]
    t.now = reader.now
    t.answers()
    t.ask()
    assert t.core.broker.open_scopes == 0
    assert reader.calls("read_a", "r1") == ["read_a authoritative"]


def test_a_write_that_ended_in_time_is_not_ended_again() -> None:
    t = talk(ClientToolConfig(timeout_s=50))
    t.ask()
    t.seals("edit")
    t.ends()
    t.answers()
    t.ask()
    stamp = t.core.broker.epochs.stamp(frozenset("a"))
    t.now += 100
    t.tell(TimePassed())
    assert t.core.broker.epochs.is_current(stamp)
    assert t.core.next_deadline() is None, "nothing is due while the turn is in flight"
