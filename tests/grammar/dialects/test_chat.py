import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar import sse
from paste_proxy.grammar.calls import CALL_LIMIT, SIZE_LIMIT
from paste_proxy.grammar.dialects import Api, stream_reader
from paste_proxy.grammar.events import (
    ArgumentSealed,
    ArgumentText,
    CallOpened,
    CallSealed,
    ContentText,
    GrammarEvent,
    Malformed,
    ReasoningText,
    TurnEnded,
    Usage,
    UsageReported,
)
from tests.grammar.dialects import support
from tests.grammar.dialects.support import DONE, cut, event, faults, read_whole, recording, sealed


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, index: int = 0) -> bytes:
    """As SGLang writes it: nulls are explicit."""
    full = {"role": None, "content": None, "reasoning_content": None, "tool_calls": None, **(delta or {})}
    choice = {"index": index, "delta": full, "logprobs": None, "finish_reason": finish, "matched_stop": None}
    return event({"id": "r", "object": "chat.completion.chunk", "choices": [choice], "usage": None})


def call(
    index: int | None = 0, call_id: str | None = None, name: str | None = None, arguments: str | None = None
) -> bytes:
    function = {"name": name, "arguments": arguments}
    return chunk({"tool_calls": [{"id": call_id, "index": index, "type": "function", "function": function}]})


END = chunk(finish="tool_calls")


def read(*pieces: bytes) -> list[GrammarEvent]:
    return support.read(Api.CHAT, *pieces)


SGLANG = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "Let me "}),
    chunk({"reasoning_content": "see."}),
    chunk({"content": "I look "}),
    chunk({"content": "twice."}),
    call(0, "call_a", "look", ""),
    call(0, None, None, '{"at": "'),
    call(0, None, None, 'x}"}'),
    call(1, "call_b", "look", None),
    call(1, None, None, '{"at": "y"}'),
    END,
    event(
        {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": None}}
    ),
    DONE,
]
EXPECTED: list[GrammarEvent] = [
    ReasoningText("Let me see."),
    ContentText("I look twice."),
    CallOpened(0, "call_a", "look"),
    ArgumentText(0, '{"at": "x}"}'),
    CallSealed(0, "call_a", "look", '{"at": "x}"}'),
    CallOpened(1, "call_b", "look"),
    ArgumentText(1, '{"at": "y"}'),
    CallSealed(1, "call_b", "look", '{"at": "y"}'),
    TurnEnded("tool_calls"),
    UsageReported(Usage(7, 5, 0)),
]


def test_an_sglang_stream() -> None:
    assert read(*SGLANG) == EXPECTED


def test_a_whole_reply_gives_the_events_of_its_stream() -> None:
    message = {
        "role": "assistant",
        "content": "I look twice.",
        "reasoning_content": "Let me see.",
        "tool_calls": [
            {"id": "call_a", "type": "function", "function": {"name": "look", "arguments": '{"at": "x}"}'}},
            {"id": "call_b", "type": "function", "function": {"name": "look", "arguments": '{"at": "y"}'}},
        ],
    }
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": None}}
    reply = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": usage}
    assert read_whole(Api.CHAT, reply) == EXPECTED


def test_the_seal_comes_with_the_closing_brace_though_the_turn_goes_on() -> None:
    reader = stream_reader(Api.CHAT)
    reader.feed(call(0, "a", "look", '{"at": 1'))
    assert reader.feed(call(0, None, None, "} \n")) == [
        ArgumentText(0, "}"),
        ArgumentSealed(0, ("at",), 1),
        CallSealed(0, "a", "look", '{"at": 1}', '{"at":1}'),
    ]
    assert reader.feed(call(0, None, None, "\n")) == []
    assert reader.feed(chunk({"content": "and"})) == [ContentText("and")]


def test_an_id_starts_a_call_where_the_index_is_the_place_in_the_tool_list() -> None:
    events = read(
        call(3, "a", "look", '{"n":1}'), call(3, "b", "look", ""), call(3, None, None, '{"n":2}'), END
    )
    assert sealed(events) == [("a", "look", '{"n":1}'), ("b", "look", '{"n":2}')]
    assert not faults(events)


def test_an_unknown_tool_at_index_minus_one() -> None:
    events = read(call(-1, "a", "x", ""), call(-1, None, None, "{}"), call(-1, "b", "y", "{}"), END)
    assert sealed(events) == [("a", "x", "{}"), ("b", "y", "{}")]


