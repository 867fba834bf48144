"""What of a host's allowance may be spent ahead of the model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from paste_proxy.clock import VirtualClock
from paste_proxy.tools.http.rates import HOSTS, LONGEST_S, WINDOW_S, Allowance, Rates, allowance

WALL = 1_700_000_000.0


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, None),
        ({"x-ratelimit-remaining": "many"}, None),
        ({"X-RateLimit-Remaining": "7"}, Allowance(7, None, WINDOW_S)),
        (
            {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "1700000020"},
            Allowance(7, 60, 20),
        ),
        ({"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "1700000020000"}, Allowance(7, None, 20)),
        (
            {"RateLimit-Limit": "100, 100;w=60", "RateLimit-Remaining": "50", "RateLimit-Reset": "30"},
            Allowance(50, 100, 30),
        ),
        ({"RateLimit": "limit=100, remaining=50, reset=5"}, Allowance(50, 100, 5)),
        (
            {"RateLimit": '"default";r=50;t=30', "RateLimit-Policy": '"default";q=100;w=60'},
            Allowance(50, 100, 30),
        ),
        (
            {
                "RateLimit": '"day";r=900;t=99, "burst";r=1;t=2',
                "RateLimit-Policy": '"burst";q=10, "day";q=1000',
            },
            Allowance(1, 10, 2),
        ),
        ({"RateLimit": '"default";t=30'}, None),
        ({"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "999999999"}, Allowance(7, None, LONGEST_S)),
        ({"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "1600000000"}, Allowance(7, None, 0)),
    ],
)
def test_what_hosts_say(headers: dict[str, str], said: Allowance | None) -> None:
    assert allowance(CIMultiDict(headers), WALL) == said


@given(st.dictionaries(st.sampled_from(["RateLimit", "RateLimit-Policy", "X-RateLimit-Reset"]), st.text()))
def test_nonsense_says_nothing_or_something_bounded(headers: dict[str, str]) -> None:
    said = allowance(CIMultiDict({"X-RateLimit-Remaining": "1"} | headers), WALL)
    assert said is not None
    assert 0 <= said.reset_s <= LONGEST_S


def _heard(rates: Rates, remaining: int, limit: int | None = None) -> None:
    headers = {"RateLimit-Remaining": str(remaining), "RateLimit-Reset": "30"}
    rates.heard("a", headers if limit is None else {**headers, "RateLimit-Limit": str(limit)})


def test_only_what_is_above_the_reserve_is_spent_ahead_until_the_window_ends() -> None:
    clock = VirtualClock()
    rates = Rates(0.5, clock.now, lambda: WALL)
    assert rates.pause_s("a") == 0
    _heard(rates, 7, 10)
    rates.sent("a")
    assert rates.pause_s("a") == 0
    rates.sent("a")
    assert rates.pause_s("a") == 30, "five of ten are the model's"
    clock.advance(30)
    assert rates.pause_s("a") == 0
    assert rates.pause_s("b") == 0


def test_of_a_host_that_names_no_limit_the_most_that_was_left_is_the_limit() -> None:
    rates = Rates(0.5, VirtualClock().now, lambda: WALL)
    _heard(rates, 10)
    assert rates.pause_s("a") == 0
    _heard(rates, 5)
    assert rates.pause_s("a") == 30


def test_without_a_reserve_the_last_one_may_go_too_and_then_none() -> None:
    rates = Rates(0.0, VirtualClock().now, lambda: WALL)
    _heard(rates, 1, 10)
    assert rates.pause_s("a") == 0
    rates.sent("a")
    assert rates.pause_s("a") == 30


def test_hosts_are_bounded() -> None:
    rates = Rates(1.0, VirtualClock().now, lambda: WALL)
    for number in range(HOSTS + 1):
        rates.heard(f"h{number}", {"RateLimit-Remaining": "1"})
    assert rates.pause_s("h0") == 0
    assert rates.pause_s("h1") > 0
