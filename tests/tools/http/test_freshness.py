"""What RFC 9111 makes of a server's headers, in seconds from when the request was sent."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from paste_proxy.tools.http.freshness import max_age
from paste_proxy.tools.moments import limit_of

SENT, RECEIVED = 1_700_000_000.0, 1_700_000_002.0


def at(offset: float) -> str:
    return formatdate(SENT + offset, usegmt=True)


def kept(*lines: tuple[str, str], varied: tuple[str, ...] = ()) -> float | None:
    return max_age(CIMultiDict(lines), SENT, RECEIVED, varied)


@pytest.mark.parametrize(
    ("control", "seconds"),
    [
        ("max-age=60", 60),
        ("public, MAX-AGE = 60", 60),
        ('max-age="60"', 60),
        ("max-age=60, max-age=5", 5),
        ("max-age=0", 0),
        ("max-age=soon", 0),
        ("max-age=-1", 0),
        ("max-age=99999999999999999999", 999999999999),
        ("no-store", 0),
        ("max-age=60, no-store", 0),
        ("no-cache", 0),
        ('no-cache="Set-Cookie", max-age=60', 0),
        ("private, max-age=60", 60),
        ("private", None),
        ("s-maxage=0, max-age=60", 60),
        ("s-maxage=60", None),
        ("must-revalidate, max-age=60", 60),
        ("max-age=60, stale-while-revalidate=600", 60),
        ('x="a,no-store", max-age=60', 60),
        ("", None),
        (",,", None),
    ],
)
def test_cache_control(control: str, seconds: float | None) -> None:
    assert kept(("Cache-Control", control)) == seconds


def test_lines_of_cache_control_add_up() -> None:
    assert kept(("Cache-Control", "max-age=60"), ("cache-control", "no-store")) == 0


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ([("Expires", at(60)), ("Date", at(0))], 60),
        ([("Expires", at(62))], 60),
        ([("Expires", at(-60)), ("Date", at(0))], 0),
        ([("Expires", "0")], 0),
        ([("Expires", at(600)), ("Cache-Control", "max-age=60")], 60),
        ([("Age", "20"), ("Cache-Control", "max-age=60")], 40),
        ([("Age", "90"), ("Cache-Control", "max-age=60")], 0),
        ([("Age", "x"), ("Cache-Control", "max-age=60")], 60),
        ([("Date", at(-20)), ("Cache-Control", "max-age=60")], 40),
        ([("Date", at(-20)), ("Age", "30"), ("Cache-Control", "max-age=60")], 30),
        ([("Date", at(20)), ("Cache-Control", "max-age=60")], 60),
        ([("Date", "Sat, 99 Nope 1 1:1:1"), ("Cache-Control", "max-age=60")], 60),
        ([("Age", "20")], None),
        ([("Last-Modified", at(-9999))], None),
        ([("Pragma", "no-cache")], 0),
        ([("Pragma", "no-cache"), ("Cache-Control", "max-age=60")], 60),
        ([("Set-Cookie", "a=b"), ("Cache-Control", "max-age=60")], 0),
        ([("Vary", "*"), ("Cache-Control", "max-age=60")], 0),
        ([("Vary", "Accept, Cookie"), ("Cache-Control", "max-age=60")], 60),
    ],
)
def test_other_headers(lines: list[tuple[str, str]], seconds: float | None) -> None:
    assert kept(*lines) == seconds


def test_an_answer_that_differs_by_what_only_a_request_ahead_says() -> None:
    assert kept(("Vary", "Accept, Sec-Purpose"), varied=("sec-purpose",)) == 0
    assert kept(("Vary", "Accept, Sec-Purpose")) is None


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ([("Cache-Control", "max-age=0, must-revalidate")], 9),
        ([("Cache-Control", "no-cache")], 9),
        ([("Pragma", "no-cache")], 9),
        ([("Expires", "0")], 9),
        ([("Cache-Control", "max-age=60")], 60),
        ([("Cache-Control", "no-cache, no-store")], 0),
        ([("Cache-Control", "max-age=60"), ("Set-Cookie", "a=b")], 0),
        ([("Vary", "*")], 0),
        ([], None),
    ],
)
def test_grace_is_for_what_is_stale_and_not_for_what_is_private(
    lines: list[tuple[str, str]], seconds: float | None
) -> None:
    assert max_age(CIMultiDict(lines), SENT, RECEIVED, grace=9) == seconds


NAMES = st.sampled_from(
    ["Cache-Control", "Expires", "Date", "Age", "Vary", "Pragma", "Set-Cookie", "Last-Modified"]
)
VALUES = st.text(max_size=30) | st.sampled_from(
    ["max-age=5", "no-store", at(5), at(-5), "9" * 400, "1e9", "Mon, "]
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=6))
def test_no_header_raises_and_no_age_is_negative(lines: list[tuple[str, str]]) -> None:
    seconds = kept(*lines)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("timestamp", "seconds"),
    [
        (SENT - 20, 40),
        ((SENT - 20) * 1000, 40),
        (at(-20), 40),
        ("2023-11-14T22:13:00Z", 40),
        ("2023-11-14T23:13:00+01:00", 40),
        ("2023-11-14 22:13:00", 40),
        (SENT + 20, 60),
        (SENT - 99, 0),
        ("yesterday", 0),
        (None, 0),
        (True, 0),
        ([1], 0),
        ("", 0),
        (1e300, 0),
    ],
)
def test_a_result_that_says_of_when_it_is(timestamp: object, seconds: float) -> None:
    assert limit_of(timestamp, 60, SENT) == pytest.approx(seconds)
