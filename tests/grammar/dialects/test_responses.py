import itertools
import json
from typing import Any

import pytest

from paste_proxy.grammar.calls import CALL_LIMIT
from paste_proxy.grammar.dialects import Api
from paste_proxy.grammar.dialects.responses import ResponsesDialect
from paste_proxy.grammar.events import (
    ArgumentText,
    CallOpened,
    CallSealed,
    ContentText,
    GrammarEvent,
    ReasoningText,
    ReplyNamed,
    TurnEnded,
    Usage,
    UsageReported,
)
from paste_proxy.grammar.reply import Reply
from tests.grammar.dialects.support import (
    event,
    faults,
    read,
    read_whole,
    recorded_events,
    recording,
    sealed,
    text,
)

NAMED = ReplyNamed("resp_1")
USAGE = {
    "input_tokens": 7,
    "input_tokens_details": {"cached_tokens": 3},
    "output_tokens": 5,
    "total_tokens": 12,
}
USED = UsageReported(Usage(7, 5, 3))


def news(kind: str, index: int | None = 0, **fields: Any) -> bytes:
    numbered = {"type": f"response.{kind}", "output_index": index, "sequence_number": 1, **fields}
    return event(numbered, f"response.{kind}")


def response(status: str = "completed", output: Any = (), **fields: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "status": status,
        "output": list(output),
        "usage": USAGE,
        **fields,
    }


def ends(status: str = "completed", output: Any = (), **fields: Any) -> bytes:
    return event({"type": f"response.{status}", "response": response(status, output, **fields)})


def call(call_id: str = "call_a", name: str = "look", arguments: str = "", **fields: Any) -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": "fc_1",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        **fields,
    }


def message(content: str) -> dict[str, Any]:
    return {"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": content}]}


def added(item: dict[str, Any], index: int | None = 0) -> bytes:
    return news("output_item.added", index, item=item)


def done(item: dict[str, Any], index: int | None = 0) -> bytes:
    return news("output_item.done", index, item=item)


def delta(piece: str, index: int | None = 0) -> bytes:
    return news("function_call_arguments.delta", index, item_id="fc_1", delta=piece)


CREATED = event({"type": "response.created", "response": response("in_progress", usage=None)})


def get(*pieces: bytes) -> list[GrammarEvent]:
    return read(Api.RESPONSES, *pieces)


def test_a_recorded_stream_of_sglang() -> None:
    last = recorded_events("responses_calls.sse")[-1]["response"]
    events = get(recording("responses_calls.sse"))
    calls = [(item["call_id"], item["name"], item["arguments"]) for item in last["output"]]
    assert len(calls) > 2
    assert sealed(events) == calls
    assert events[0] == ReplyNamed(last["id"])
    assert events[-2:] == [TurnEnded("completed"), UsageReported(Usage(346, last["usage"]["output_tokens"], 0))]
    assert not faults(events)


def test_a_recorded_whole_reply_of_sglang() -> None:
    whole = json.loads(recording("responses_calls.json"))
    events = read_whole(Api.RESPONSES, whole)
    assert sealed(events) == [(item["call_id"], item["name"], item["arguments"]) for item in whole["output"]]
    assert events[0] == ReplyNamed(whole["id"])
    assert events[-2] == TurnEnded("completed")


def test_a_call_that_sglang_calls_completed_though_the_limit_cut_it() -> None:
    events = get(recording("responses_cut.sse"))
    assert not sealed(events)
    assert len(faults(events)) == 1
    assert TurnEnded("max_output_tokens") in events


