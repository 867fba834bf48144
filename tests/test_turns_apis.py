"""Turns of other APIs than chat, in the core: a session's history is whole however its requests tell it."""

import json
from typing import Any

import pytest

from paste_proxy.config import Config, SpeculationConfig
from paste_proxy.core import Core
from paste_proxy.events import Identity, TurnClosed, TurnRequested, TurnSent, TurnStreamed
from paste_proxy.grammar.apis import Api
from paste_proxy.grammar.events import CallOpened, CallSealed, ContentText, ReplyNamed, TurnEnded
from paste_proxy.grammar.requests import parse_request
from tests.broker.world import SPECS
from tests.test_turns import NoPredictor

TOOLS = [{"type": "function", "name": "edit", "parameters": {"type": "object"}}]


class Talk:
    def __init__(self, api: Api) -> None:
        config = Config(speculation=SpeculationConfig(allow=tuple(SPECS), min_service_s=0.0))
        self.core = Core(SPECS, config, NoPredictor())
        self.api = api
        self.now = 0.0

    def tell(self, event: Any) -> None:
        self.now += 1
        self.core.handle(event, self.now)

    def ask(self, **body: Any) -> None:
        self.turn = f"turn at {self.now}"
        self.tell(TurnRequested(self.turn, Identity(), parse_request(self.api, json.dumps(body).encode())))
        self.tell(TurnSent(self.turn))

    def reply(self, *events: Any) -> None:
        for event in (*events, TurnEnded("stop")):
            self.tell(TurnStreamed(self.turn, event))
        self.tell(TurnClosed(self.turn, complete=True))

    @property
    def session(self) -> Any:
        """The only one."""
        (session,) = self.core.turns.sessions.values()
        return session


def test_a_result_that_goes_on_from_a_named_reply_ends_its_write() -> None:
    talk = Talk(Api.RESPONSES)
    talk.ask(input="go", tools=TOOLS)
    talk.reply(ReplyNamed("r1"), CallOpened(0, "c1", "edit"), CallSealed(0, "c1", "edit", '{"k": 1}'))
    assert talk.core.broker.open_scopes == 1
    output = {"type": "function_call_output", "call_id": "c1", "output": "done"}
    talk.ask(input=[output], tools=TOOLS, previous_response_id="r1")
    assert talk.core.broker.open_scopes == 0
    assert talk.session.turns == 2
    assert [(one.tool, one.arguments, one.text) for one in talk.session.history.history.calls] == [
        ("edit", {"k": 1}, "done")
    ]


def test_calls_sealed_in_another_order_than_they_began_are_known_again() -> None:
    talk = Talk(Api.MESSAGES)
    talk.ask(messages=[{"role": "user", "content": "go"}])
    calls = [CallOpened(0, "c1", "a"), CallOpened(1, "c2", "b")]
    talk.reply(*calls, CallSealed(1, "c2", "b", '{"k": 1}'), CallSealed(0, "c1", "a", "{}"))
    used = [
        {"type": "tool_use", "id": "c1", "name": "a", "input": {}},
        {"type": "tool_use", "id": "c2", "name": "b", "input": {"k": 1}},
    ]
    talk.ask(messages=[{"role": "user", "content": "go"}, {"role": "assistant", "content": used}])
    assert talk.session.turns == 2


@pytest.mark.parametrize(("api", "key"), [(Api.COMPLETIONS, "prompt"), (Api.GENERATE, "text")])
def test_a_call_in_a_prompt_s_text_is_open_until_the_prompt_goes_on(api: Api, key: str) -> None:
    talk = Talk(api)
    talk.ask(**{key: "Do it.\n"})
    call = [CallOpened(0, "", "edit", in_text=True), CallSealed(0, "", "edit", '{"k": 1}', in_text=True)]
    talk.reply(ContentText("Action: edit"), *call)
    assert talk.core.broker.open_scopes == 1
    talk.ask(**{key: "Do it.\nAction: edit\nObservation: done\n"})
    assert talk.core.broker.open_scopes == 0
    assert talk.session.turns == 2


def test_token_ids_begin_no_session() -> None:
    talk = Talk(Api.GENERATE)
    talk.ask(input_ids=[1, 2])
    talk.reply(ContentText("x"))
    assert not talk.core.turns.sessions
