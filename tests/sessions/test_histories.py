"""Requests whose history is told elsewhere, as one text, or otherwise than it was: whose are they?"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.events import Identity
from paste_proxy.grammar.apis import Api
from paste_proxy.grammar.requests import ChatRequest, MessageCall, parse_request
from paste_proxy.sessions.named_replies import REPLIES_KEPT
from paste_proxy.sessions.table import Resolution, SessionTable


class Client:
    """Speaks to a table as the core does."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.table = SessionTable(100, 60.0)
        self.turns = 0
        self.request: ChatRequest

    def ask(self, name: str = "", tenant: str = "default", **body: Any) -> Resolution:
        identity = Identity(tenant, name)
        self.request = self.table.whole(identity, parse_request(self.api, json.dumps(body).encode()))
        resolution = self.table.resolve(identity, self.request, 0.0)
        self.turns += 1
        self.table.turn_opened(resolution.session, f"t{self.turns}")
        return resolution

    def reply(self, session: str, text: str = "", *calls: MessageCall, reply_id: str = "") -> None:
        """To the last request."""
        turn = f"t{self.turns}"
        if reply_id:
            self.table.reply_named(session, turn, reply_id)
        self.table.turn_closed(session, turn, 0.0, complete=True, text=text, calls=calls)

    def fail(self, session: str, text: str = "") -> None:
        self.table.turn_closed(session, f"t{self.turns}", 0.0, complete=False, text=text)


def call(call_id: str = "c1") -> MessageCall:
    return MessageCall(call_id, "look", '{"a": 1}')


def output(call_id: str = "c1") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": "ok"}


# -- replies that a request names ---------------------------------------------------------------------------


def test_a_request_goes_on_from_the_reply_that_it_names() -> None:
    client = Client(Api.RESPONSES)
    first = client.ask(input="go", instructions="Help.")
    client.reply(first.session, "", call(), reply_id="r1")
    again = client.ask(input=[output()], previous_response_id="r1", instructions="Now be brief.")
    assert again == Resolution(first.session, "continued", "", 0, in_doubt=False)
    fresh = client.request.messages[again.fresh_from :]
    assert [one.role for one in fresh] == ["assistant", "tool"]
    assert fresh[0].calls == (call(),)
    client.reply(first.session, "Done.", reply_id="r2")
    assert client.ask(input="more", previous_response_id="r2").session == first.session


def test_a_reply_that_is_not_known_begins_a_session_of_its_own() -> None:
    client = Client(Api.RESPONSES)
    waiting = client.ask(input="go")
    client.fail(waiting.session)
    sessions = {waiting.session}
    for _ in range(2):
        for reply_id in ("unknown", "other", "é"):
            new = client.ask(input="go", previous_response_id=reply_id)
            assert new.relation == "new"
            sessions.add(new.session)
    assert len(sessions) == 7


def test_a_second_request_after_one_reply_is_a_child() -> None:
    client = Client(Api.RESPONSES)
    parent = client.ask(input="go")
    client.reply(parent.session, "Yes.", reply_id="r1")
    assert client.ask(input="one", previous_response_id="r1").session == parent.session
    child = client.ask(input="two", previous_response_id="r1")
    assert (child.relation, child.parent) == ("child", parent.session)


def test_a_failed_request_is_retried_after_the_same_reply() -> None:
    client = Client(Api.RESPONSES)
    session = client.ask(input="go").session
    client.reply(session, "Yes.", reply_id="r1")
    client.ask(input="one", previous_response_id="r1")
    client.fail(session)
    again = client.ask(input="one", previous_response_id="r1")
    assert (again.session, again.relation) == (session, "retry")


def test_replies_are_known_to_their_tenant_and_name_only() -> None:
    client = Client(Api.RESPONSES)
    session = client.ask("n", input="go").session
    client.reply(session, "Yes.", reply_id="r1")
    for name, tenant in (("", "default"), ("m", "default"), ("n", "t")):
        assert client.ask(name, tenant, input="on", previous_response_id="r1").relation == "new"
    assert client.ask("n", input="on", previous_response_id="r1").session == session


def test_an_id_that_two_sessions_have_got_names_neither_s_reply() -> None:
    client = Client(Api.RESPONSES)
    sessions = set()
    for text in "abc":
        session = client.ask(input=text).session
        client.reply(session, "Yes.", reply_id="same")
        sessions.add(session)
    assert client.ask(input="on", previous_response_id="same").session not in sessions


def test_an_engine_that_names_all_replies_of_a_session_alike() -> None:
    client = Client(Api.RESPONSES)
    session = client.ask(input="go").session
    for text in "ab":
        client.reply(session, text, reply_id="same")
        assert client.ask(input="on", previous_response_id="same").session == session


