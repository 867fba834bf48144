"""Raw text to tool calls: nothing is lost, nothing is told twice, however the text is cut."""

import itertools
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.grammar import formats
from paste_proxy.proxy.rewrite_calls import CallWriter, Delta
from paste_proxy.proxy.rewrite_chat import ChatStreamWriter, EngineParsesError, rewritten_reply
from tests.conformance.parsers.corpus import cases
from tests.grammar.toy_format import ToyReader

TEXT = 'Let me <look>.<<search{"query": "a b", "n": [1, {"x": "}"}]}>> and <<stop>>'
CALLS = [("search", '{"query": "a b", "n": [1, {"x": "}"}]}'), ("stop", "{}")]


def new_writer(name: str = "") -> CallWriter:
    reader = formats.TextReader(formats.find(name)) if name else ToyReader()
    return CallWriter(reader, iter([f"call_{n}" for n in range(100)]).__next__)


def pieces(text: str, cuts: list[int]) -> list[str]:
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(places) if a < b]


def joined(deltas: list[Delta]) -> tuple[str, list[tuple[str, str]], list[str]]:
    """Content, calls and ids, as a client puts them together."""
    content, calls, ids = "", {}, []
    for delta in deltas:
        content += delta.get("content") or ""
        for call in delta.get("tool_calls") or ():
            if "id" in call:
                ids.append(call["id"])
                calls[call["index"]] = [call["function"]["name"], ""]
            calls[call["index"]][1] += call["function"]["arguments"]
    return content, [(name, arguments) for name, arguments in calls.values()], ids


def written(parts: list[str], reason: str = "stop", name: str = "") -> tuple[str, list[tuple[str, str]], str]:
    writer = new_writer(name)
    deltas = [delta for part in parts for delta in writer.feed(part)]
    held, ended = writer.end(reason)
    content, calls, _ = joined([*deltas, *held])
    return content, calls, ended


@given(st.lists(st.integers(0, 200)))
def test_any_split_gives_the_same_calls(cuts: list[int]) -> None:
    assert written(pieces(TEXT, cuts)) == ("Let me <look>. and ", CALLS, "tool_calls")


@given(st.text(alphabet='ab{<>!"', max_size=40), st.lists(st.integers(0, 40)))
def test_no_character_is_lost(text: str, cuts: list[int]) -> None:
    content, calls, _ = written(pieces(text, cuts))
    told = content + "".join(name + arguments for name, arguments in calls)
    missing = list(text)
    for char in told:
        if char in missing:
            missing.remove(char)
    assert set(missing) <= set("<>")  # the markers


def test_text_without_a_call_is_one_delta_per_piece() -> None:
    writer = new_writer()
    assert writer.feed("plain") == [{"content": "plain"}]
    assert writer.end("stop") == ([], "stop")


def test_text_before_and_after_a_call_in_one_piece_keeps_its_order() -> None:
    deltas = new_writer().feed("a<<f{}>>b")
    assert [next(iter(delta)) for delta in deltas] == ["content", "tool_calls", "content"]


@pytest.mark.parametrize("text", ["a<<f!{}>>b", "a<<!", 'a<<f{"x": 1!}>>b'])
def test_malformed_text_becomes_content_and_stays_it(text: str) -> None:
    content, _, ended = written([text, " <<g{}>>"])
    assert content == text + " <<g{}>>"
    assert ended == "stop"


def test_a_call_cut_off_is_told_as_far_as_it_came() -> None:
    assert written(['<<f{"x": "half'], "length") == ("", [("f", '{"x": "half')], "length")


def test_of_a_call_that_the_model_left_open_the_text_is_content_too() -> None:
    text = '<<f{"x": "half'
    assert written([text], "stop") == (text, [("f", '{"x": "half')], "stop")


def test_text_that_was_told_is_not_told_again_where_a_later_call_is_malformed() -> None:
    good = '<tool_call>{"name": "f", "arguments": {}}</tool_call>'
    bad = '<tool_call>{"name": "g", "arguments": {"q": BAD}}</tool_call>'
    text = f"<think>R</think>Hello {good} and {bad} more"
    for parts in ([text], list(text)):
        reader = formats.TextReader(formats.find("hermes"), formats.find_reasoning("qwen3"))
        writer = CallWriter(reader)
        deltas = [delta for part in parts for delta in writer.feed(part)] + writer.end("stop")[0]
        content, calls, _ = joined(deltas)
        assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "R"
        assert content == f"Hello  and {bad} more"
        assert calls == [("f", "{}"), ("g", '{"q": ')]


