import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.apis import Api
from paste_proxy.grammar.errors import GrammarError, UnreadableRequestError
from paste_proxy.grammar.requests import ChatRequest, MessageCall, RequestTool, parse_request
from tests.grammar.requests.test_responses import JSON, told

CACHED: dict[str, Any] = {"cache_control": {"type": "ephemeral"}}


def parse(messages: Any, **fields: Any) -> ChatRequest:
    return parse_request(Api.MESSAGES, json.dumps({"messages": messages, **fields}).encode())


def digest_of(**message: Any) -> bytes:
    return parse([message]).chain[-1]


def text(said: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **fields}


def use(call_id: str = "t1", given_input: Any = None, **fields: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "f", "input": given_input or {"a": 1}, **fields}


def result(call_id: str = "t1", content: Any = "ok", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **fields}


IMAGE = {"type": "image", "source": {"type": "base64", "data": "x"}}


def test_what_is_read() -> None:
    request = parse(
        [
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, text("I look."), use()],
            },
            {"role": "user", "content": [result(), text("and"), text("more")]},
        ],
        system=[text("Help.", **CACHED)],
        model="m",
        stream=True,
        tools=[
            {"name": "f", "input_schema": {"type": "object"}},
            {"type": "bash_20250124", "name": "bash"},
            {"type": "mcp_toolset"},
            {"name": 1},
        ],
    )
    assert told(request) == [
        ("system", "Help.", (), ""),
        ("user", "hi", (), ""),
        ("assistant", "I look.", ("t1",), ""),
        ("tool", "ok", (), "t1"),
        ("user", "and\nmore", (), ""),
    ]
    assert request.messages[2].calls == (MessageCall("t1", "f", '{"a": 1}'),)
    assert request.tools == (
        RequestTool("f", {"type": "object"}),
        RequestTool("bash", {}),
        RequestTool("mcp_toolset", {}),
    )
    assert (request.model, request.stream, request.choices, request.has_rid) == ("m", True, 1, False)


def test_results_and_text_of_one_message_keep_their_order() -> None:
    content = [text("before"), result("a"), result("b", [text("x"), text("y")]), IMAGE, text("after")]
    request = parse([{"role": "user", "content": content}])
    assert told(request) == [
        ("user", "before", (), ""),
        ("tool", "ok", (), "a"),
        ("tool", "x\ny", (), "b"),
        ("user", "after", (), ""),
    ]
    assert told(parse([{"role": "user", "content": []}])) == [("user", "", (), "")]
    assert told(parse([{"role": "assistant", "content": []}])) == [("assistant", "", (), "")]


def test_the_same_message_in_other_spellings() -> None:
    same: list[Any] = ["a b", " a\n b", [text("a"), text("b", **CACHED)]]
    assert len({digest_of(role="user", content=content) for content in same}) == 1
    thinking = [{"type": "thinking", "thinking": "hm"}, {"type": "redacted_thinking", "data": "x"}]
    ran = [{"type": "server_tool_use", "id": "s", "name": "web"}, {"type": "web_search_tool_result"}]
    replies = [[text("yes"), use()], [*thinking, text("yes"), use()], [*ran, use(), text("yes", citations=[])]]
    assert len({digest_of(role="assistant", content=content) for content in replies}) == 1
    cached = [result(content=[{**IMAGE, **CACHED}]), result(content=[IMAGE], **CACHED)]
    assert len({digest_of(role="user", content=[one]) for one in cached}) == 1


def test_other_messages_have_other_digests() -> None:
    others: list[dict[str, Any]] = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": [IMAGE]},
        {"role": "user", "content": [IMAGE, IMAGE]},
        {"role": "user", "content": [result()]},
        {"role": "user", "content": [result("t2")]},
        {"role": "user", "content": [result(content="no")]},
        {"role": "user", "content": [result(content=[IMAGE])]},
        {"role": "assistant", "content": [use()]},
        {"role": "assistant", "content": [use("t2")]},
        {"role": "assistant", "content": [use(given_input={"a": 2})]},
        {"role": "assistant", "content": [use(), use()]},
    ]
    assert len({digest_of(**message) for message in others}) == len(others)


def test_claude_code_names_its_session_in_its_user_id() -> None:
    request = parse([], metadata={"user_id": f"user_{'0' * 64}_account__session_{SESSION}"})
    assert request.fields == {"metadata.user_id": SESSION}


SESSION = "57a121ec-f78c-48c3-a745-e3036a3ecc33"


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b'{"messages":1}', b'{"messages":[{"content":3}]}', b'{"messages":[],"system":3}'],
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableRequestError, match="not a request for a message"):
        parse_request(Api.MESSAGES, body)


FIELDS = st.sampled_from(["type", "text", "id", "name", "input", "tool_use_id", "content"])
BLOCKS = st.dictionaries(FIELDS, JSON | st.sampled_from(["text", "tool_use", "tool_result"]))


@given(st.lists(BLOCKS, max_size=4), st.sampled_from(["user", "assistant", "system", ""]))
def test_any_blocks_are_read_or_refused(blocks: list[dict[str, Any]], role: str) -> None:
    try:
        request = parse([{"role": role, "content": blocks}])
    except GrammarError:
        return
    assert len(request.chain) == len(request.messages)
