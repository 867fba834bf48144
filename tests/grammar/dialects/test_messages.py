import json
from typing import Any

import pytest

from paste_proxy.grammar.calls import CALL_LIMIT
from paste_proxy.grammar.dialects import Api
from paste_proxy.grammar.dialects.messages import MessagesDialect
from paste_proxy.grammar.events import (
    ArgumentText,
    CallOpened,
    CallSealed,
    ContentText,
    GrammarEvent,
    ReasoningText,
    TurnEnded,
    Usage,
    UsageReported,
)
from paste_proxy.grammar.reply import Reply
from tests.grammar.dialects.support import (
    DONE,
    event,
    faults,
    read,
    read_whole,
    recording,
    sealed,
    text,
)


def news(kind: str, **fields: Any) -> bytes:
    return event({"type": kind, **fields}, kind)


def begins(**usage: int | None) -> bytes:
    return news(
        "message_start", message={"id": "msg_1", "type": "message", "content": [], "usage": usage or None}
    )


def start(index: int, block: dict[str, Any]) -> bytes:
    return news("content_block_start", index=index, content_block=block)


def tool(call_id: str = "toolu_a", name: str = "look", given: Any = None) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": {} if given is None else given}


def delta(index: int, kind: str, **fields: Any) -> bytes:
    return news("content_block_delta", index=index, delta={"type": kind, **fields})


def piece(index: int, arguments: str) -> bytes:
    return delta(index, "input_json_delta", partial_json=arguments)


def stop(index: int) -> bytes:
    return news("content_block_stop", index=index)