def test_text_is_not_lost_where_a_value_never_ends() -> None:
    text = "<tool_call>f<arg_key>n</arg_key><arg_value>12</arg_val</tool_call> and more"
    content, _, _ = written([text], "stop", "glm45")
    assert content == text


def test_a_marker_at_the_end_is_content() -> None:
    assert written(["a <"]) == ("a <", [], "stop")
    assert written(["a <<nam"]) == ("a <<nam", [], "stop")


def test_calls_before_malformed_text_count() -> None:
    content, calls, ended = written(["<<f{}>>", "<<!"])
    assert (calls, ended) == ([("f", "{}")], "tool_calls")
    assert "<<!" in content


# -- on the wire ----------------------------------------------------------------------------------------------


def chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason, "matched_stop": None}
    return orjson.dumps(
        {"id": "r", "created": 1, "model": "m", "choices": [choice | more.pop("choice", {})]} | more
    )


def payloads(data: bytes) -> list[Any]:
    events = data.split(b"\n\n")
    assert events.pop() == b""
    return [event[6:] if event[6:] == b"[DONE]" else orjson.loads(event[6:]) for event in events]


def stream(*chunks: bytes) -> list[Any]:
    writer = ChatStreamWriter(new_writer)
    out = []
    for one in chunks:
        rewritten = writer(one)
        out += payloads(b"data: " + one + b"\n\n" if rewritten is None else rewritten)
    return out


def test_chunks_without_a_call_keep_their_bytes() -> None:
    writer = ChatStreamWriter(new_writer)
    for one in (
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "hello"}),
        chunk({"content": "bye"}, "stop"),
        orjson.dumps({"id": "r", "choices": [], "usage": {"prompt_tokens": 1}}),
        orjson.dumps({"error": {"message": "x"}}),
    ):
        assert writer(one) is None
    assert writer(b"[DONE]") == b"data: [DONE]\n\n"


def test_a_call_takes_the_envelope_of_its_chunk_and_the_reason_changes() -> None:
    out = stream(chunk({"content": "a<<f{"}), chunk({"content": "}>>"}), chunk({}, "stop"), b"[DONE]")
    deltas = [one["choices"][0]["delta"] for one in out[:-1]]
    assert deltas == [
        {"reasoning_content": None, "content": "a"},
        {
            "reasoning_content": None,
            "tool_calls": [
                {"id": "call_0", "index": 0, "type": "function", "function": {"name": "f", "arguments": "{"}}
            ],
        },
        {"reasoning_content": None, "tool_calls": [{"index": 0, "function": {"arguments": "}"}}]},
        {},
    ]
    assert {one["id"] for one in out[:-1]} == {"r"}
    assert [one["choices"][0]["finish_reason"] for one in out[:-1]] == [None, None, None, "tool_calls"]
    assert out[-1] == b"[DONE]"


def test_usage_and_logprobs_are_told_once() -> None:
    more: dict[str, Any] = {"usage": {"completion_tokens": 3}, "choice": {"logprobs": {"content": []}}}
    out = stream(chunk({"content": "a<<f{}>>b"}, **more))
    assert len(out) == 3
    assert ["usage" in one for one in out] == [True, False, False]
    assert [one["choices"][0]["logprobs"] for one in out] == [{"content": []}, None, None]


def test_logprobs_of_held_text_have_a_chunk_of_their_own() -> None:
    out = stream(chunk({"content": "<"}, choice={"logprobs": {"content": [1]}}))
    assert [one["choices"][0]["delta"] for one in out] == [{"reasoning_content": None}]
    assert stream(chunk({"content": "<"})) == []


def test_the_role_is_not_lost_with_the_text_beside_it() -> None:
    out = stream(chunk({"role": "assistant", "content": "<"}))
    assert out[0]["choices"][0]["delta"]["role"] == "assistant"


