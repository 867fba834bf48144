"""A session's history from its messages: the calls at once, their results when there is time."""

from paste_proxy.grammar.requests import Message, MessageCall
from paste_proxy.sessions.history import CALLS_KEPT, OUTPUTS_KEPT, UNANSWERED_KEPT, Answered, SessionHistory


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
