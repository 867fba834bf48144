"""A session's history from its messages: the calls at once, their results when there is time."""

import pytest

from paste_proxy.grammar.requests import Message, MessageCall
from paste_proxy.predict.model import Said
from paste_proxy.sessions.history import (
    CALLS_KEPT,
    OUTPUTS_KEPT,
    SAID_KEPT,
    SAID_LIMIT,
    UNANSWERED_KEPT,
    Answered,
    SessionHistory,
)


def ask(*calls: tuple[str, str, str]) -> Message:
    return Message("assistant", calls=tuple(MessageCall(*call) for call in calls))


def answer(call_id: str, text: str) -> Message:
    return Message("tool", text=text, call_id=call_id)


def test_results_are_matched_to_calls_by_id_and_names_are_ours() -> None:
    history = SessionHistory("s")
    messages = [
        ask(("1", "mcp__open", '{"p":1}'), ("2", "edit", "{}")),
        answer("2", "done"),
        answer("1", '{"x": 2}'),
    ]
    assert history.take(messages, {"mcp__open": "open"}) == [Answered("2", "edit"), Answered("1", "mcp__open")]
    history.read()
    assert [(c.tool, c.arguments, c.value) for c in history.history.calls] == [
        ("edit", {}, None),
        ("open", {"p": 1}, {"x": 2}),
    ]
    assert history.unanswered == {}


def test_a_result_told_twice_is_of_one_call_and_one_without_its_call_of_none() -> None:
    history = SessionHistory()
    messages = [ask(("1", "t", "{}")), answer("1", "a"), answer("1", "b"), answer("2", "c")]
    assert history.take(messages, {}) == [Answered("1", "t"), Answered("1", "t"), Answered("2", None)]


def test_taking_reads_nothing_yet() -> None:
    history = SessionHistory()
    history.take([ask(("1", "t", "{}")), answer("1", "text")], {})
    assert history.history.calls == []
    history.read()
    assert len(history.history.calls) == 1


def test_an_answer_may_come_in_a_later_request() -> None:
    history = SessionHistory()
    history.take([ask(("1", "t", "{}"))], {})
    assert list(history.unanswered) == ["1"]
    assert history.take([answer("1", "text")], {}) == [Answered("1", "t")]
    assert history.unanswered == {}


def test_answers_to_nothing_and_arguments_that_are_no_object_do_no_harm() -> None:
    history = SessionHistory()
    history.take(
        [answer("9", "?"), ask(("1", "t", "[1"), ("2", "t", "[1]")), answer("1", ""), answer("2", "")], {}
    )
    history.read()
    assert [call.arguments for call in history.history.calls] == [{}, {}]


def test_memory_is_bounded_in_calls_and_in_texts() -> None:
    history = SessionHistory()
    for number in range(3 * CALLS_KEPT):
        history.take([ask((str(number), "t", "{}")), answer(str(number), "some text")], {})
        if number % 5 == 0:
            history.read()
    history.read()
    calls = history.history.calls
    assert len(calls) == CALLS_KEPT
    assert [bool(call.text) for call in calls] == [False] * (CALLS_KEPT - OUTPUTS_KEPT) + [True] * OUTPUTS_KEPT
    history.take([ask(*((f"u{n}", "t", "{}") for n in range(2 * UNANSWERED_KEPT)))], {})
    assert len(history.unanswered) == UNANSWERED_KEPT


def test_what_was_said_stands_with_the_calls_that_were_answered_before_it() -> None:
    history = SessionHistory()
    history.take(
        [
            Message("system", "Be brief."),
            Message("user", "Open both."),
            Message("assistant", "I open them.", (MessageCall("1", "t", "{}"), MessageCall("2", "t", "{}"))),
            answer("1", "a"),
            answer("2", "b"),
            answer("3", "of no call"),
            ask(("4", "t", "{}")),
        ],
        {},
    )
    assert history.history.said == []
    history.read()
    opening = [
        Said("system", "Be brief.", 0),
        Said("user", "Open both.", 0),
        Said("assistant", "I open them.", 0),
    ]
    assert history.history.said == opening
    history.take([answer("4", "c"), Message("user", "Go on.")], {})
    history.read()
    assert history.history.said == [*opening, Said("user", "Go on.", 3)]
    assert SessionHistory().history.said == []


@pytest.mark.parametrize("reads_every", [1, 7, 1000])
def test_what_is_forgotten_is_counted(reads_every: int) -> None:
    history = SessionHistory()
    for number in range(3 * CALLS_KEPT):
        call = MessageCall(str(number), "t", "{}")
        history.take([Message("assistant", f"text {number}", (call,)), answer(str(number), "done")], {})
        history.take([Message("user", "x" * 2 * SAID_LIMIT)], {})
        if number % reads_every == 0:
            history.read()
    history.read()
    kept = history.history
    assert (len(kept.calls), kept.forgotten_calls) == (CALLS_KEPT, 2 * CALLS_KEPT)
    assert (len(kept.said), kept.forgotten_said) == (SAID_KEPT, 6 * CALLS_KEPT - SAID_KEPT)
    assert [len(said.text) for said in kept.said[-2:]] == [len("text 191"), SAID_LIMIT]
    assert kept.said[-1].after == 3 * CALLS_KEPT
