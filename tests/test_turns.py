"""Turns as transcripts: what a stream says opens and closes writes, starts calls, and ties them to sessions."""

import json
from typing import Any

import msgspec
import pytest

from paste_proxy.config import ClientToolConfig, Config, SpeculationConfig
from paste_proxy.core import Core
from paste_proxy.errors import ToolError
from paste_proxy.events import (
    CallRequested,
    Decision,
    FailCall,
    Identity,
    RunBegan,
    RunEnded,
    StartRun,
    TurnClosed,
    TurnRequested,
    TurnSent,
    TurnStreamed,
)
from paste_proxy.grammar.events import (
    ArgumentGrown,
    ArgumentSealed,
    ArgumentText,
    CallOpened,
    CallSealed,
    ContentText,
    Foreseen,
    GrammarEvent,
    Malformed,
    ReasoningText,
    TurnEnded,
)
from paste_proxy.grammar.requests import parse_chat_request
from paste_proxy.predict.model import Candidate, Fixed, History, TurnPredictor
from paste_proxy.tools.ports import Output, RunClass
from tests.broker.world import OFFERED, SPECS

NOBODY = Identity()


class NoPredictor:
    def learn(self, history: History, calls: Any) -> None:
        pass

    def predict(self, history: History, tools: Any, limit: int) -> list[Candidate]:
        return []

    def begin(self, history: History, tools: Any) -> TurnPredictor:
        return Fixed([])


class Talk:
    """One client's conversation; time passes a second at a time."""

    def __init__(self, core: Core, identity: Identity = NOBODY) -> None:
        self.core = core
        self.identity = identity
        self.messages: list[dict[str, Any]] = [{"role": "user", "content": "go"}]
        self.now = 0.0
        self.turn = ""

    def tell(self, event: Any) -> list[Decision]:
        self.now += 1
        decisions = self.core.handle(event, self.now)
        for decision in decisions:
            if isinstance(decision, StartRun):
                self.core.handle(RunBegan(decision.run.run), self.now)
        return decisions

    def ask(self, **fields: Any) -> None:
        body = {"messages": self.messages, "tools": OFFERED, **fields}
        self.turn = f"turn at {self.now} of {id(self)}"
        self.tell(TurnRequested(self.turn, self.identity, parse_chat_request(json.dumps(body).encode())))
        self.tell(TurnSent(self.turn))

    def hears(self, *events: GrammarEvent) -> list[str]:
        """The runs that start with what the stream says."""
        return [run for event in events for run in started(self.tell(TurnStreamed(self.turn, event)))]

    def seals(self, tool: str, call_id: str = "c1", arguments: str = '{"k": 1}') -> list[str]:
        """The runs that start with it."""
        runs = self.hears(CallSealed(0, call_id, tool, arguments))
        function = {"name": tool, "arguments": arguments}
        call = {"id": call_id, "type": "function", "function": function}
        self.messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
        return runs

    def ends(self, *, complete: bool = True) -> None:
        if complete:
            self.tell(TurnStreamed(self.turn, TurnEnded("tool_calls")))
        self.tell(TurnClosed(self.turn, complete))

    def answers(self, call_id: str = "c1") -> None:
        self.messages.append({"role": "tool", "tool_call_id": call_id, "content": "done"})

    def notes(self, what: str) -> list[dict[str, Any]]:
        """The details of what the timeline says of this kind."""
        [session] = self.core.turns.sessions.values()
        return [note.detail for note in session.notes if note.what == what]

    def calls(self, tool: str, call_id: str = "", arguments: bytes = b'{"k": 1}') -> list[str]:
        return started(self.tell(CallRequested(f"call at {self.now}", self.identity, tool, arguments, call_id)))


def runs(decisions: list[Decision]) -> list[str]:
    """The ids of those that start."""
    return [decision.run.run for decision in decisions if isinstance(decision, StartRun)]


def started(decisions: list[Decision]) -> list[str]:
    return [f"{d.run.tool} {d.run.run_class.name.lower()}" for d in decisions if isinstance(d, StartRun)]


def talk(**client_tools: tuple[str, ...]) -> Talk:
    config = Config(
        speculation=SpeculationConfig(allow=tuple(SPECS), min_service_s=0.0),
        client_tools={name: ClientToolConfig(writes=writes) for name, writes in client_tools.items()},
    )
    return Talk(Core(SPECS, config, NoPredictor()))


