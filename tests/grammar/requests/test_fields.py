"""The session in Claude Code's user id, and in nobody else's."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.requests.fields import claude_code_session

SESSION = "57a121ec-f78c-48c3-a745-e3036a3ecc33"
USER = "user_" + "0a" * 32


@pytest.mark.parametrize(
    "user_id",
    [
        f"{USER}_account__session_{SESSION}",
        f"{USER}_account_{SESSION[::-1]}_session_{SESSION}",
        json.dumps({"device_id": "d", "account_uuid": "", "session_id": SESSION}),
    ],
)
def test_claude_code_s_user_ids_end_in_a_session(user_id: str) -> None:
    assert claude_code_session(user_id) == SESSION


@pytest.mark.parametrize(
    "user_id",
    [
        None,
        7,
        "",
        "me",
        USER,
        f"{USER}_account__session_",
        f"{USER}_account__session_abc",
        f"x_session_{SESSION}",
        f"{USER}_session_{SESSION}x",
        "{",
        "{}",
        '{"session_id": 3}',
        '{"device_id": "d"}',
        json.dumps({"session_id": SESSION, "device_id": "d" * 2000}),
    ],
)
def test_other_users_name_no_session(user_id: Any) -> None:
    assert claude_code_session(user_id) == ""


@given(st.text())
def test_any_user_id_is_looked_at(user_id: str) -> None:
    assert isinstance(claude_code_session(user_id), str)
    assert isinstance(claude_code_session("{" + user_id), str)