def test_id_and_name_repeated_in_every_delta_are_one_call() -> None:
    pieces = ['{"pa', 'th": ', '"a"', " }", "\n"]
    events = read(*(call(0, "a", "read_file", piece) for piece in pieces), END)
    assert sealed(events) == [("a", "read_file", '{"path": "a" }')]
    assert not faults(events)


def test_names_without_ids() -> None:
    one = [call(0, None, "f", '{"n":'), call(0, None, "f", "1}"), call(0, None, "f", "{}")]
    events = read(*one, call(0, None, "g", "{}"), call(1, None, "g", ""), END)
    assert sealed(events) == [("", "f", '{"n":1}'), ("", "f", "{}"), ("", "g", "{}"), ("", "g", "{}")]


def test_deltas_without_index() -> None:
    events = read(call(None, "a", "f", "{"), call(None, None, None, "}"), call(None, "b", "g", "{}"), END)
    assert sealed(events) == [("a", "f", "{}"), ("b", "g", "{}")]


def test_a_name_and_an_id_that_come_late() -> None:
    events = read(call(0, "a", None, '{"n"'), call(0, None, None, ":1"), call(0, None, "f", "}"), END)
    assert events[0] == CallOpened(0, "a", "f")
    assert sealed(events) == [("a", "f", '{"n":1}')]
    assert sealed(read(call(0, None, "f", "{"), call(0, "a", None, "}"), END)) == [("a", "f", "{}")]


def test_interleaved_parallel_calls() -> None:
    events = read(
        call(0, "a", "f", "{"), call(1, "b", "g", "{"), call(0, None, None, "}"), call(1, None, None, "}"), END
    )
    assert sealed(events) == [("a", "f", "{}"), ("b", "g", "{}")]


@pytest.mark.parametrize("reason", ["tool_calls", "stop", "function_call"])
def test_a_call_without_arguments_is_sealed_when_the_model_finished(reason: str) -> None:
    events = read(call(0, "a", "now", ""), chunk(finish=reason))
    assert events == [CallOpened(0, "a", "now"), CallSealed(0, "a", "now", "{}"), TurnEnded(reason)]


@pytest.mark.parametrize("reason", ["length", "abort", "content_filter"])
def test_a_call_cut_off_is_not_sealed(reason: str) -> None:
    for arguments in ("", '{"a":'):
        events = read(call(0, "a", "now", arguments), chunk(finish=reason))
        assert not sealed(events)
        assert faults(events) == ["tool call a: arguments are incomplete"]
        assert events[-1] == TurnEnded(reason)


def test_a_stream_that_just_stops_is_malformed() -> None:
    events = read(call(0, "a", "now", ""))
    assert not sealed(events)
    assert faults(events) == [
        "tool call a: arguments are incomplete",
        "the reply ended before the model did",
    ]


@pytest.mark.parametrize(
    ("arguments", "seals"),
    [('{"a":1}{"a":1}', 1), ('{"a":1}x', 1), ('{"a":1,"a":2}', 0), ("[1]", 0), ('{"a":1]', 0), ("{'a'}", 0)],
)
def test_bad_arguments_are_said_once_and_never_sealed_twice(arguments: str, seals: int) -> None:
    for pieces in ([arguments], list(arguments)):
        events = read(call(0, "a", "f", ""), *(call(0, None, None, one) for one in pieces), END)
        assert len(sealed(events)) == seals
        assert len(faults(events)) == 1


def test_only_choice_zero_is_read() -> None:
    assert read(chunk({"content": "a"}), chunk({"content": "b"}, index=1), chunk(finish="stop")) == [
        ContentText("a"),
        TurnEnded("stop"),
    ]


def test_the_other_name_of_reasoning_and_lists_of_parts() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "thinking", "thinking": []}, {"type": "text", "text": "b"}]
    assert read(chunk({"reasoning": "r"}), chunk({"content": parts}), chunk({"content": []}))[:2] == [
        ReasoningText("r"),
        ContentText("ab"),
    ]


def test_a_recorded_stream_of_sglang() -> None:
    events = read(recording("chat_calls.sse"))
    assert len(sealed(events)) == 7
    assert {json.loads(arguments)["path"] for _, name, arguments in sealed(events) if name == "read_file"}
    assert events[-2:] == [TurnEnded("tool_calls"), UsageReported(Usage(346, 195, 345))]
    assert not faults(events)


def test_reasoning_under_both_names_counts_once() -> None:
    both = chunk({"reasoning_content": "hm", "reasoning": "hm"})
    assert read(both, both)[0] == ReasoningText("hmhm")