def test_a_sealed_read_starts_while_the_turn_goes_on() -> None:
    t = talk()
    t.ask()
    assert t.seals("read_a") == ["read_a decided"]


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


def test_nothing_is_decided_for_an_agent_that_asked_for_several_replies() -> None:
    t = talk()
    t.ask(n=2)
    assert t.seals("read_a") == []


def test_a_final_request_ends_its_session() -> None:
    core = talk().core
    t = Talk(core, Identity(session="s", final=True))
    t.ask()
    t.ends()
    assert core.turns.sessions == {}


def test_arguments_that_do_not_fit_start_nothing() -> None:
    t = talk()
    t.ask()
    assert t.seals("read_a", arguments='{"k": 1, "k": 2}') == []
    assert t.seals("read_a", "c2", arguments='{"other": 1}') == []


def test_a_call_is_tied_by_its_id_and_joins_what_was_started_for_it() -> None:
    t = talk()
    t.ask()
    t.seals("read_a")
    assert t.calls("read_a", "c1") == []
    assert t.calls("read_a", "c1") == ["read_a authoritative"]


def test_a_call_that_its_request_s_schema_refuses_does_not_start() -> None:
    t = talk()
    t.ask()
    refused = CallSealed(0, "c1", "read_a", '{"k": 1}', invalid="$.k: too small")
    assert t.hears(Foreseen(refused), refused) == []
    for what in ("foreseen", "sealed"):
        assert t.notes(what) == [
            {"tool": "read_a", "call_id": "c1", "arguments": '{"k": 1}', "invalid": "$.k: too small"}
        ]
    assert t.calls("read_a", "c1") == ["read_a authoritative"]


def test_events_that_start_nothing_are_passed_over() -> None:
    t = talk()
    t.ask()
    events: list[GrammarEvent] = [
        ArgumentText(0, "{"),
        ArgumentGrown(0, ("a",), "x"),
        ArgumentSealed(0, ("a",), "x"),
        ReasoningText("hm"),
    ]
    assert t.hears(*events, Foreseen(ArgumentText(0, "{"))) == []
    assert t.core.broker.open_scopes == 0


# -- what is foreseen ---------------------------------------------------------------------------------------


def test_a_foreseen_read_starts_once_and_serves_the_call_that_comes() -> None:
    t = talk()
    t.ask()
    assert t.hears(Foreseen(CallSealed(0, "", "read_a", '{"k": 1}'))) == ["read_a decided"]
    assert t.seals("read_a") == []
    t.ends()
    assert t.core.broker.live == 1
    assert t.calls("read_a", "c1") == []
    assert t.core.broker.ledger.started == {"decided": 1}


def test_a_foreseen_call_that_failed_is_not_started_again() -> None:
    t = talk()
    t.ask()
    t.hears(Foreseen(CallSealed(0, "", "read_a", '{"k": 1}')))
    t.tell(RunEnded("run-1", None, ToolError("it broke")))
    assert t.seals("read_a") == []


def test_what_is_foreseen_is_no_call_yet() -> None:
    t = talk()
    t.ask()
    t.hears(Foreseen(CallOpened(0, "", "read_a")), Foreseen(CallSealed(0, "", "read_a", '{"k": 1}')))
    assert t.calls("read_a") == ["read_a authoritative"]
    t.hears(ContentText("no call after all"))
    t.ends()
    t.messages.append({"role": "assistant", "content": "no call after all"})
    t.messages.append({"role": "user", "content": "go on"})
    t.ask()
    assert [note["relation"] for note in t.notes("turn")] == ["new", "continued"]


def test_what_was_foreseen_wrongly_is_dropped_with_its_turn() -> None:
    t = talk()
    t.ask()
    t.hears(Foreseen(CallSealed(0, "", "read_b", '{"k": 1}')))
    assert t.seals("read_a") == ["read_a decided"]
    assert t.core.broker.live == 2
    t.ends()
    assert t.core.broker.live == 1
    assert t.calls("read_a", "c1") == []


def test_nothing_foreseen_starts_for_an_agent_that_asked_for_several_replies() -> None:
    t = talk()
    t.ask(n=2)
    assert t.hears(Foreseen(CallSealed(0, "", "read_a", '{"k": 1}'))) == []


