"""What a request says of its sending, whatever it sends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from paste_proxy.events import UNSAID, Attempt
from paste_proxy.proxy.attempts import COUNT, KEY, KEY_LIMIT, TIMEOUTS, attempt_of


@pytest.mark.parametrize(
    ("headers", "attempt"),
    [
        ({}, UNSAID),
        # openai 3.57, anthropic 2.13 (Python), as they send them
        ({"x-stainless-retry-count": "0", "x-stainless-read-timeout": "600"}, Attempt(600.0)),
        ({"x-stainless-retry-count": "1", "x-stainless-read-timeout": "7.5"}, Attempt(7.5, 1)),
        ({"x-stainless-timeout": "NOT_GIVEN", "x-stainless-read-timeout": "600"}, Attempt(600.0)),
        ({"x-stainless-timeout": "NOT_GIVEN", "x-stainless-retry-count": "0"}, UNSAID),
        ({"X-Stainless-Timeout": "600", "X-Stainless-Read-Timeout": "30"}, Attempt(30.0)),
        ({"Idempotency-Key": "8e03978e-40d5"}, Attempt(key="8e03978e-40d5")),
    ],
)
def test_what_sdks_send(headers: dict[str, str], attempt: Attempt) -> None:
    assert attempt_of(CIMultiDict(headers)) == attempt


@pytest.mark.parametrize(
    "value",
    [
        "nan",
        "inf",
        "-inf",
        "-1",
        "+1",
        "0",
        "0.0",
        "1e400",
        "1" + "0" * 400,
        "1,2",
        "[1]",
        "",
        " ",
        "None",
        "1_0",
        "٣",
    ],
)
def test_a_timeout_that_is_none_says_nothing(value: str) -> None:
    assert attempt_of(CIMultiDict([(name, value) for name in TIMEOUTS])) == UNSAID


@pytest.mark.parametrize("value", ["nan", "-1", "1.0", "9" * 400, "1,1", "", "true", "²"])
def test_a_count_that_is_none_says_nothing(value: str) -> None:
    assert attempt_of(CIMultiDict({COUNT: value})) == UNSAID


def test_of_a_field_that_comes_twice_the_first_counts() -> None:
    headers = CIMultiDict([(TIMEOUTS[0], "9"), (TIMEOUTS[0], "5"), (COUNT, "2"), (COUNT, "x")])
    assert attempt_of(headers) == Attempt(9.0, 2)


def test_a_long_key_is_kept_short_and_still_tells_keys_apart() -> None:
    keys = {attempt_of(CIMultiDict({KEY: "k" * 5000 + end})).key for end in ("a", "b")}
    assert len(keys) == 2
    assert max(map(len, keys)) < KEY_LIMIT


ANY = st.text(max_size=40) | st.floats().map(str) | st.integers().map(str)


@given(ANY, ANY, ANY, ANY)
def test_whatever_is_sent_nobody_waits_for_ever_or_less_than_not_at_all(
    read: str, whole: str, count: str, key: str
) -> None:
    attempt = attempt_of(CIMultiDict(zip((*TIMEOUTS, COUNT, KEY), (read, whole, count, key), strict=True)))
    assert 0.0 <= attempt.patience_s < 1e9 + 1
    assert attempt.number >= 0
    assert len(attempt.key) <= KEY_LIMIT
