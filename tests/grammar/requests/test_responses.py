import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.apis import Api
from paste_proxy.grammar.errors import GrammarError, UnreadableRequestError
from paste_proxy.grammar.requests import ChatRequest, MessageCall, RequestTool, parse_request


def parse(given_input: Any, **fields: Any) -> ChatRequest:
    return parse_request(Api.RESPONSES, json.dumps({"input": given_input, **fields}).encode())


def call(call_id: str = "c1", arguments: str = '{"a": 1}', **fields: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": arguments, **fields}


def output(call_id: str = "c1", text: Any = "ok") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def told(request: ChatRequest) -> list[tuple[str, str, tuple[str, ...], str]]:
    """Role, text, ids of the calls, id of the call that is answered."""
    return [
        (one.role, one.text, tuple(made.call_id for made in one.calls), one.call_id) for one in request.messages
    ]


def test_a_text_is_said_by_the_user() -> None:
    request = parse("hi", instructions="Help.", model="m", stream=True)
    assert told(request) == [("system", "Help.", (), ""), ("user", "hi", (), "")]
    assert (request.model, request.stream, request.choices, request.has_rid) == ("m", True, 1, False)
    assert request.chain == parse([{"role": "user", "content": "hi"}], instructions="Help.").chain


def test_the_items_of_one_reply_are_one_message() -> None:
    parts = [{"type": "output_text", "text": "I"}, {"type": "output_text", "text": "look."}]
    request = parse(
        [
            {"role": "developer", "content": [{"type": "input_text", "text": "a"}]},
            {"type": "reasoning", "summary": [], "content": None, "encrypted_content": "x"},
            {"type": "message", "role": "assistant", "content": parts},
            call("c1"),
            {"type": "web_search_call", "id": "ws", "action": {"query": "q"}},
            call("c2", id="fc", status="completed"),
            output("c1"),
            output("c2", [{"type": "input_text", "text": "x"}, {"type": "input_text", "text": "y"}]),
            {"type": "message", "role": "assistant", "content": "done"},
            {"role": "user", "content": "more"},
        ]
    )
    assert told(request) == [
        ("developer", "a", (), ""),
        ("assistant", "I\nlook.", ("c1", "c2"), ""),
        ("tool", "ok", (), "c1"),
        ("tool", "x\ny", (), "c2"),
        ("assistant", "done", (), ""),
        ("user", "more", (), ""),
    ]
    assert request.messages[1].calls[0] == MessageCall("c1", "f", '{"a": 1}')


def test_reasoning_and_what_the_server_ran_count_nothing() -> None:
    said = {"type": "message", "role": "assistant", "content": "yes"}
    spellings = [
        [said],
        [{"type": "reasoning", "summary": []}, said],
        [said, {"type": "web_search_call", "id": "1", "action": {}}],
        [{"type": "mcp_call", "id": "m", "name": "f", "arguments": "{}", "output": "x"}, said],
    ]
    assert len({parse(items).chain[-1] for items in spellings}) == 1


def test_calls_of_every_tool_that_the_client_runs() -> None:
    custom = {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": 'a "b"'}
    shell = {"type": "local_shell_call", "call_id": "s", "action": {"command": ["ls"]}}
    patch = {"type": "apply_patch_call", "call_id": "p", "operation": {"type": "delete"}}
    search = {"type": "tool_search_call", "call_id": "t", "arguments": {"q": 1}}
    answers = [
        {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
        {"type": "local_shell_call_output", "call_id": "s", "output": "a file"},
        {"type": "computer_call_output", "call_id": "v", "output": {"type": "computer_screenshot"}},
    ]
    request = parse([custom, shell, patch, search, {**custom, "call_id": "e", "input": ""}, *answers])
    assert [(one.name, one.arguments) for one in request.messages[0].calls] == [
        ("patch", '{"input": "a \\"b\\""}'),
        ("local_shell_call", '{"command": ["ls"]}'),
        ("apply_patch_call", '{"type": "delete"}'),
        ("tool_search_call", '{"q": 1}'),
        ("patch", ""),
    ]
    assert [(one.call_id, one.text) for one in request.messages[1:]] == [
        ("c", "ok"),
        ("s", "a file"),
        ("v", ""),
    ]


def test_other_histories_have_other_digests() -> None:
    image = {"type": "input_image", "image_url": "data:a"}
    others: list[list[Any]] = [
        [{"role": "user", "content": "a"}],
        [{"role": "system", "content": "a"}],
        [{"role": "user", "content": [image]}],
        [{"role": "user", "content": [{**image, "detail": "low"}]}],
        [call()],
        [call("c2")],
        [call(arguments='{"a": 2}')],
        [output()],
        [output(text="no")],
        [output(text=[image])],
        [output(text={"type": "computer_screenshot", "image_url": "a"})],
        [{"type": "item_reference", "id": "msg_1"}],
        [{"type": "item_reference", "id": "msg_2"}],
        [{"type": "mcp_approval_response", "approve": True, "approval_request_id": "a"}],
    ]
    assert len({parse(items).chain[-1] for items in others}) == len(others)


def test_a_reply_that_is_named() -> None:
    request = parse("more", instructions="Help.", previous_response_id="resp_1")
    assert request.reply_to == "resp_1"
    assert told(request) == [("user", "more", (), "")]
    for held in ("conv_1", {"id": "conv_1"}):
        assert parse("more", conversation=held).reply_to == "conv_1"
    assert parse("more", previous_response_id=None, conversation={"id": None}).reply_to == ""


@pytest.mark.parametrize("field", [{"request_id": "resp_1"}, {"request_id": None}, {"background": True}])
def test_what_may_not_be_aborted_by_an_id_of_ours(field: dict[str, Any]) -> None:
    assert parse("hi", **field).has_rid
    assert not parse("hi", background=False).has_rid


def test_tools() -> None:
    schema = {"type": "object"}
    request = parse(
        "hi",
        tools=[
            {"type": "function", "name": "f", "parameters": schema},
            {"type": "function", "name": "g", "parameters": None},
            {"type": "custom", "name": "patch"},
            {"type": "local_shell"},
            {"name": 3},
            3,
        ],
    )
    assert request.tools == (
        RequestTool("f", {"type": "object"}),
        RequestTool("g", {}),
        RequestTool("patch", {}),
        RequestTool("local_shell", {}),
    )


def test_a_session_is_named_as_in_the_chat_api() -> None:
    assert parse("hi", session_id="s", user="u", metadata={"session_id": "m"}).fields == {
        "session_id": "s",
        "metadata.session_id": "m",
    }


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"input":1}', b'{"input":[1]}', b'{"input":[{"role":1}]}']
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableRequestError, match="not a request for a response"):
        parse_request(Api.RESPONSES, body)


JSON = st.recursive(
    st.none() | st.text(max_size=3) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    ["type", "role", "content", "call_id", "output", "input", "name", "arguments", "action"]
)
ITEMS = st.dictionaries(FIELDS, JSON | st.sampled_from(["message", "custom_tool_call", "x_call_output"]))


@given(st.lists(ITEMS, max_size=4))
def test_any_items_are_read_or_refused(items: list[dict[str, Any]]) -> None:
    try:
        request = parse(items)
    except GrammarError:
        return
    assert len(request.chain) == len(request.messages)