def test_a_foreseen_write_is_open_at_once_and_once() -> None:
    t = talk()
    t.ask()
    t.hears(Foreseen(CallOpened(0, "", "write_a")))
    assert t.hears(Foreseen(CallSealed(1, "", "read_a", '{"k": 1}'))) == []
    t.hears(CallOpened(0, "c1", "write_a"))
    assert t.core.turns.writes._open.keys() == {(t.turn, 0)}
    t.seals("write_a")
    t.ends()
    assert t.core.broker.open_scopes == 1
    t.answers()
    t.ask()
    assert t.core.broker.open_scopes == 0
    assert t.seals("read_a", "c2") == ["read_a decided"]


@pytest.mark.parametrize("told", ["nothing", "a read", "another write"])
def test_a_foreseen_write_that_is_not_told_ends_with_its_turn(told: str) -> None:
    t = talk()
    t.ask()
    t.hears(Foreseen(CallOpened(0, "", "write_a")))
    if told == "a read":
        assert t.seals("read_a") == ["read_a decided"]
    elif told == "another write":
        t.seals("write_b")
        assert not t.core.broker.epochs.is_open(frozenset("a"))
        assert t.core.broker.epochs.is_open(frozenset("b"))
    t.ends()
    assert t.core.broker.open_scopes == (1 if told == "another write" else 0)


# -- calls that are read out of the client's text -----------------------------------------------------------


def in_text(t: Talk, tool: str, ordinal: int = 0) -> list[str]:
    said = f"Action: {tool} {ordinal}\n"
    sealed = CallSealed(ordinal, "", tool, '{"k": 1}', in_text=True)
    return t.hears(ContentText(said), CallOpened(ordinal, "", tool, in_text=True), sealed)


def test_a_session_goes_on_from_the_text_that_its_calls_were_read_from() -> None:
    t = talk()
    t.ask()
    assert in_text(t, "read_a") == ["read_a decided"]
    assert t.calls("read_a") == []
    t.ends()
    t.messages.append({"role": "assistant", "content": "Action: read_a 0"})
    t.messages.append({"role": "user", "content": "Observation: done"})
    t.ask()
    assert [note["relation"] for note in t.notes("turn")] == ["new", "continued"]


def test_a_write_in_the_text_is_open_until_its_session_asks_again() -> None:
    t = talk()
    t.ask()
    in_text(t, "edit")
    assert in_text(t, "read_a", 1) == []
    t.ends()
    other = Talk(t.core)
    other.messages[0]["content"] = "something else"
    other.ask()
    assert t.core.broker.open_scopes == 1
    t.messages.append({"role": "assistant", "content": "Action: edit 0\nAction: read_a 1"})
    t.messages.append({"role": "user", "content": "Observation: done"})
    t.ask()
    assert t.core.broker.open_scopes == 0
    assert in_text(t, "read_a") == ["read_a decided"]


def test_a_write_in_the_text_stays_open_where_nobody_knows_whether_its_session_asked() -> None:
    """A client that writes the reply otherwise begins a new session: for all we know the first one goes on."""
    t = talk()
    t.ask()
    in_text(t, "edit")
    t.ends()
    t.messages.append({"role": "assistant", "content": "I edit."})
    t.messages.append({"role": "user", "content": "Observation: done"})
    t.ask()
    assert t.core.broker.open_scopes == 1


def test_what_can_t_be_read_may_hold_calls_where_calls_were_read_from_the_text() -> None:
    """Such clients offer their tools in the prompt."""
    for earlier in ("none", "one"):
        t = talk(edit=())
        t.ask(tools=[])
        if earlier == "one":
            in_text(t, "edit")
        t.hears(Malformed("junk", 7))
        assert t.core.broker.open_scopes == (1 if earlier == "one" else 0)


def test_what_can_t_be_read_may_hold_calls_where_the_text_is_read_for_calls() -> None:
    t = talk()
    body = json.dumps({"messages": t.messages}).encode()
    request = msgspec.structs.replace(parse_chat_request(body), text_is_read=True)
    t.tell(TurnRequested("turn", NOBODY, request))
    t.tell(TurnSent("turn"))
    t.tell(TurnClosed("turn", complete=True, unread=True))
    assert t.core.broker.open_scopes == 1


def test_calls_without_ids_are_pending_one_by_one_until_their_session_asks_again() -> None:
    t = talk()
    t.ask()
    for ordinal, tool in enumerate(("read_a", "read_b")):
        assert in_text(t, tool, ordinal) == [f"{tool} decided"]
    assert t.calls("read_a") == []
    assert t.calls("read_b") == []
    in_text(t, "read_all", 2)
    t.ends()
    t.messages.append({"role": "assistant", "content": "Action: read_a 0 Action: read_b 1 Action: read_all 2"})
    t.messages.append({"role": "user", "content": "Observation: done"})
    t.ask()
    assert t.calls("read_all") == ["read_all authoritative"]


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


