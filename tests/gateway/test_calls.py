import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.gateway.calls import identity_of, tool_call_id
from paste_proxy.sessions.identity import identify


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


@pytest.mark.parametrize(
    ("meta", "session"),
    [
        ({"ai.opencode/sessionID": "s"}, "s"),
        ({"session_id": "s"}, "s"),
        ({"threadId": "t"}, "t"),
        ({"threadId": "s", "x-codex-turn-metadata": {"session_id": "s", "turn_id": "1"}}, "s"),
        ({"threadId": "t", "x-codex-turn-metadata": {"session_id": "s"}}, "s/t"),
        ({"session_id": "a", "x/sessionId": "a"}, "a"),
        ({"session_id": "a", "x/sessionId": "b"}, ""),
        ({"claudecode/toolUseId": "toolu_1", "progressToken": "p", "user": "u"}, ""),
        ({"session_id": 5, "threadId": {"session_id": {"session_id": "deep"}}}, ""),
    ],
)
def test_meta_names_the_session_as_the_headers_of_the_llm_plane_do(
    meta: dict[str, object], session: str
) -> None:
    assert identity_of({}, meta, "t").session == session


def test_codex_is_named_alike_on_both_planes() -> None:
    headers = {"session-id": "s", "thread-id": "t"}
    meta = {"threadId": "t", "x-codex-turn-metadata": {"session_id": "s"}}
    assert identity_of({}, meta, "t") == identify(headers, {}, "t")


def test_headers_count_before_meta() -> None:
    assert identity_of({"X-Session-Id": "header"}, {"session_id": "meta"}, "t").session == "header"


def test_the_id_of_a_connection_names_no_session() -> None:
    assert identity_of({"mcp-session-id": "connection"}, {}, "t").session == ""


LEAF = st.none() | st.booleans() | st.floats() | st.text(max_size=8)
KEY = st.sampled_from(["toolCallId", "call_id", "x/callId", "paste/tool-call-id"]) | st.text(max_size=8)


@settings(max_examples=50)
@given(
    st.dictionaries(KEY, LEAF | st.lists(LEAF, max_size=2) | st.dictionaries(KEY, LEAF, max_size=3), max_size=4)
)
def test_any_meta_is_read_without_failure(meta: dict[str, object]) -> None:
    assert isinstance(tool_call_id({}, meta), str)
    assert isinstance(identity_of({}, meta, "t").session, str)
