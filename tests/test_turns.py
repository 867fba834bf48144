"""Turns as transcripts: what a stream says opens and closes writes, starts calls, and ties them to sessions."""

import json
from typing import Any

from paste_proxy.config import ClientToolConfig, Config, SpeculationConfig
from paste_proxy.core import Core
from paste_proxy.events import (
    CallRequested,
    Decision,
    Identity,
    StartRun,
    TurnClosed,
    TurnRequested,
    TurnSent,
    TurnStreamed,
)
from paste_proxy.grammar.events import CallSealed, TurnEnded
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
        return self.core.handle(event, self.now)

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
    assert t.core.broker.open_writes == 1
    t.answers()
    t.ask()
    assert t.core.broker.open_writes == 0
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
    assert t.core.broker.open_writes == 1
    del t.messages[1:]
    t.ask()
    assert t.core.broker.open_writes == 0


def test_a_client_that_goes_back_waits_for_no_result_of_what_it_left() -> None:
    t = talk()
    t.ask()
    t.seals("edit")
    t.ends()
    assert t.core.broker.open_writes == 1
    del t.messages[1:]
    t.messages.append({"role": "user", "content": "stop, do something else"})
    t.ask()
    assert t.core.broker.open_writes == 0


def test_a_session_that_is_forgotten_closes_its_writes() -> None:
    t = talk()
    t.ask()
    t.seals("edit")
    t.ends()
    t.now += 10_000
    t.core.turns.expire(t.now)
    assert t.core.broker.open_writes == 0
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