def test_a_reply_that_was_cut_off_can_t_be_gone_on_from() -> None:
    client = Client(Api.RESPONSES)
    session = client.ask(input="go").session
    client.table.reply_named(session, "t1", "r1")
    client.fail(session, "Ye")
    assert client.ask(input="on", previous_response_id="r1").relation == "new"


def test_a_reply_that_goes_on_in_the_background_can_be_gone_on_from() -> None:
    client = Client(Api.RESPONSES)
    session = client.ask(input="go", background=True).session
    client.table.reply_named(session, "t1", "r1")
    client.fail(session, "Ye")
    again = client.ask(input=[output()], previous_response_id="r1")
    assert (again.session, again.relation, again.in_doubt) == (session, "continued", False)


def test_few_replies_are_kept() -> None:
    client = Client(Api.RESPONSES)
    session = client.ask(input="go").session
    for number in range(2 * REPLIES_KEPT):
        client.reply(session, str(number), reply_id=f"r{number}")
        client.ask(input="on", previous_response_id=f"r{number}")
    assert len(client.table._histories.replies) == REPLIES_KEPT
    client.table.forget(session)
    assert len(client.table._histories.replies) == 0


def test_a_name_for_a_turn_that_is_over_is_ignored() -> None:
    client = Client(Api.RESPONSES)
    session = client.ask(input="go").session
    client.table.reply_named(session, "t0", "r1")
    client.table.reply_named("nobody", "t1", "r1")
    client.reply(session, "Yes.")
    assert client.ask(input="on", previous_response_id="r1").relation == "new"


# -- prompts ------------------------------------------------------------------------------------------------


def test_a_prompt_goes_on_from_the_last_one_and_its_reply() -> None:
    client = Client(Api.COMPLETIONS)
    prompt = "Question: go\nThought:"
    first = client.ask(prompt=prompt)
    for turn in range(3):
        client.reply(first.session, f" I look {turn}.\nAction: look")
        prompt += f" I look {turn}.\nAction: look\nObservation: ok\nThought:"
        again = client.ask(prompt=prompt)
        assert (again.session, again.relation, again.in_doubt) == (first.session, "continued", False)
    client.reply(first.session, "Done.")
    assert client.ask(prompt=prompt + "Done.").session == first.session


def test_both_text_apis_are_one() -> None:
    client = Client(Api.COMPLETIONS)
    session = client.ask(prompt="a").session
    client.reply(session, "b")
    client.api = Api.GENERATE
    assert client.ask(text="a b c").session == session


def test_prompts_that_begin_alike_are_told_apart_by_their_replies() -> None:
    client = Client(Api.COMPLETIONS)
    shots = "Q: 1+1 A: 2 " * 20
    sessions = []
    for question in ("3", "33", "4"):
        session = client.ask(prompt=f"{shots}Q: {question}").session
        sessions.append(session)
        client.reply(session, f"A: {question}.")
    assert len(set(sessions)) == 3
    for question, session in zip(("3", "33", "4"), sessions, strict=True):
        assert client.ask(prompt=f"{shots}Q: {question}A: {question}. Q: 5").session == session


def test_twins_are_never_merged() -> None:
    client = Client(Api.COMPLETIONS)
    sessions = []
    for _ in range(2):
        sessions.append(client.ask(prompt="a").session)
        client.reply(sessions[-1], "b")
    for text in ("ab1", "ab2"):
        again = client.ask(prompt=text)
        assert again.session not in sessions
        assert again.in_doubt


def test_an_empty_reply_is_nothing_to_be_known_by() -> None:
    client = Client(Api.COMPLETIONS)
    session = client.ask(prompt="a").session
    client.reply(session, " \n")
    assert client.ask(prompt="a b").session != session


def test_a_prompt_that_was_changed_begins_a_session() -> None:
    client = Client(Api.COMPLETIONS)
    session = client.ask(prompt="ab").session
    client.reply(session, "cd")
    assert client.ask(prompt="abXcd and more").relation == "new"
    assert client.ask(prompt="ab").relation == "new"


def test_a_failed_prompt_is_retried_and_a_broken_off_reply_gone_on_from() -> None:
    client = Client(Api.COMPLETIONS)
    session = client.ask(prompt="ab").session
    client.fail(session, "c")
    assert client.ask(prompt="ab").relation == "retry"
    client.fail(session, "c")
    assert client.ask(prompt="abc, go on").session == session


def test_names_keep_prompts_apart() -> None:
    client = Client(Api.COMPLETIONS)
    session = client.ask("n", prompt="a").session
    client.reply(session, "b")
    assert client.ask("m", prompt="a b c").session != session
    assert client.ask("n", prompt="a b c").session == session


