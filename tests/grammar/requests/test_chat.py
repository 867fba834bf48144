import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.digests import extend_chain, message_digest, squeeze, without_thinking
from paste_proxy.grammar.errors import GrammarError, UnreadableRequestError
from paste_proxy.grammar.requests import ChatRequest, Message, MessageCall, RequestTool, parse_chat_request


def parse(messages: list[dict[str, Any]], **fields: Any) -> ChatRequest:
    return parse_chat_request(json.dumps({"messages": messages, **fields}).encode())


def digest_of(**message: Any) -> bytes:
    return parse([message]).messages[0].digest


def call(arguments: Any = '{"a": 1}', call_id: str = "c1", name: str = "f") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_what_is_read() -> None:
    request = parse(
        [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [call()]},
            {
                "role": "tool",
                "tool_call_id": "c1",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            },
        ],
        model="m",
        stream=True,
        n=2,
        rid="r",
        tools=[
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
            {"type": "x"},
            3,
        ],
    )
    assert [(one.role, one.text, one.calls, one.call_id) for one in request.messages] == [
        ("user", "hi", (), ""),
        ("assistant", "", (MessageCall("c1", "f", '{"a": 1}'),), ""),
        ("tool", "a\nb", (), "c1"),
    ]
    assert request.tools == (RequestTool("f", {"type": "object"}),)
    assert (request.model, request.stream, request.choices, request.has_rid) == ("m", True, 2, True)


def test_custom_tools_and_their_calls() -> None:
    made = {"id": "c1", "type": "custom", "custom": {"name": "patch", "input": 'a "b"'}}
    request = parse(
        [{"role": "assistant", "tool_calls": [made]}], tools=[{"type": "custom", "custom": {"name": "patch"}}]
    )
    assert request.messages[0].calls == (MessageCall("c1", "patch", '{"input": "a \\"b\\""}'),)
    assert request.tools == (RequestTool("patch", {}),)


@pytest.mark.parametrize("rid", [None, "", [], 0, "mine", ["a"]])
def test_a_rid_of_any_value_is_the_clients_own(rid: Any) -> None:
    assert parse([{"role": "user", "content": "hi"}], rid=rid).has_rid
    assert not parse([{"role": "user", "content": "hi"}], metadata={"rid": rid}).has_rid


@pytest.mark.parametrize(
    "fields",
    [
        {"model": 3, "stream": "yes", "n": "2", "tools": {}, "metadata": [], "session_id": {}, "nvext": 1},
        {"tools": [{"function": {"name": 1}}, {"function": 2}, None], "n": None, "stream": None},
        {"unknown": {"deep": [1]}, "temperature": "hot", "function_call": {"name": "f"}, "functions": 7},
    ],
)
def test_fields_of_a_wrong_type_are_passed_over(fields: dict[str, Any]) -> None:
    request = parse([{"role": "user", "content": "hi", "function_call": 3, "name": 4}], **fields)
    assert (request.tools, request.stream, request.choices, request.has_rid, request.fields) == (
        (),
        False,
        1,
        False,
        {},
    )


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"messages":1}', b'{"messages":[1]}', b'{"messages":[{"content":1}]}']
)
def test_what_is_no_chat_request_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableRequestError, match="not a chat request"):
        parse_chat_request(body)


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3), max_leaves=5
    ).map(lambda value: json.dumps({"messages": value}).encode())
)
def test_junk_is_read_or_refused(body: bytes) -> None:
    try:
        request = parse_chat_request(body)
    except GrammarError:
        return
    assert len(request.chain) == len(request.messages)


def test_a_session_is_named_by_these_fields_and_not_by_the_user() -> None:
    request = parse(
        [],
        user="me",
        prompt_cache_key="k",
        session_id="s",
        program_id=7,
        metadata={"session_id": "m", "user_id": "u"},
        nvext={"agent_context": {"session_id": "d"}},
        vllm_xargs={"session_id": "v"},
        extra_body={"conversation_id": "x"},
    )
    assert request.fields == {
        "session_id": "s",
        "program_id": "7",
        "metadata.session_id": "m",
        "nvext.agent_context.session_id": "d",
        "vllm_xargs.session_id": "v",
        "extra_body.conversation_id": "x",
    }