def ends(reason: str | None = "tool_use", **usage: int | None) -> bytes:
    return news("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=usage or None)


def message(*content: dict[str, Any], reason: str | None = "tool_use", **usage: int | None) -> dict[str, Any]:
    return {
        "type": "message",
        "role": "assistant",
        "content": list(content),
        "stop_reason": reason,
        "usage": usage,
    }


LAST = news("message_stop")


def get(*pieces: bytes) -> list[GrammarEvent]:
    return read(Api.MESSAGES, *pieces)


def test_a_recorded_stream_of_sglang() -> None:
    events = get(recording("messages_calls.sse"))
    assert sealed(events) == [
        ("call_84a4f3d5aa764aaf8fcaf106", "read_file", '{"path": "notes.txt"}'),
        ("call_e218772d37804877885842f3", "get_weather", '{"city": "Paris", "unit": "C"}'),
    ]
    assert events[-2:] == [TurnEnded("tool_use"), UsageReported(Usage(192 + 154, 66, 154))]
    assert not faults(events)


def test_a_recorded_whole_reply_of_sglang() -> None:
    whole = json.loads(recording("messages_calls.json"))
    events = read_whole(Api.MESSAGES, recording("messages_calls.json"))
    calls = [(call_id, name, json.loads(arguments)) for call_id, name, arguments in sealed(events)]
    assert calls == [(block["id"], block["name"], block["input"]) for block in whole["content"]]
    assert events[-2:] == [TurnEnded("tool_use"), UsageReported(Usage(346, 325, 345))]


def test_recorded_text_that_the_limit_cut() -> None:
    events = get(recording("messages_text.sse"))
    assert text(events).startswith("boundLocalError")
    assert events[-2:] == [TurnEnded("max_tokens"), UsageReported(Usage(32, 8, 31))]


EVERYTHING = [
    begins(input_tokens=7, output_tokens=1, cache_read_input_tokens=3, cache_creation_input_tokens=2),
    news("ping"),
    start(0, {"type": "thinking", "thinking": "", "signature": ""}),
    delta(0, "thinking_delta", thinking="Let me "),
    delta(0, "thinking_delta", thinking="see."),
    delta(0, "signature_delta", signature="c2ln"),
    stop(0),
    start(1, {"type": "redacted_thinking", "data": "c2VjcmV0"}),
    stop(1),
    start(2, {"type": "text", "text": ""}),
    delta(2, "text_delta", text="I "),
    news("ping"),
    delta(2, "text_delta", text="look."),
    delta(2, "citations_delta", citation={"type": "char_location", "cited_text": "x"}),
    stop(2),
    start(3, tool()),
    piece(3, ""),
    piece(3, '{"at": '),
    piece(3, '"x"}'),
    stop(3),
    ends(output_tokens=5),
    LAST,
]
WHOLE = message(
    {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"},
    {"type": "redacted_thinking", "data": "c2VjcmV0"},
    {"type": "text", "text": "I look.", "citations": None},
    tool(given={"at": "x"}),
    input_tokens=7,
    cache_read_input_tokens=3,
    cache_creation_input_tokens=2,
    output_tokens=5,
)
EXPECTED: list[GrammarEvent] = [
    ReasoningText("Let me see."),
    ContentText("I look."),
    CallOpened(0, "toolu_a", "look"),
    ArgumentText(0, '{"at": "x"}'),
    CallSealed(0, "toolu_a", "look", '{"at": "x"}'),
    TurnEnded("tool_use"),
    UsageReported(Usage(12, 5, 3)),
]


def test_a_stream() -> None:
    assert get(*EVERYTHING) == EXPECTED
    assert get(*EVERYTHING, DONE) == EXPECTED, "vLLM ends so"


def test_a_whole_reply_gives_the_events_of_its_stream() -> None:
    assert read_whole(Api.MESSAGES, WHOLE) == EXPECTED


def test_the_seal_comes_with_the_closing_brace() -> None:
    events = get(start(0, tool("a")), piece(0, '{"a":1}'))
    assert sealed(events) == [("a", "look", '{"a":1}')]
    assert faults(events) == ["the reply ended before the model did"]


def test_a_call_without_arguments_is_whole_once_the_model_goes_on() -> None:
    bare = [start(0, tool("a")), stop(0)]
    assert not sealed(get(*bare))
    assert sealed(get(*bare, start(1, tool("b")))) == [("a", "look", "{}")]
    assert sealed(get(*bare, start(1, {"type": "text", "text": ""}))) == [("a", "look", "{}")]


@pytest.mark.parametrize("reason", ["tool_use", "end_turn", "stop_sequence"])
def test_a_call_without_arguments_is_whole_if_the_model_finished(reason: str) -> None:
    assert sealed(get(start(0, tool("a")), stop(0), ends(reason))) == [("a", "look", "{}")]
    assert sealed(read_whole(Api.MESSAGES, message(tool("a"), reason=reason))) == [("a", "look", "{}")]


@pytest.mark.parametrize("reason", ["max_tokens", "pause_turn", "refusal", "model_context_window_exceeded"])
def test_a_call_without_arguments_that_was_cut_off(reason: str) -> None:
    assert not sealed(get(start(0, tool("a")), stop(0), ends(reason)))
    assert not sealed(read_whole(Api.MESSAGES, message(tool("a"), reason=reason)))


def test_arguments_that_the_block_begins_with() -> None:
    given = start(0, tool("a", given={"at": "x"}))
    assert sealed(get(given, stop(0), ends())) == [("a", "look", '{"at": "x"}')]
    events = get(given, piece(0, '{"at":'), piece(0, '"y"}'), stop(0), ends())
    assert sealed(events) == [("a", "look", '{"at":"y"}')]
    assert not faults(events)
    assert not sealed(get(given)), "deltas may yet replace them"


@pytest.mark.parametrize("nothing", [{}, None, ""])
def test_a_block_that_begins_with_no_arguments(nothing: Any) -> None:
    block = {**tool("a"), "input": nothing}
    assert sealed(get(start(0, block), piece(0, '{"n":1}'), stop(0), ends())) == [("a", "look", '{"n":1}')]
    assert sealed(get(start(0, block), stop(0), ends())) == [("a", "look", "{}")]


def test_input_that_is_no_object() -> None:
    events = read_whole(Api.MESSAGES, message({**tool("a"), "input": [1]}, tool("b")))
    assert sealed(events) == [("b", "look", "{}")]
    assert len(faults(events)) == 1


def test_numbers_of_a_whole_reply_stay_as_they_were_written() -> None:
    body = json.dumps(message(tool("a", given="HERE"))).replace(
        '"HERE"', '{"n": 1.0, "m": 12345678901234567890}'
    )
    assert sealed(read_whole(Api.MESSAGES, body.encode()))[0][2] == '{"n": 1.0, "m": 12345678901234567890}'


def test_a_whole_reply_with_doubled_keys_is_no_call() -> None:
    body = json.dumps(message(tool("a", given="HERE"))).replace('"HERE"', '{"n": 1, "n": 2}')
    assert not sealed(read_whole(Api.MESSAGES, body.encode()))


SERVED: list[dict[str, Any]] = [
    {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {"query": "x"}},
    {"type": "web_search_tool_result", "tool_use_id": "srv", "content": [{"type": "web_search_result"}]},
    {"type": "mcp_tool_use", "id": "mcp", "name": "f", "input": {}, "server_name": "s"},
    {"type": "container_upload", "file_id": "f"},
    {"type": "new_block", "text": {"a": 1}, "name": 3, "input": None},
]


@pytest.mark.parametrize("block", SERVED, ids=lambda block: block["type"])
def test_what_the_server_runs_is_no_call_of_the_agent(block: dict[str, Any]) -> None:
    words = {"type": "text", "text": "ok"}
    expected = [ContentText("ok"), TurnEnded("end_turn")]
    stream = [start(0, block), piece(0, '{"query"'), piece(0, ':"x"}'), stop(0), start(1, words), stop(1)]
    assert get(*stream, ends("end_turn")) == expected
    whole = {**message(block, words, reason="end_turn"), "usage": None}
    assert read_whole(Api.MESSAGES, whole) == expected


def test_a_block_at_the_place_of_an_earlier_one() -> None:
    served = [start(0, SERVED[0]), piece(0, '{"n":3}'), stop(0)]
    events = get(
        start(0, tool("a")), piece(0, '{"n":1}'), start(0, tool("b")), piece(0, '{"n":2}'), *served, ends()
    )
    assert sealed(events) == [("a", "look", '{"n":1}'), ("b", "look", '{"n":2}')]
    assert not faults(events)


def test_blocks_whose_deltas_mix() -> None:
    mixed = [start(0, tool("a")), start(1, tool("b")), piece(1, '{"m":'), piece(0, '{"n":'), piece(1, "2}")]
    events = get(*mixed, piece(0, "1}"), stop(0), stop(1), ends())
    assert sorted(sealed(events)) == [("a", "look", '{"n":1}'), ("b", "look", '{"m":2}')]


def test_usage_that_comes_in_parts() -> None:
    first = begins(input_tokens=7, output_tokens=1)
    assert get(first, ends("end_turn", output_tokens=5, input_tokens=None))[-1] == UsageReported(Usage(7, 5, 0))
    both = get(first, ends("end_turn", output_tokens=5, input_tokens=9, cache_read_input_tokens=4))
    assert both[-1] == UsageReported(Usage(13, 5, 4))
    assert get(begins(), ends("end_turn"))[-1] == TurnEnded("end_turn")
    assert get(first, ends(None, output_tokens=3), ends("end_turn", output_tokens=5)) == [
        TurnEnded("end_turn"),
        UsageReported(Usage(7, 5, 0)),
    ]


@pytest.mark.parametrize("end", [[LAST], [], [ends(None), LAST]])
def test_a_stream_without_a_reason_was_cut_off(end: list[bytes]) -> None:
    events = get(start(0, tool("a")), stop(0), *end)
    assert not sealed(events)
    assert faults(events)[-1] == "the reply ended before the model did"


def test_an_error() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "no"}}
    assert get(begins(), start(0, {"type": "text", "text": "a"}), stop(0), event(error, "error"), LAST) == [
        ContentText("a"),
        TurnEnded("error"),
    ]
    assert read_whole(Api.MESSAGES, error) == [TurnEnded("error")]


