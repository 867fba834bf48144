import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.gateway.calls import identity_fields, tool_call_id


@pytest.mark.parametrize(
    "key",
    [
        "paste/tool-call-id",
        "claudecode/toolUseId",
        "openai/toolCallId",
        "copilot/toolCallId",
        "redpanda.com/llm-tool-call-id",
        "toolCallId",
        "tool_call_id",
        "tool_use_id",
        "callId",
        "call_id",
    ],
)
def test_every_known_spelling_names_the_call(key: str) -> None:
    assert tool_call_id({}, {"progressToken": 7, key: "call_1"}) == "call_1"


def test_the_header_names_the_call() -> None:
    assert tool_call_id({"x-tool-call-id": "call_1"}, {}) == "call_1"


def test_one_value_under_several_names_is_no_doubt() -> None:
    meta = {"claudecode/toolUseId": "call_1", "openai/toolCallId": "call_1"}
    assert tool_call_id({"x-tool-call-id": "call_1"}, meta) == "call_1"


def test_names_that_differ_leave_the_call_unnamed() -> None:
    assert tool_call_id({}, {"toolCallId": "call_1", "call_id": "call_2"}) == ""
    assert tool_call_id({"x-tool-call-id": "call_3"}, {"call_id": "call_2"}) == ""


def test_our_own_key_wins() -> None:
    assert tool_call_id({"x-tool-call-id": "other"}, {"call_id": "x", "paste/tool-call-id": "mine"}) == "mine"


@pytest.mark.parametrize(
    "meta",
    [{}, {"progressToken": "call_1"}, {"toolCallId": 7}, {"toolCallId": ""}, {"paste/tool-call-id": None}],
)
def test_what_names_no_call(meta: dict[str, object]) -> None:
    assert tool_call_id({}, meta) == ""


def test_fields_have_plain_names() -> None:
    meta = {
        "ai.opencode/sessionID": "s",
        "vscode.conversationId": "c",
        "threadId": "t",
        "user": "u",
        "progressToken": 3,
        "empty": "",
    }
    assert identity_fields(meta) == {"session_id": "s", "conversation_id": "c", "thread_id": "t", "user": "u"}


def test_objects_are_opened_once() -> None:
    meta = {"x-codex-turn-metadata": {"session_id": "s", "deep": {"user": "u"}}}
    assert identity_fields(meta) == {"session_id": "s"}


def test_a_name_with_two_values_says_nothing() -> None:
    assert identity_fields({"session_id": "a", "x/sessionId": "b"}) == {}
    assert identity_fields({"session_id": "a", "x/sessionId": "a"}) == {"session_id": "a"}


LEAF = st.none() | st.booleans() | st.floats() | st.text(max_size=8)
KEY = st.sampled_from(["toolCallId", "call_id", "x/callId", "paste/tool-call-id"]) | st.text(max_size=8)


@settings(max_examples=50)
@given(
    st.dictionaries(KEY, LEAF | st.lists(LEAF, max_size=2) | st.dictionaries(KEY, LEAF, max_size=3), max_size=4)
)
def test_any_meta_is_read_without_failure(meta: dict[str, object]) -> None:
    assert isinstance(tool_call_id({}, meta), str)
    assert all(name == name.lower() and value for name, value in identity_fields(meta).items())