def test_replies_beside_each_other_are_kept_apart() -> None:
    out = stream(
        chunk({"content": "<<f"}),
        chunk({"content": "<<g"}, choice={"index": 1}),
        chunk({"content": "{}>>"}),
        chunk({"content": "{}>>"}, choice={"index": 1}),
        chunk({}, "stop"),
        chunk({}, "stop", choice={"index": 1}),
    )
    names = [
        (one["choices"][0]["index"], call["function"]["name"])
        for one in out
        for call in one["choices"][0]["delta"].get("tool_calls", ())
        if "id" in call
    ]
    assert names == [(0, "f"), (1, "g")]
    assert [one["choices"][0]["finish_reason"] for one in out[-2:]] == ["tool_calls", "tool_calls"]


def test_text_held_at_the_end_of_a_stream_without_a_reason_is_told_before_done() -> None:
    out = stream(chunk({"content": "a <"}), b"[DONE]")
    assert [one["choices"][0]["delta"]["content"] for one in out[:-1]] == ["a ", "<"]


def test_an_engine_that_parses_is_never_parsed_again() -> None:
    writer = ChatStreamWriter(new_writer)
    assert writer(chunk({"content": "<"})) == b""
    with pytest.raises(EngineParsesError):
        writer(chunk({"tool_calls": [{"index": 0}]}))
    assert payloads(writer.give_up())[0]["choices"][0]["delta"]["content"] == "<"


def whole(content: str | None, reason: str = "stop", **message: Any) -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, **message},
        "finish_reason": reason,
        "matched_stop": 2,
    }
    return json.dumps({"id": "r", "choices": [choice], "usage": {"total_tokens": 3}}).encode()


def test_a_whole_reply() -> None:
    choice = orjson.loads(rewritten_reply(whole(TEXT), new_writer))["choices"][0]
    functions = [call["function"] for call in choice["message"]["tool_calls"]]
    assert [(one["name"], one["arguments"]) for one in functions] == CALLS
    assert choice["message"]["content"] == "Let me <look>. and "
    assert (choice["finish_reason"], choice["matched_stop"]) == ("tool_calls", None)


@pytest.mark.parametrize("content", ["no call", "", None])
def test_a_whole_reply_without_a_call_keeps_its_bytes(content: str | None) -> None:
    body = whole(content)
    assert rewritten_reply(body, new_writer) is body


def test_a_whole_reply_with_calls_is_the_engine_s() -> None:
    with pytest.raises(EngineParsesError):
        rewritten_reply(whole("x", tool_calls=[{"id": "c"}]), new_writer)


@given(st.lists(st.integers(0, 200)), st.sampled_from([TEXT, "x <<f", "x <<!", "<<f{}>><<g{}>>y"]))
def test_streamed_and_whole_replies_say_the_same(cuts: list[int], text: str) -> None:
    message = orjson.loads(rewritten_reply(whole(text), new_writer))["choices"][0]
    out = stream(*(chunk({"content": part}) for part in pieces(text, cuts)), chunk({}, "stop"))
    content, calls, ids = joined([one["choices"][0]["delta"] for one in out])
    told = message["message"].get("tool_calls", [])
    assert content == message["message"]["content"]
    assert calls == [(call["function"]["name"], call["function"]["arguments"]) for call in told]
    assert ids == [call["id"] for call in told]
    assert out[-1]["choices"][0]["finish_reason"] == message["finish_reason"]


MARKED = [name for name in formats.names() if not formats.find(name).in_text]
FRAGMENTS = [case.text for case in cases() if case.content is not None and len(case.text) < 400]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_split_of_broken_text_in_real_formats_reads_the_same(data: st.DataObject) -> None:
    """Pieces of right texts put together anyhow: what is no call is content, the same for every split."""
    name = data.draw(st.sampled_from(MARKED))
    parts = []
    for text in data.draw(st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=3)):
        start = data.draw(st.integers(0, len(text)))
        parts.append(text[start : data.draw(st.integers(start, len(text)))])
    text, reason = "".join(parts), data.draw(st.sampled_from(["stop", "length"]))
    cuts = data.draw(st.lists(st.integers(0, 400)))
    assert written(pieces(text, cuts), reason, name) == written([text], reason, name)


def test_a_whole_reply_holds_whole_calls_only() -> None:
    text = "a<<f{}>>b<<g{!"
    reply = orjson.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})
    message = orjson.loads(rewritten_reply(reply, new_writer))["choices"][0]["message"]
    assert [call["function"]["name"] for call in message["tool_calls"]] == ["f"]
    assert message["content"] == "ab<<g{!"