def test_two_agents_with_equal_calls_and_no_ids_are_run_fresh() -> None:
    one = talk()
    other = Talk(one.core)
    other.messages = [{"role": "user", "content": "something else"}]
    for agent, call_id in ((one, "x"), (other, "y")):
        agent.ask()
        agent.seals("read_a", call_id)
    assert one.calls("read_a") == ["read_a authoritative"]


def test_run_classes_are_what_they_say() -> None:
    assert [name.name for name in sorted(RunClass)] == ["AUTHORITATIVE", "DECIDED", "SPECULATIVE"]


class Nonsense:
    """A predictor that may answer anything."""

    def __init__(self, *answers: Any) -> None:
        self.answers = answers

    def learn(self, history: History, calls: Any) -> None:
        raise ZeroDivisionError

    def predict(self, history: History, tools: Any, limit: int) -> Any:
        return iter(self.answers)

    def begin(self, history: History, tools: Any) -> Any:
        return Fixed(self.answers)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        Candidate("no such tool", {}, 0.9, ""),
        Candidate("write_a", {"k": 1}, 0.9, ""),
        Candidate("read_a", {"k": {1, 2}}, 0.9, ""),
        Candidate("read_a", {"k": float("nan")}, 0.9, ""),
        Candidate("read_a", {}, 0.9, ""),
        Candidate("read_a", None, 0.9, ""),  # type: ignore[arg-type]
        Candidate("read_a", {"k": 1}, None, ""),  # type: ignore[arg-type]
        Candidate("read_a", {"k": 1}, float("nan"), ""),
    ],
)
def test_a_predictor_may_answer_anything(answer: Any) -> None:
    config = Config(speculation=SpeculationConfig(allow=tuple(SPECS), min_service_s=0.0))
    t = Talk(Core(SPECS, config, Nonsense(answer)))
    t.ask()
    t.ends()
    assert t.core.broker.live == 0


def test_a_predictor_that_answers_without_end_is_cut_off() -> None:
    config = Config(speculation=SpeculationConfig(allow=tuple(SPECS), min_service_s=0.0, candidates=3))
    t = Talk(Core(SPECS, config, Nonsense(*(Candidate("read_a", {"k": k}, 0.9, "") for k in range(99)))))
    t.ask()
    assert t.core.broker.live == 3


def test_the_late_end_of_a_turn_does_not_end_the_guesses_of_the_next() -> None:
    guesses = (Candidate("read_a", {"k": k}, 0.9, "") for k in range(9))
    config = Config(speculation=SpeculationConfig(allow=tuple(SPECS), min_service_s=0.0, candidates=3))
    t = Talk(Core(SPECS, config, Nonsense(*guesses)))
    t.ask()
    first = t.turn
    t.tell(TurnStreamed(first, TurnEnded("stop")))
    t.messages.append({"role": "assistant", "content": ""})
    t.messages.append({"role": "user", "content": "go on"})
    t.ask()
    waiting = t.core.broker.live
    t.tell(TurnClosed(first, complete=True))
    assert t.core.broker.live == waiting > 1
    t.ends()
    assert t.core.broker.live == 1


def test_what_comes_for_a_session_that_is_forgotten_is_passed_over() -> None:
    t = talk()
    t.ask()
    for session in list(t.core.turns.sessions):
        t.core.turns.forget(session, t.now)
    assert t.seals("edit") == []
    t.ends()
    assert t.core.broker.open_scopes == 0


def test_a_schema_beyond_all_numbers_and_depths_costs_nothing() -> None:
    t = talk()
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"properties": {"x": deep}}
    for parameters in ({"maximum": 2**64}, deep):
        t.ask(tools=[{"type": "function", "function": {"name": "read_a", "parameters": parameters}}])
        t.ends()


def test_arguments_beyond_all_depths_are_refused() -> None:
    t = talk()
    deep = b'{"k": ' + b"[" * 600 + b"]" * 600 + b"}"
    [failure] = t.tell(CallRequested("call", NOBODY, "read_a", deep))
    assert isinstance(failure, FailCall)
    assert failure.error.code == "invalid_arguments"
