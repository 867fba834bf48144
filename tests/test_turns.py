"""Turns as transcripts: what a stream says starts calls, and ties them to sessions."""

from typing import Any

import pytest

from paste_proxy.config import Config, SpeculationConfig
from paste_proxy.core import Core
from paste_proxy.errors import ToolError
from paste_proxy.events import CallRequested, FailCall, Identity, RunEnded, TurnClosed, TurnStreamed
from paste_proxy.grammar.events import (
    ArgumentGrown,
    ArgumentSealed,
    ArgumentText,
    CallOpened,
    CallSealed,
    ContentText,
    Foreseen,
    GrammarEvent,
    ReasoningText,
    TurnEnded,
)
from paste_proxy.predict.model import Candidate, Fixed, History
from paste_proxy.tools.ports import RunClass
from paste_proxy.tools.table import ToolTable
from tests.broker.cast import CLIENT_TOOLS, SPECS
from tests.talk import NOBODY, Talk, talk


def test_a_sealed_read_starts_while_the_turn_goes_on() -> None:
    t = talk()
    t.ask()
    assert t.seals("read_a") == ["read_a decided"]


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


def test_what_a_request_offers_is_known_to_the_predictor_by_our_names() -> None:
    t = talk()
    t.ask()
    [session] = t.core.turns.sessions.values()
    assert session.history.history.offered == {*SPECS, *CLIENT_TOOLS, "k"}


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


# -- what anybody may send -----------------------------------------------------------------------------------


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
    t = Talk(Core(ToolTable(SPECS), config, Nonsense(answer)))
    t.ask()
    t.ends()
    assert t.core.broker.live == 0


def test_a_predictor_that_answers_without_end_is_cut_off() -> None:
    config = Config(speculation=SpeculationConfig(allow=tuple(SPECS), min_service_s=0.0, candidates=3))
    endless = Nonsense(*(Candidate("read_a", {"k": k}, 0.9, "") for k in range(99)))
    t = Talk(Core(ToolTable(SPECS), config, endless))
    t.ask()
    assert t.core.broker.live == 3


def test_the_late_end_of_a_turn_does_not_end_the_guesses_of_the_next() -> None:
    guesses = (Candidate("read_a", {"k": k}, 0.9, "") for k in range(9))
    config = Config(speculation=SpeculationConfig(allow=tuple(SPECS), min_service_s=0.0, candidates=3))
    t = Talk(Core(ToolTable(SPECS), config, Nonsense(*guesses)))
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