def test_the_same_message_in_other_spellings() -> None:
    same: list[dict[str, Any]] = [
        {"role": "user", "content": "a  b\n"},
        {"role": "user", "content": " a b", "name": "x"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "a "}, {"type": "text", "text": "b", "cache_control": {}}],
        },
    ]
    assert len({digest_of(**message) for message in same}) == 1
    thoughts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "yes"}]
    said = [
        digest_of(role="assistant", content="yes"),
        digest_of(role="assistant", content="yes", reasoning="hm"),
    ]
    assert {*said, digest_of(role="assistant", content=thoughts)} == {said[0]}


def test_the_same_call_in_other_spellings() -> None:
    spellings: list[Any] = ['{"a": 1, "b": "é"}', '{"b":"\\u00e9","a":1}', {"a": 1, "b": "é"}]
    digests = {digest_of(role="assistant", tool_calls=[call(spelling)]) for spelling in spellings}
    assert len(digests) == 1
    assert digest_of(role="assistant", tool_calls=[call("{bad ")]) == digest_of(
        role="assistant", tool_calls=[call("{bad")]
    )
    assert (
        parse([{"role": "assistant", "tool_calls": [call({"a": 1})]}]).messages[0].calls[0].arguments
        == '{"a": 1}'
    )


def test_other_messages_have_other_digests() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:a"}}
    others: list[dict[str, Any]] = [
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "system", "content": "a"},
        {"role": "user"},
        {"role": "tool", "content": "a", "tool_call_id": "1"},
        {"role": "tool", "content": "a", "tool_call_id": "2"},
        {"role": "assistant", "tool_calls": [call()]},
        {"role": "assistant", "tool_calls": [call(), call()]},
        {"role": "assistant", "tool_calls": [call(call_id="c2")]},
        {"role": "assistant", "tool_calls": [call(name="g")]},
        {"role": "assistant", "tool_calls": [call('{"a":1.0}')]},
        {"role": "user", "content": [image]},
        {"role": "user", "content": [{**image, "detail": "low"}]},
        {"role": "user", "content": [image, image]},
    ]
    assert len({digest_of(**message) for message in others}) == len(others)
    assert digest_of(role="user", content=[{**image, "cache_control": {"type": "ephemeral"}}]) == digest_of(
        role="user", content=[{**image, "cache_control": {"type": "other"}}]
    )


TEXTS = st.lists(st.sampled_from("ab"), max_size=5)


@given(TEXTS, TEXTS)
def test_chains_are_equal_as_far_as_histories_are(one: list[str], other: list[str]) -> None:
    first = parse([{"role": "user", "content": text} for text in one])
    second = parse([{"role": "user", "content": text} for text in other], model="m")
    for n in range(1, min(len(one), len(other)) + 1):
        assert (first.chain[n - 1] == second.chain[n - 1]) == (one[:n] == other[:n])
    assert first.body_digest != second.body_digest


def test_a_chain_can_be_extended_with_a_message_that_is_expected() -> None:
    request = parse(
        [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "tool_calls": [call()]}]
    )
    expected = message_digest("assistant", "b", [("c1", "f", '{"a":1}')])
    assert extend_chain(request.chain[0], expected) == request.chain[1]
    assert extend_chain(b"", request.messages[0].digest) == request.chain[0]


@given(st.text(), st.text())
def test_squeezing_drops_white_space_only(left: str, right: str) -> None:
    assert squeeze(f"{left} \n\t{right}") == squeeze(left) + squeeze(right)
    assert message_digest("\ud800", "\udfff")


def test_thinking_is_dropped_up_to_its_end() -> None:
    assert without_thinking("<think>a</think>\n\nb") == "\n\nb"
    assert without_thinking("b") == "b"


def test_eight_megabytes_are_read_in_no_time() -> None:
    text = "def f(x):\n    return x + 1\n" * 30_000
    body = json.dumps({"messages": [{"role": "user", "content": text}] * 10}).encode()
    assert len(body) > 8_000_000
    started = time.process_time()
    request = parse_chat_request(body)
    assert time.process_time() - started < 0.5
    assert isinstance(request.messages[9], Message)
