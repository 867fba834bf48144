"""Turns of other APIs than chat, in the core: a session's history is whole however its requests tell it."""

import json
from typing import Any

import pytest

from paste_proxy.config import Config, SpeculationConfig
from paste_proxy.core import Core
from paste_proxy.events import Identity, TurnClosed, TurnRequested, TurnSent, TurnStreamed
from paste_proxy.grammar.apis import Api
from paste_proxy.grammar.events import CallOpened, CallSealed, ContentText, Malformed, ReplyNamed, TurnEnded
from paste_proxy.grammar.requests import parse_request
from paste_proxy.tools.table import ToolTable
from tests.broker.cast import SPECS
from tests.talk import NoPredictor

TOOLS = [{"type": "function", "name": "edit", "parameters": {"type": "object"}}]


class Talk:
    def __init__(self, api: Api) -> None:
        config = Config(speculation=SpeculationConfig(allow=tuple(SPECS), min_service_s=0.0))
        self.core = Core(ToolTable(SPECS), config, NoPredictor())
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


@pytest.mark.parametrize("known", ["streamed", "whole"])
def test_what_goes_on_in_the_background_may_be_a_write_until_its_session_asks_again(known: str) -> None:
    """Its client may leave, and read the reply elsewhere."""
    talk = Talk(Api.RESPONSES)
    talk.ask(input="go", tools=TOOLS, background=True)
    talk.tell(TurnStreamed(talk.turn, ReplyNamed("r1")))
    if known == "whole":
        talk.tell(TurnStreamed(talk.turn, Malformed("the reply ended before the model did", 7)))
    talk.tell(TurnClosed(talk.turn, complete=known == "whole"))
    assert talk.core.broker.open_scopes == 1
    stamp = talk.core.broker.epochs.stamp(frozenset("a"))
    output = {"type": "function_call_output", "call_id": "c1", "output": "done"}
    talk.ask(input=[output], tools=TOOLS, previous_response_id="r1")
    assert talk.core.broker.open_scopes == 0
    assert talk.session.turns == 2
    assert not talk.core.broker.epochs.is_current(stamp)


def test_what_was_read_to_its_end_in_the_background_is_no_write() -> None:
    talk = Talk(Api.RESPONSES)
    talk.ask(input="go", tools=TOOLS, background=True)
    talk.reply(ReplyNamed("r1"), ContentText("hi"))
    assert talk.core.broker.open_scopes == 0


@pytest.mark.parametrize("call_id", ["", "functions.edit:0"])
def test_the_writes_of_sessions_that_nothing_tells_apart_end_as_they_go_on(call_id: str) -> None:
    talk = Talk(Api.CHAT)
    start = [{"role": "user", "content": "go"}]
    in_text = not call_id
    for _ in range(2):
        talk.ask(messages=start)
        edit = [
            CallOpened(0, call_id, "edit", in_text=in_text),
            CallSealed(0, call_id, "edit", "{}", in_text=in_text),
        ]
        talk.reply(ContentText("Action: edit"), *edit)
    said: dict[str, Any] = {"role": "assistant", "content": "Action: edit"}
    if call_id:
        said["tool_calls"] = [
            {"id": call_id, "type": "function", "function": {"name": "edit", "arguments": "{}"}}
        ]
    done = {"role": "tool", "tool_call_id": call_id} if call_id else {"role": "user"}
    for left in (1, 0):
        assert talk.core.broker.open_scopes == 1
        talk.ask(messages=[*start, said, {**done, "content": f"done {left}"}])
        assert len(talk.core.turns.writes) == left
    assert talk.core.broker.open_scopes == 0


def test_a_write_stays_open_where_of_like_sessions_only_the_other_has_one() -> None:
    talk = Talk(Api.CHAT)
    chat_tools = [{"type": "function", "function": {"name": "edit"}}]
    start = [{"role": "user", "content": "go"}]
    talk.ask(messages=start, tools=chat_tools)
    talk.reply(ContentText("Hm."), Malformed("junk", 7))
    talk.ask(messages=start, tools=chat_tools)
    talk.reply(ContentText("Hm."))
    for text in "ab":
        talk.ask(messages=[*start, {"role": "assistant", "content": "Hm."}, {"role": "user", "content": text}])
        assert len(talk.core.turns.writes) == 1


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
