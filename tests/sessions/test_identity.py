from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.events import Identity
from paste_proxy.sessions import identity as module
from paste_proxy.sessions.identity import NAME_LIMIT


def identify(headers: Mapping[str, str], fields: Mapping[str, str]) -> Identity:
    return module.identify(headers, fields, "default")


@pytest.mark.parametrize(
    ("headers", "session", "parent"),
    [
        ({"x-dynamo-session-id": "d", "x-dynamo-parent-session-id": "p"}, "d", "p"),
        ({"X-Claude-Code-Session-Id": "c"}, "c", ""),
        ({"x-claude-code-session-id": "c", "x-claude-code-agent-id": "a"}, "c/a", "c"),
        (
            {
                "x-claude-code-session-id": "c",
                "x-claude-code-agent-id": "a",
                "x-claude-code-parent-agent-id": "b",
            },
            "c/a",
            "c/b",
        ),
        ({"x-claude-code-agent-id": "a"}, "", ""),
        ({"session-id": "x", "thread-id": "x"}, "x", ""),
        ({"Session_ID": "x"}, "x", ""),
        ({"session-id": "x", "thread-id": "t"}, "x/t", "x"),
        ({"thread-id": "t"}, "", ""),
        ({"X-Session-ID": " o ", "x-parent-session-id": "p"}, "o", "p"),
        ({"x-litellm-session-id": "l"}, "l", ""),
        ({"authorization": "Bearer s", "user-agent": "x"}, "", ""),
    ],
)
def test_the_headers_that_agents_send(headers: dict[str, str], session: str, parent: str) -> None:
    identity = identify(headers, {})
    assert (identity.session, identity.parent) == (session, parent)
    assert identity.source.lower() in {*map(str.lower, headers), ""}


def test_the_order_in_which_names_count() -> None:
    order = [
        "x-dynamo-session-id",
        "x-claude-code-session-id",
        "session-id",
        "session_id",
        "x-session-id",
        "x-litellm-session-id",
    ]
    fields = {"session_id": "f1", "metadata.session_id": "f2"}
    for first in range(len(order)):
        headers = {name: f"of {name}" for name in reversed(order[first:])}
        assert identify(headers, fields).source == order[first]
    assert identify({}, fields) == Identity(session="f1", source="session_id")
    assert identify({}, {"program_id": "", "metadata.session_id": "f2"}).session == "f2"


def test_one_name_in_a_field_and_in_a_header_is_one_session() -> None:
    assert identify({}, {"session_id": "s"}).session == identify({"x-session-id": "s"}, {}).session


def test_the_last_request_of_a_session() -> None:
    assert identify({"X-Dynamo-Session-Final": "True"}, {}).final
    assert not identify({"x-dynamo-session-final": "false"}, {}).final


def test_a_bad_name_is_passed_over_and_a_long_one_shortened() -> None:
    assert identify({"x-dynamo-session-id": "a\x00b", "x-session-id": "ok"}, {}).session == "ok"
    assert identify({"x-session-id": "a\x7f"}, {}).session == ""
    assert identify({"x-session-id": "\udcff"}, {}).session == ""
    long, longer = "a" * (NAME_LIMIT + 1), "a" * (NAME_LIMIT + 2)
    names = {identify({"x-session-id": name}, {}).session for name in (long, longer)}
    assert len(names) == 2
    assert all(len(name) < 50 for name in names)
    assert identify({"x-session-id": "a" * NAME_LIMIT}, {}).session == "a" * NAME_LIMIT


@given(st.dictionaries(st.sampled_from(["x-session-id", "session-id", "thread-id", "x-other"]), st.text()))
def test_names_are_bounded_and_printable(headers: dict[str, str]) -> None:
    identity = identify(headers, {})
    assert identity.session.isprintable()
    assert len(identity.session) <= 2 * NAME_LIMIT + 1


@given(st.dictionaries(st.text(), st.text()))
def test_the_tenant_is_not_for_the_headers_to_say(headers: dict[str, str]) -> None:
    assert module.identify(headers, {"tenant": "b"}, "a").tenant == "a"