EVERYTHING = [
    CREATED,
    event({"type": "response.in_progress", "response": response("in_progress")}),
    added({"type": "reasoning", "id": "rs_1", "summary": [], "content": []}, 0),
    news("content_part.added", 0, content_index=0, part={"type": "reasoning_text", "text": ""}),
    news("reasoning_text.delta", 0, content_index=0, delta="Let me "),
    news("reasoning_text.delta", 0, content_index=0, delta="see."),
    news("reasoning_text.done", 0, content_index=0, text="Let me see."),
    done(
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Let me see."}]}, 0
    ),
    added({"type": "message", "content": [], "role": "assistant"}, 1),
    news("content_part.added", 1, content_index=0, part={"type": "output_text", "text": ""}),
    news("output_text.delta", 1, content_index=0, delta="I ", logprobs=[]),
    news("output_text.delta", 1, content_index=0, delta="look.", logprobs=[]),
    news("output_text.done", 1, content_index=0, text="I look.", logprobs=[]),
    done(message("I look."), 1),
    added(call("call_a"), 2),
    delta('{"at": ', 2),
    delta('"x"}', 2),
    news("function_call_arguments.done", 2, arguments='{"at": "x"}', name="look"),
    done(call("call_a", arguments='{"at": "x"}'), 2),
]
OUTPUT = [
    {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Let me see."}]},
    message("I look."),
    call("call_a", arguments='{"at": "x"}', status="completed"),
]
EXPECTED: list[GrammarEvent] = [
    NAMED,
    ReasoningText("Let me see."),
    ContentText("I look."),
    CallOpened(0, "call_a", "look"),
    ArgumentText(0, '{"at": "x"}'),
    CallSealed(0, "call_a", "look", '{"at": "x"}'),
    TurnEnded("completed"),
    USED,
]


def test_the_response_at_the_end_repeats_what_is_known() -> None:
    assert get(*EVERYTHING, ends(output=OUTPUT)) == EXPECTED


def test_a_whole_reply_gives_the_events_of_its_stream() -> None:
    assert read_whole(Api.RESPONSES, response(output=OUTPUT)) == EXPECTED


def test_items_that_only_the_end_tells() -> None:
    assert get(CREATED, ends(output=OUTPUT)) == EXPECTED


@pytest.mark.parametrize("first", [[done(message("hi"))], [added(call("a")), delta("{}"), done(call("a"))]])
def test_a_call_that_only_the_end_tells_beside_others(first: list[bytes]) -> None:
    late = call("late", "edit", '{"k":1}')
    events = get(CREATED, *first, ends(output=[message("hi"), late, call("a")] if len(first) > 1 else [late]))
    assert sealed(events)[-1] == ("late", "edit", '{"k":1}')
    assert len(sealed(events)) == len(first[1:]) // 2 + 1
    assert not faults(events)


def test_the_end_may_tell_a_call_again_under_another_id() -> None:
    told = [added(call("a")), delta('{"k": 1}'), done(call("a", arguments='{"k": 1}'))]
    for output in ([call("x", arguments='{"k":1}')], [call("a", arguments='{"k":1}')]):
        assert sealed(get(*told, ends(output=output))) == [("a", "look", '{"k": 1}')]
    twice = [call("x", arguments='{"k":1}'), call("a", arguments='{"k":1}')]
    assert [one[0] for one in sealed(get(*told, ends(output=twice)))] == ["a", "x"]


def test_items_that_are_told_only_when_they_are_done() -> None:
    items = [done(item, index) for index, item in enumerate(OUTPUT)]
    assert get(CREATED, *items, ends(output=OUTPUT)) == EXPECTED


@pytest.mark.parametrize(
    "pieces",
    [
        [news("function_call_arguments.done", 0, arguments='{"a":1}'), done(call(arguments='{"a":1}'))],
        [done(call(arguments='{"a":1}'))],
        [delta('{"a":1}'), done(call(arguments='{"a":1}'))],
        [delta('{"a":'), delta("1}"), news("function_call_arguments.done", 0, arguments='{"a":1}')],
    ],
)
def test_arguments_count_once_wherever_they_are_told(pieces: list[bytes]) -> None:
    events = get(CREATED, added(call()), *pieces, ends(output=[call(arguments='{"a":1}')]))
    assert sealed(events) == [("call_a", "look", '{"a":1}')]
    assert not faults(events)


def test_the_first_arguments_that_vllm_tells_twice() -> None:
    events = get(
        added(call(arguments='{"a"')), delta('{"a"'), delta(":1}"), done(call(arguments='{"a":1}')), ends()
    )
    assert sealed(events) == [("call_a", "look", '{"a":1}')]
    assert not faults(events)


def test_a_call_that_began_with_arguments_and_was_never_done_has_lost_them() -> None:
    events = get(added(call(arguments='{"a":1}')), ends())
    assert not sealed(events)
    assert len(faults(events)) == 1


def test_the_seal_comes_with_the_closing_brace() -> None:
    events = get(CREATED, added(call()), delta('{"a":1}'))
    assert sealed(events) == [("call_a", "look", '{"a":1}')]
    assert faults(events) == ["the reply ended before the model did"]


def test_a_call_without_arguments_is_whole_once_the_model_goes_on() -> None:
    bare = [added(call("a"), 0), news("function_call_arguments.done", 0, arguments=""), done(call("a"), 0)]
    assert not sealed(get(*bare))
    assert sealed(get(*bare, added(call("b"), 1))) == [("a", "look", "{}")]
    assert sealed(get(*bare, added(message(""), 1))) == [("a", "look", "{}")]


def test_a_call_without_arguments_at_the_end() -> None:
    bare = [added(call("a")), done(call("a"))]
    assert sealed(get(*bare, ends())) == [("a", "look", "{}")]
    assert not sealed(get(*bare, ends("incomplete")))
    assert not sealed(get(*bare, ends("failed")))
    assert sealed(read_whole(Api.RESPONSES, response(output=[call("a")]))) == [("a", "look", "{}")]
    assert not sealed(read_whole(Api.RESPONSES, response("incomplete", output=[call("a")])))


def test_calls_whose_deltas_mix() -> None:
    mixed = [added(call("a"), 0), added(call("b"), 1), delta('{"n":', 0), delta('{"m":', 1), delta("1}", 0)]
    events = get(*mixed, delta("2}", 1), done(call("a"), 0), done(call("b"), 1), ends())
    assert sealed(events) == [("a", "look", '{"n":1}'), ("b", "look", '{"m":2}')]
    assert not faults(events)


def test_items_without_an_index() -> None:
    events = get(added(call("a"), None), delta("{}", None), done(call("a"), None), ends())
    assert sealed(events) == [("a", "look", "{}")]


HOSTED = [
    {"type": "mcp_call", "id": "m", "name": "f", "arguments": '{"a":1}', "output": "x", "server_label": "s"},
    {"type": "mcp_list_tools", "id": "l", "tools": [{"name": "f"}]},
    {"type": "tool_search_call", "id": "t", "call_id": None, "arguments": {"q": 1}},
    {"type": "web_search_call", "id": "w", "action": {"type": "search"}},
    {"type": "computer_call_output", "content": 7, "summary": "x", "name": [], "arguments": None},
]


@pytest.mark.parametrize("item", HOSTED, ids=lambda item: item["type"])
def test_what_is_no_call_of_the_agent_is_passed_over(item: dict[str, Any]) -> None:
    events: list[GrammarEvent] = [NAMED, ContentText("ok"), TurnEnded("completed"), USED]
    kinds = ("mcp_call_arguments.delta", "code_interpreter_call_code.delta", "mcp_call_arguments.done")
    between = [news(kind, 0, delta="{}", arguments="{}", input="{}") for kind in kinds]
    stream = [CREATED, added(item), *between, done(item), done(message("ok"), 1), ends(output=[item])]
    assert get(*stream) == events
    assert read_whole(Api.RESPONSES, response(output=[item, message("ok")])) == events


CUSTOM = {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": 'a "line"\n☃'}


def test_a_custom_tool_s_plain_text_is_told_as_json() -> None:
    began = added({**CUSTOM, "input": ""})
    pieces = [news("custom_tool_call_input.delta", 0, delta=piece) for piece in CUSTOM["input"]]
    all_of_it = news("custom_tool_call_input.done", 0, input=CUSTOM["input"])
    streams = [[began, *pieces, all_of_it, done(CUSTOM)], [began, all_of_it, done(CUSTOM)], [done(CUSTOM)]]
    for stream in streams:
        events = get(*stream, ends(output=[CUSTOM]))
        assert [(one[0], one[1], json.loads(one[2])) for one in sealed(events)] == [
            ("c", "patch", {"input": CUSTOM["input"]})
        ]
        assert not faults(events)
    assert sealed(read_whole(Api.RESPONSES, response(output=[CUSTOM]))) == sealed(events)
    cut_off = get(began, *pieces, ends("incomplete"))
    assert not sealed(cut_off)
    assert faults(cut_off)


def test_a_custom_tool_without_input() -> None:
    empty = {**CUSTOM, "input": ""}
    for stream in ([added(empty), done(empty)], [done(empty)]):
        assert sealed(get(*stream, ends())) == [("c", "patch", "{}")]


OWN_TOOLS = [
    ({"type": "local_shell_call", "call_id": "s", "action": {"command": ["ls"]}}, '{"command": ["ls"]}'),
    ({"type": "apply_patch_call", "call_id": "s", "operation": {"type": "delete"}}, '{"type": "delete"}'),
    ({"type": "tool_search_call", "call_id": "s", "arguments": {"q": 1}}, '{"q": 1}'),
    ({"type": "some_new_call", "call_id": "s"}, "{}"),
]


@pytest.mark.parametrize(("item", "arguments"), OWN_TOOLS, ids=lambda one: str(one)[:24])
def test_tools_of_the_api_that_the_client_runs_are_named_by_the_type_of_their_calls(
    item: dict[str, Any], arguments: str
) -> None:
    called = [("s", item["type"], arguments)]
    assert sealed(get(added(item), done(item), ends(output=[item]))) == called
    assert sealed(get(done(item), ends(output=[item]))) == called
    assert sealed(read_whole(Api.RESPONSES, response(output=[item]))) == called


def test_arguments_that_can_t_be_decoded_spoil_the_reply() -> None:
    item = json.dumps(call("a")).replace('"arguments": ""', '"arguments": "\\ud800"').encode()
    frame = b'data: {"type": "response.output_item.done", "output_index": 0, "item": ' + item + b"}\n\n"
    events = get(frame, ends())
    assert not sealed(events)
    assert faults(events)


def test_reasoning_told_as_content_and_as_summary_counts_once() -> None:
    item = {
        "type": "reasoning",
        "content": [{"type": "reasoning_text", "text": "hm"}],
        "summary": [{"type": "summary_text", "text": "hm"}],
    }
    kinds = ["reasoning_text.delta", "reasoning_summary_text.delta"]
    for first, second in itertools.permutations(kinds):
        pieces = [news(kind, 0, delta=piece) for piece in "hm" for kind in (first, second)]
        assert get(*pieces, done(item), ends())[0] == ReasoningText("hm")
    assert read_whole(Api.RESPONSES, response(output=[item]))[1] == ReasoningText("hm")


def test_a_summary_alone() -> None:
    item = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "so"}], "encrypted_content": "x"}
    assert read_whole(Api.RESPONSES, response(output=[item]))[1] == ReasoningText("so")
    pieces = [news("reasoning_summary_text.delta", index, delta="so") for index in (0, 1)]
    assert get(*pieces)[0] == ReasoningText("soso")