def test_parts_that_think() -> None:
    """As Mistral's reasoning models stream."""
    thought = [{"type": "thinking", "thinking": [{"type": "text", "text": "h"}, {"type": "text", "text": "m"}]}]
    events = read(chunk({"content": thought}), chunk({"content": [{"type": "text", "text": "a"}, 7, {}]}))
    assert events[:2] == [ReasoningText("hm"), ContentText("a")]


def llama(name: str, arguments: str, call_id: str = "call__0_look_cmpl-1") -> bytes:
    """As llama-cpp-python writes it: id and name in every delta, and all of it once more in the older form."""
    function = {"name": name, "arguments": arguments}
    listed = {"index": 0, "id": call_id, "type": "function", "function": function}
    return chunk({"function_call": function, "tool_calls": [listed]})


def test_a_call_that_llama_cpp_python_tells_in_two_forms() -> None:
    start = chunk({"role": "assistant", "function_call": None})
    again = chunk({"function_call": {"name": "look", "arguments": "{}"}})
    events = read(
        start, llama("look", '{"at":'), llama("look", ' "x"}'), again, chunk(finish="tool_calls"), DONE
    )
    assert sealed(events) == [("call__0_look_cmpl-1", "look", '{"at": "x"}')]
    assert not faults(events)
    whole = {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]}
    message = {**whole, "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    assert sealed(read_whole(Api.CHAT, {"choices": [{"message": message}]})) == [("a", "f", "{}")]


def test_a_call_in_the_older_form_alone() -> None:
    pieces = [{"name": "look", "arguments": ""}, {"arguments": '{"at":'}, {"name": None, "arguments": ' "x"}'}]
    stream = [chunk({"function_call": piece}) for piece in pieces]
    assert sealed(read(*stream, chunk(finish="function_call"))) == [("", "look", '{"at": "x"}')]
    message = {"content": None, "function_call": {"name": "look", "arguments": '{"at": "x"}'}}
    whole = {"choices": [{"message": message, "finish_reason": "function_call"}]}
    assert sealed(read_whole(Api.CHAT, whole)) == [("", "look", '{"at": "x"}')]


def test_a_stream_of_vllm() -> None:
    """No nulls, `reasoning`, an id per call, `stop` after a named call, usage with no details."""

    def vllm(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish, "token_ids": None}
        return event({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]})

    def part(**function: str) -> dict[str, Any]:
        return {"index": 0, "function": function}

    named = {"id": "chatcmpl-tool-1", "type": "function", **part(name="look", arguments="")}
    usage = {"prompt_tokens": 7, "total_tokens": 12, "completion_tokens": 5}
    assert read(
        vllm({"role": "assistant", "content": ""}),
        vllm({"reasoning": "hm"}),
        vllm({"tool_calls": [named]}),
        vllm({"tool_calls": [part(arguments='{"at":')]}),
        vllm({"tool_calls": [part(arguments=' "x"}')]}),
        vllm({"content": ""}, "stop"),
        event({"id": "chatcmpl-1", "choices": [], "usage": usage}),
        DONE,
    ) == [
        ReasoningText("hm"),
        CallOpened(0, "chatcmpl-tool-1", "look"),
        ArgumentText(0, '{"at": "x"}'),
        CallSealed(0, "chatcmpl-tool-1", "look", '{"at": "x"}'),
        TurnEnded("stop"),
        UsageReported(Usage(7, 5, 0)),
    ]


def test_an_error_in_the_stream_ends_the_turn() -> None:
    error = {"error": {"message": "out of memory", "type": "server_error"}}
    events = read(chunk({"content": "a"}), call(0, "a", "f", ""), event(error), DONE)
    assert events[-1] == TurnEnded("error")
    assert not sealed(events)
    assert read_whole(Api.CHAT, error) == [TurnEnded("error")]
    assert read_whole(Api.CHAT, b'{"object":"error","message":"no"}') == [TurnEnded("error")]


