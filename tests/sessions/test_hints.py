"""What clients say of their requests' urgency, and what counts of it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.apis import Api
from paste_proxy.grammar.requests import Hints, parse_request
from paste_proxy.sessions.hints import LEAST, MOST, priority_of


@pytest.mark.parametrize(
    ("headers", "hints", "priority"),
    [
        ({}, Hints(), 0),
        ({"X-Paste-Priority": "3"}, Hints(), 3),
        ({"x-paste-priority": " -3 "}, Hints(), -3),
        ({"x-paste-priority": "3"}, Hints(priority=5, agent_priority=4), 3),
        ({}, Hints(priority=5, agent_priority=4), 4),
        ({"x-vllm-priority": "2"}, Hints(priority=5), 2),
        ({"x-override-priority": "2"}, Hints(priority=5), 2),
        ({}, Hints(priority=5), 5),
        ({}, Hints(priority=2**70), MOST),
        ({}, Hints(priority=-(2**70)), LEAST),
        ({"x-paste-priority": "soon"}, Hints(priority=5), 5),
        ({"x-paste-priority": "9" * 5000}, Hints(priority=5), 5),
        ({"x-paste-priority": "1e3"}, Hints(), 0),
        ({"x-paste-priority": ""}, Hints(), 0),
    ],
)
def test_what_counts(headers: dict[str, str], hints: Hints, priority: int) -> None:
    assert priority_of(headers, hints, most=MOST) == priority


def test_what_is_meant_for_the_engine_counts_as_it_counts() -> None:
    assert priority_of({}, Hints(priority=3), most=MOST, lower_first=True) == -3
    assert priority_of({"x-vllm-priority": "-3"}, Hints(), most=MOST, lower_first=True) == 3
    assert priority_of({"x-paste-priority": "3"}, Hints(), most=MOST, lower_first=True) == 3
    assert priority_of({}, Hints(agent_priority=3), most=MOST, lower_first=True) == 3


def test_a_tenant_may_always_step_back() -> None:
    assert priority_of({"x-paste-priority": "7"}, Hints(), most=0) == 0
    assert priority_of({"x-paste-priority": "-7"}, Hints(), most=0) == -7


@given(st.text(), st.integers() | st.none(), st.integers(0, MOST), st.booleans())
def test_nothing_is_beyond_the_bounds(told: str, priority: int | None, most: int, lower_first: bool) -> None:
    headers = {"x-paste-priority": told, "x-vllm-priority": told}
    assert LEAST <= priority_of(headers, Hints(priority), most=most, lower_first=lower_first) <= most


BODIES: dict[Api, dict[str, object]] = {
    Api.CHAT: {"messages": [{"role": "user", "content": "hi"}]},
    Api.RESPONSES: {"input": "hi"},
    Api.MESSAGES: {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1},
    Api.COMPLETIONS: {"prompt": "hi"},
    Api.GENERATE: {"text": "hi"},
}


@pytest.mark.parametrize("api", Api)
def test_the_hints_of_every_api(api: Api) -> None:
    told = {"priority": 3, "nvext": {"agent_hints": {"priority": 4, "osl": 1024}}}
    body = msgspec.json.encode(BODIES[api] | told)
    assert parse_request(api, body).hints == Hints(3, 4, 1024)
    assert parse_request(api, msgspec.json.encode(BODIES[api])).hints == Hints()


@pytest.mark.parametrize(
    "told",
    [
        {"priority": "3"},
        {"priority": True},
        {"priority": 1.5},
        {"nvext": []},
        {"nvext": {"agent_hints": 1}},
        {"nvext": {"agent_hints": {"priority": "x", "osl": -5}}},
    ],
)
def test_hints_that_are_none(told: dict[str, object]) -> None:
    assert parse_request(Api.CHAT, msgspec.json.encode(BODIES[Api.CHAT] | told)).hints == Hints()