@pytest.mark.parametrize(
    "error",
    [
        event({"type": "error", "code": "server_error", "message": "no", "param": None}, "error"),
        event({"type": "error", "error": {"message": "no"}}),
        event({"error": {"message": "no", "code": 500}}),
    ],
)
def test_an_error_in_the_stream(error: bytes) -> None:
    assert get(CREATED, error) == [NAMED, TurnEnded("error")]


def test_a_reply_that_is_an_error() -> None:
    assert read_whole(Api.RESPONSES, {"error": {"message": "no"}}) == [TurnEnded("error")]
    assert read_whole(Api.RESPONSES, response("failed", error={"code": "x"}, usage=None)) == [
        NAMED,
        TurnEnded("failed"),
    ]


def test_why_a_reply_ended() -> None:
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("completed", {"incomplete_details": None}, "completed"),
        ("incomplete", {"incomplete_details": {"reason": "max_output_tokens"}}, "max_output_tokens"),
        ("incomplete", {}, "incomplete"),
        ("cancelled", {}, "cancelled"),
    ]
    for status, fields, reason in cases:
        assert get(ends(status, **fields)) == [NAMED, TurnEnded(reason), USED]
        assert read_whole(Api.RESPONSES, response(status, **fields)) == [NAMED, TurnEnded(reason), USED]


