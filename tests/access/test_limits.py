"""Rate limits, as transcripts of times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.access.limits import AtOnce, Quota, RateLimitedError


def refused(quota: Quota, now: float) -> RateLimitedError:
    with pytest.raises(RateLimitedError) as caught:
        quota.take(now)
    return caught.value


def test_a_minute_s_worth_passes_at_once_and_then_one_at_a_time() -> None:
    quota = Quota("requests", "tenants.a.requests_per_minute", 6)
    for _ in range(6):
        quota.take(100.0)
    error = refused(quota, 100.0)
    assert error.status == 429
    assert error.message == ("more than 6 requests a minute (tenants.a.requests_per_minute): try again in 10 s")
    assert dict(error.headers) == {
        "Retry-After": "10",
        "RateLimit-Policy": '"requests";q=6;w=60',
        "RateLimit": '"requests";r=0;t=10',
    }
    assert refused(quota, 104.5).headers["Retry-After"] == "6"
    quota.take(110.0)
    refused(quota, 110.0)


def test_who_waits_as_long_as_told_is_let_through() -> None:
    quota = Quota("calls", "k", 7)
    now = 0.0
    for _ in range(50):
        try:
            quota.take(now)
        except RateLimitedError as error:
            now += float(error.headers["Retry-After"])
            quota.take(now)


def test_a_pause_saves_up_no_more_than_a_minute() -> None:
    quota = Quota("requests", "k", 3)
    for now in (0.0, 10_000.0, 10_000.0, 10_000.0):
        quota.take(now)
    refused(quota, 10_000.0)


@given(st.integers(1, 50), st.lists(st.floats(0, 5), max_size=300))
def test_no_window_holds_more_than_a_bucket_and_what_flowed_in(limit: int, gaps: list[float]) -> None:
    quota = Quota("requests", "k", limit)
    now, passed = 0.0, 0
    for gap in gaps:
        now += gap
        try:
            quota.take(now)
        except RateLimitedError:
            continue
        passed += 1
        assert passed <= limit + now * limit / 60 + 1e-6


def test_without_a_limit_all_pass() -> None:
    quota, turns = Quota("requests", "k", 0), AtOnce("turns", "k", 0)
    for _ in range(1000):
        quota.take(0.0)
        turns.__enter__()
    assert turns.refusal() is None


def test_so_many_at_once() -> None:
    turns = AtOnce("turns", "tenants.a.concurrent_turns", 2)
    with turns, turns:
        error = turns.refusal()
    assert error is not None
    assert error.message.startswith("2 turns are under way, as many as tenants.a.concurrent_turns lets be")
    assert error.headers["RateLimit-Policy"] == '"turns";q=2;qu="concurrent-requests"'
    assert turns.refusal() is None
    assert turns.busy == 0