def test_forgotten_prompts_leave_nothing() -> None:
    client = Client(Api.COMPLETIONS)
    for text in ("a", "b", "a"):
        session = client.ask(prompt=text).session
        client.reply(session, "c")
    for lineage in list(client.table._lineages):
        client.table.forget(lineage)
    assert len(client.table._histories.prompt_ends) == 0
    assert client.ask(prompt="acd").relation == "new"


PIECES = st.text("ab \n", max_size=6)


@given(st.lists(st.tuples(PIECES, PIECES.filter(str.strip), PIECES), min_size=1, max_size=5), st.booleans())
def test_a_growing_prompt_is_one_session(turns: list[tuple[str, str, str]], strip: bool) -> None:
    client = Client(Api.COMPLETIONS)
    prompt = "start"
    session = client.ask(prompt=prompt).session
    for before, reply, after in turns:
        client.reply(session, before + reply)
        said = (before + reply).strip() if strip else before + reply
        prompt += said + after
        again = client.ask(prompt=prompt)
        assert (again.session, again.in_doubt) == (session, False)


# -- replies that clients tell otherwise --------------------------------------------------------------------

GO = {"role": "user", "content": "go"}
MORE = {"role": "user", "content": "more"}


def item(call_id: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "look", "arguments": '{"a": 1}'}


def in_turn(*ids: str) -> list[dict[str, Any]]:
    """Each result right behind its call."""
    return [one for call_id in ids for one in (item(call_id), output(call_id))]


@pytest.mark.parametrize("more", [[], [MORE]])
def test_results_may_stand_right_behind_their_calls(more: list[Any]) -> None:
    client = Client(Api.RESPONSES)
    twin = client.ask(input=[GO]).session
    client.reply(twin, "", call("x1"), call("x2"))
    session = client.ask(input=[GO]).session
    client.reply(session, "", call("c1"), call("c2"))
    history = [GO, *in_turn("c1", "c2"), *more]
    again = client.ask(input=history)
    assert (again.session, again.relation, again.in_doubt) == (session, "continued", False)
    fresh = client.request.messages[again.fresh_from :]
    assert [one.call_id for one in fresh[0].calls] == ["c1", "c2"]
    assert [one.call_id for one in fresh if one.role == "tool"] == ["c1", "c2"]
    client.reply(session, "", call("c3"), call("c4"))
    history += in_turn("c3", "c4")
    assert client.ask(input=history).session == session
    assert client.ask(input=[GO, *in_turn("x1", "x2")]).session == twin


def test_one_call_after_the_other_looks_the_same() -> None:
    client = Client(Api.RESPONSES)
    session = client.ask(input=[GO]).session
    for n in range(1, 5):
        client.reply(session, "", call(f"c{n}"))
        again = client.ask(input=[GO, *in_turn(*(f"c{one}" for one in range(1, n + 1)))])
        assert (again.session, again.fresh_from) == (session, 2 * n - 1)


def test_a_failed_request_of_that_kind_is_retried() -> None:
    client = Client(Api.RESPONSES)
    session = client.ask(input=[GO]).session
    client.reply(session, "", call("c1"), call("c2"))
    history = [GO, *in_turn("c1", "c2")]
    client.ask(input=history)
    client.fail(session)
    assert client.ask(input=history).relation == "retry"


def chat(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [GO, *messages]}


def said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def test_a_client_that_drops_the_calls_goes_on_in_doubt() -> None:
    client = Client(Api.CHAT)
    session = client.ask(**chat()).session
    client.reply(session, "I look.", call())
    again = client.ask(**chat(said("I look."), MORE))
    assert (again.session, again.relation, again.in_doubt) == (session, "continued", True)


def test_who_never_had_calls_is_told_apart_from_who_dropped_them() -> None:
    client = Client(Api.CHAT)
    called = client.ask(**chat()).session
    client.reply(called, "I look.", call())
    plain = client.ask(**chat()).session
    client.reply(plain, "I look.")
    again = client.ask(**chat(said("I look."), MORE))
    assert (again.session, again.in_doubt) == (plain, False)
    function = {"name": "look", "arguments": '{"a": 1}'}
    message = {**said("I look."), "tool_calls": [{"id": "c1", "function": function}]}
    assert client.ask(**chat(message, MORE)).session == called


def test_calls_may_be_written_into_the_text() -> None:
    client = Client(Api.CHAT)
    sessions = []
    for calls in (("b", "a"), ("d", "c")):
        sessions.append(client.ask(**chat()).session)
        client.reply(sessions[-1], "", *map(call, calls))
    for ids, session in zip((("a", "b"), ("c", "d")), sessions, strict=True):
        written = [
            {"id": one, "type": "function", "function": {"name": "look", "arguments": {"a": 1}}} for one in ids
        ]
        again = client.ask(**chat(said(f"\nCalling tools:\n{written}"), {"role": "user", "content": "Seen."}))
        assert (again.session, again.in_doubt) == (session, False)