def test_a_reply_of_the_background_is_named_and_not_ended() -> None:
    events = read_whole(Api.RESPONSES, response("queued", usage=None))
    assert events[0] == NAMED
    assert faults(events) == ["the reply ended before the model did"]


def test_events_newer_than_we_are() -> None:
    unknown = [
        event({"type": "response.reasoning.delta", "delta": {"content": "We"}, "output_index": "0"}),
        event({"type": "keepalive", "response": [], "item": 3}),
        news("audio.delta", 0, delta="AAAA"),
    ]
    assert get(CREATED, *unknown, ends(output=[])) == [NAMED, TurnEnded("completed"), USED]


@pytest.mark.parametrize(
    "broken",
    [
        b"data: {bad\n\n",
        event([]),
        event("x"),
        event({"type": "response.output_text.delta", "delta": 3}),
        event({"type": "response.created", "response": {"id": 3}}),
        event({"type": "response.output_item.added", "item": {"type": "function_call", "name": 3}}),
        event({"type": "response.output_item.added"}),
        event({"type": 3}),
    ],
)
def test_what_cannot_be_read_spoils_the_open_calls(broken: bytes) -> None:
    events = get(
        CREATED, added(call()), delta('{"a":'), broken, delta("1}"), done(call(arguments='{"a":1}')), ends()
    )
    assert not sealed(events)
    assert len(faults(events)) == 1
    assert TurnEnded("completed") in events


