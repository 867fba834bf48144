"""Turns as transcripts: what a stream says opens and closes writes, starts calls, and ties them to sessions."""

import json
from typing import Any

import pytest

from paste_proxy.config import ClientToolConfig, Config, SpeculationConfig
from paste_proxy.core import Core
from paste_proxy.events import (
    CallRequested,
    Decision,
    FailCall,
    Identity,
    RunBegan,
    StartRun,
    TurnClosed,
    TurnRequested,
    TurnSent,
    TurnStreamed,
)
from paste_proxy.grammar.events import CallOpened, CallSealed, Malformed, TurnEnded
from paste_proxy.grammar.requests import parse_chat_request
from paste_proxy.predict.model import Candidate, History
from paste_proxy.tools.ports import RunClass
from tests.broker.world import OFFERED, SPECS

NOBODY = Identity()


class NoPredictor:
    def learn(self, history: History, calls: Any) -> None:
        pass

    def predict(self, history: History, tools: Any, limit: int) -> list[Candidate]:
        return []


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

    def seals(self, tool: str, call_id: str = "c1", arguments: str = '{"k": 1}') -> list[str]:
        """The runs that start with it."""
        decisions = self.tell(TurnStreamed(self.turn, CallSealed(0, call_id, tool, arguments)))
        function = {"name": tool, "arguments": arguments}
        call = {"id": call_id, "type": "function", "function": function}
        self.messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
        return started(decisions)

    def ends(self, *, complete: bool = True) -> None:
        if complete:
            self.tell(TurnStreamed(self.turn, TurnEnded("tool_calls")))
        self.tell(TurnClosed(self.turn, complete))

    def answers(self, call_id: str = "c1") -> None:
        self.messages.append({"role": "tool", "tool_call_id": call_id, "content": "done"})

    def calls(self, tool: str, call_id: str = "", arguments: bytes = b'{"k": 1}') -> list[str]:
        return started(self.tell(CallRequested(f"call at {self.now}", self.identity, tool, arguments, call_id)))


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
    t.ask()
    t.seals("edit")
    t.ends()
    t.answers()
    t.messages[0]["content"] = "go, once more"
    t.ask()
    assert t.core.broker.open_scopes == 0


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


def test_a_session_that_is_forgotten_closes_its_writes() -> None:
    t = talk()
    t.ask()
    t.seals("edit")
    t.ends()
    t.now += 10_000
    t.core.turns.expire(t.now)
    assert t.core.broker.open_scopes == 0
    assert t.core.turns.sessions == {}


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
