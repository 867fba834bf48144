"""For every API: the history that a client sends back is known as the one that its session waits for."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.events import Identity
from paste_proxy.grammar.apis import Api
from paste_proxy.grammar.requests import ChatRequest, parse_request
from paste_proxy.sessions.table import Resolution, SessionTable
from tests.grammar.dialects.written import Call, Said, Words
from tests.sessions.conversations import SPOKEN, Habits, Spoken, Turn, calls_of, hear

NUMBERS = st.sampled_from([0, 1, 1.0, -2.0, 1.5, 1e3, 10**20])
VALUES = st.none() | NUMBERS | st.text(max_size=4) | st.lists(NUMBERS, max_size=2)
ARGUMENTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=3).map(json.dumps)
WORDS = st.builds(
    Words, st.sampled_from(["reasoning", "content"]), st.lists(st.text(min_size=1, max_size=6), min_size=1)
)
HABITS = st.builds(Habits, *[st.booleans()] * 5)


@st.composite
def turns(draw: st.DrawFn) -> list[Turn]:
    made = []
    for number in range(draw(st.integers(1, 4))):
        arguments = draw(st.lists(ARGUMENTS | st.just(""), max_size=3))
        calls = [
            Call(f"call_{number}_{place}", "look", [one] if one else []) for place, one in enumerate(arguments)
        ]
        words = draw(st.lists(WORDS, max_size=2))
        if not calls:
            words.append(Words("content", [draw(st.text(min_size=1, max_size=5))]))
        items: list[Words | Call] = draw(st.permutations([*words, *calls]))
        then = draw(st.sampled_from(["", "go on"])) if calls else "and now?"
        made.append(Turn(Said(items, finished=True, usage=(1, 1, 0)), then, draw(HABITS)))
    return made


class Talk:
    """A client of one API before a table; time stands still."""

    def __init__(self, table: SessionTable, spoken: Spoken, start: str, habits: Habits) -> None:
        self.table = table
        self.spoken = spoken
        self.body = spoken.start(start, habits)
        self.request = self._parse(self.body)
        self.resolution = self._ask(self.request)
        self.session = self.resolution.session

    def _parse(self, body: dict[str, Any]) -> ChatRequest:
        return self.table.whole(Identity(), parse_request(self.spoken.api, json.dumps(body).encode()))

    def _ask(self, request: ChatRequest) -> Resolution:
        resolution = self.table.resolve(Identity(), request, 0.0)
        self.table.turn_opened(resolution.session, "turn")
        return resolution

    def take(self, turn: Turn, reply_id: str = "resp_1") -> None:
        heard = hear(self.spoken.api, turn.said, stream=turn.habits.stream, reply_id=reply_id)
        assert heard.ended
        if heard.reply_id:
            self.table.reply_named(self.resolution.session, "turn", heard.reply_id)
        self.table.turn_closed(
            self.resolution.session, "turn", 0.0, complete=True, text=heard.text, calls=heard.calls
        )

    def go_on(self, turn: Turn) -> None:
        self.body = {
            **self.body,
            self.spoken.history: [*self.body[self.spoken.history], *self.spoken.after(turn)],
        }
        self.request = self._parse(self.body)
        self.resolution = self._ask(self.request)

    def go_on_from(self, reply_id: str, turn: Turn) -> None:
        """Only what is new, without the reply's own items."""
        new = [one for one in self.spoken.after(turn) if is_client_s(one)]
        self.request = self._parse({"input": new, "previous_response_id": reply_id})
        self.resolution = self._ask(self.request)

    def check(self, turn: Turn) -> None:
        """It is the same session, and all that it has not seen before counts as fresh."""
        assert self.resolution.session == self.session
        assert (self.resolution.relation, self.resolution.in_doubt) == ("continued", False)
        fresh = self.request.messages[self.resolution.fresh_from :]
        asked = [call for message in fresh for call in message.calls]
        called = calls_of(turn.said)
        assert [one.call_id for one in asked] == [one.call_id for one in called]
        assert [one.call_id for one in fresh if one.role == "tool"] == [one.call_id for one in called]


def is_client_s(item: dict[str, Any]) -> bool:
    return item.get("role") == "user" or item.get("type") == "function_call_output"


every_spoken_api = pytest.mark.parametrize("spoken", SPOKEN, ids=[one.api.name.lower() for one in SPOKEN])


@every_spoken_api
@given(conversation=turns(), habits=HABITS)
def test_a_session_is_known_by_what_its_client_sends_back(
    spoken: Spoken, conversation: list[Turn], habits: Habits
) -> None:
    talk = Talk(SessionTable(100, 60.0), spoken, "Do it.", habits)
    for turn in conversation:
        talk.take(turn)
        talk.go_on(turn)
        talk.check(turn)


@every_spoken_api
@settings(max_examples=50)
@given(one=turns(), other=turns(), habits=HABITS)
def test_sessions_that_begin_alike_are_never_merged(
    spoken: Spoken, one: list[Turn], other: list[Turn], habits: Habits
) -> None:
    table = SessionTable(100, 60.0)
    talks = [Talk(table, spoken, "Do it.", habits) for _ in range(2)]
    owners = {talk.session: talk for talk in talks}
    assert len(owners) == 2
    for turns_now in itertools.zip_longest(one, other):
        pairs = [(talk, turn) for talk, turn in zip(talks, turns_now, strict=True) if turn is not None]
        for talk, turn in pairs:
            talk.take(turn)
        for talk, turn in pairs:
            talk.go_on(turn)
            assert owners.setdefault(talk.resolution.session, talk) is talk
            assert (talk.resolution.relation == "continued") == (talk.resolution.session == talk.session)
            talk.session = talk.resolution.session


RESPONSES = next(one for one in SPOKEN if one.api is Api.RESPONSES)


@given(conversation=turns(), habits=HABITS)
def test_a_named_reply_is_gone_on_from_as_if_its_history_had_come(
    conversation: list[Turn], habits: Habits
) -> None:
    talk = Talk(SessionTable(100, 60.0), RESPONSES, "Do it.", habits)
    for number, turn in enumerate(conversation):
        talk.take(turn, f"resp_{number}x")
        talk.go_on_from(f"resp_{number}x", turn)
        talk.check(turn)


@given(conversation=turns(), habits=HABITS)
def test_a_client_may_send_the_whole_history_again_after_it_named_replies(
    conversation: list[Turn], habits: Habits
) -> None:
    table = SessionTable(100, 60.0)
    by_name, whole = (Talk(table, RESPONSES, "Do it.", habits) for _ in range(2))
    for number, turn in enumerate(conversation):
        by_name.take(turn, f"resp_{number}x")
        by_name.go_on_from(f"resp_{number}x", turn)
        whole.body["input"] += RESPONSES.after(turn)
        assert whole._parse(whole.body).chain[-1] == by_name.request.chain[-1]