def test_news_after_the_end() -> None:
    events = get(ends(), added(call()), delta("{}"), ends(output=[call(arguments="{}")]))
    assert not sealed(events)
    assert events.count(TurnEnded("completed")) == 1
    assert events.count(USED) == 1


def test_a_refusal_is_not_the_text() -> None:
    parts = [{"type": "refusal", "refusal": "no", "text": "no"}, {"type": "output_text", "text": "a"}]
    assert text(read_whole(Api.RESPONSES, response(output=[{"type": "message", "content": parts}]))) == "a"


def test_a_response_that_begins_as_if_it_were_complete() -> None:
    begun = event({"type": "response.created", "response": response("completed")})
    assert get(begun, *EVERYTHING[1:], ends(output=OUTPUT)) == EXPECTED


def test_items_without_end_are_held_in_bounds() -> None:
    events = get(*(added(call(f"c{index}"), index) for index in range(CALL_LIMIT + 10)), ends())
    assert sum(isinstance(one, CallOpened) for one in events) == CALL_LIMIT
    assert faults(events) == [f"more than {CALL_LIMIT} tool calls"]
    assert not sealed(events)
    dialect = ResponsesDialect(Reply())
    for index in range(CALL_LIMIT + 10):
        for kind in ("output_item.added", "output_text.delta"):
            place = 2 * index + (kind == "output_text.delta")
            news = {"type": f"response.{kind}", "output_index": place, "delta": "a", "item": call()}
            dialect.read(json.dumps(news).encode(), 0)
    assert len(dialect._items) == CALL_LIMIT