def test_usage_in_every_chunk_is_reported_when_the_turn_is_over() -> None:
    def with_usage(tokens: int, finish: str | None) -> bytes:
        usage = {"prompt_tokens": 3, "completion_tokens": tokens, "prompt_tokens_details": {"cached_tokens": 2}}
        return event(
            {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": finish}], "usage": usage}
        )

    assert read(with_usage(1, None), with_usage(2, "stop"), with_usage(2, None)) == [
        ContentText("xx"),
        TurnEnded("stop"),
        UsageReported(Usage(3, 2, 2)),
        ContentText("x"),
    ]


def test_a_lost_event_spoils_every_call() -> None:
    events = read(
        call(0, "a", "f", '{"n":'), b"data: {oops\n\n", call(0, None, None, "1}"), call(1, "b", "g", "{}"), END
    )
    assert not sealed(events)
    assert events[-1] == TurnEnded("tool_calls")
    start = len(call(0, "a", "f", '{"n":'))
    assert [one.at for one in events if isinstance(one, Malformed)] == [start]


def test_calls_after_the_end_are_not_read() -> None:
    assert not sealed(read(END, call(0, "a", "f", "{}")))
    assert read(chunk(finish="stop"), DONE, chunk({"content": "x"})) == [TurnEnded("stop")]


def test_limits_on_calls_and_arguments() -> None:
    events = read(*(call(n, f"c{n}", "f", "{}") for n in range(CALL_LIMIT + 2)), END)
    assert len(sealed(events)) == CALL_LIMIT
    assert len(faults(events)) == 1
    pieces = [call(0, None, None, "x" * 1_000_000)] * (SIZE_LIMIT // 1_000_000 + 1)
    events = read(call(0, "a", "f", '{"a":"'), *pieces, call(0, None, None, '"}'), END)
    assert not sealed(events)
    assert len(faults(events)) == 1


def test_an_event_over_the_limit_ends_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse.SseDecoder.__init__, "__defaults__", (100,))
    reader = stream_reader(Api.CHAT)
    events = reader.feed(b"data: " + b"x" * 200)
    assert len(faults(events)) == 2
    assert reader.feed(chunk({"content": "a"})) == ()
    assert reader.end() == []


def shaped(delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta}]}


CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "index": st.sampled_from([0, 0, 1, None]),
            "id": st.sampled_from([None, "", "a", "b"]),
            "function": st.fixed_dictionaries(
                {"name": st.sampled_from([None, "", "f", "g"]), "arguments": st.text('{}":1a ', max_size=6)}
            ),
        }
    ),
    max_size=3,
)
STREAMS = st.lists(
    st.one_of(
        CALLS.map(lambda calls: event(shaped({"tool_calls": calls}))),
        st.sampled_from([b"data: {bad\n\n", b"\r", b"data: \xff\n\n", END, DONE, b": x\n\n", b"data:\n\n"]),
        st.binary(max_size=8),
    ),
    max_size=8,
)


@given(STREAMS, st.lists(st.integers(0, 3000), max_size=6))
def test_whatever_comes_nothing_raises_and_no_split_matters(parts: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(parts)
    events = read(stream)
    assert read(*cut(stream, cuts)) == events
    ordinals = [one.ordinal for one in events if isinstance(one, CallSealed)]
    assert len(ordinals) == len(set(ordinals))
    assert [one.ordinal for one in events if isinstance(one, CallOpened)] == list(
        range(sum(isinstance(one, CallOpened) for one in events))
    )
    for one in events:
        if isinstance(one, CallSealed):
            assert isinstance(json.loads(one.arguments), dict)


def custom(
    call_id: str | None = None, name: str | None = None, text: str | None = None, index: int = 0
) -> bytes:
    made = {"id": call_id, "index": index, "type": "custom", "custom": {"name": name, "input": text}}
    return chunk({"tool_calls": [made]})


def test_a_custom_tool_s_plain_text_is_told_as_json() -> None:
    written = 'a "line"\n☃'
    pieces = [custom("c1", "patch", ""), *(custom(text=piece) for piece in written)]
    events = read(*pieces, custom("c2", "note", "x", index=1), call(2, "c3", "look", "{}"), END, DONE)
    assert [(one[0], one[1], json.loads(one[2])) for one in sorted(sealed(events))] == [
        ("c1", "patch", {"input": written}),
        ("c2", "note", {"input": "x"}),
        ("c3", "look", {}),
    ]
    assert not faults(events)
    calls = [
        {"id": "c1", "type": "custom", "custom": {"name": "patch", "input": written}},
        {"id": "c2", "type": "custom", "custom": {"name": "note", "input": "x"}},
        {"id": "c3", "type": "function", "function": {"name": "look", "arguments": "{}"}},
    ]
    choice = {"index": 0, "message": {"tool_calls": calls}, "finish_reason": "tool_calls"}
    assert sorted(sealed(read_whole(Api.CHAT, {"choices": [choice]}))) == sorted(sealed(events))


def test_a_custom_tool_s_text_that_was_cut_off_is_no_call() -> None:
    for end in ([], [chunk(finish="length"), DONE]):
        events = read(custom("c1", "patch", "half"), *end)
        assert [one.name for one in events if isinstance(one, CallOpened)] == ["patch"]
        assert not sealed(events)
        assert faults(events)