def test_events_newer_than_we_are() -> None:
    unknown = [news("vendor_event", delta="x", index="y"), news("message_pause", usage=3)]
    assert get(*unknown, ends("end_turn")) == [TurnEnded("end_turn")]


@pytest.mark.parametrize(
    "broken",
    [
        b"data: {bad\n\n",
        event([]),
        event({"type": "content_block_delta", "index": 0, "delta": {"text": 3}}),
        event({"type": "content_block_delta", "index": "0", "delta": {"text": "a"}}),
        event({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": 3}}),
        event({"type": "content_block_start", "index": 1}),
        event({"type": "message_start", "message": []}),
        b'data: {"type":"content_block_start","content_block":{"type":"tool_use","input":"\xff"}}\n\n',
    ],
)
def test_what_cannot_be_read_spoils_the_open_calls(broken: bytes) -> None:
    events = get(begins(), start(0, tool("a")), piece(0, '{"a":'), broken, piece(0, "1}"), stop(0), ends())
    assert not sealed(events)
    assert len(faults(events)) == 1
    assert TurnEnded("tool_use") in events


def test_news_after_the_end() -> None:
    events = get(ends("end_turn"), start(0, tool("a")), piece(0, "{}"), stop(0), ends())
    assert not sealed(events)
    assert [one for one in events if isinstance(one, TurnEnded)] == [TurnEnded("end_turn")]


def test_blocks_without_end_are_held_in_bounds() -> None:
    started = [start(index, tool(f"c{index}")) for index in range(CALL_LIMIT + 10)]
    events = get(*started, ends())
    assert faults(events) == [f"more than {CALL_LIMIT} tool calls"]
    assert not sealed(events)
    dialect = MessagesDialect(Reply())
    for one in started:
        dialect.read(one.partition(b"data: ")[2], 0)
    assert len(dialect._inputs) == CALL_LIMIT
