"""What a result's own times say of how long it may be kept."""

import json
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.tools.moments import LOOKED_AT, age_limit

STARTED = 1_700_000_000.0


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(STARTED + seconds, UTC).isoformat()


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        ({"a": 1}, None),
        ({"expires_at": STARTED + 5}, 5),
        ({"expiresAt": (STARTED + 5) * 1000}, 5),
        ({"valid_until": _iso(5), "price": 3}, 5),
        ({"token": {"Expires": formatdate(STARTED + 5, usegmt=True)}}, 5),
        ([{"valid_to": _iso(30)}, {"valid_to": _iso(20)}], 20),
        ({"as_of": _iso(-50)}, 10),
        ({"meta": {"generatedAt": STARTED - 50}}, 10),
        ({"fetched_at": _iso(-500)}, 0),
        ({"date": formatdate(STARTED - 50, usegmt=True)}, 10),
        ({"as_of": _iso(-50), "expires": _iso(5)}, 5),
        # What says nothing of the result: ended long ago, days, counts, records' own dates, deeper down.
        ({"expires_at": _iso(-5)}, None),
        ({"expires_at": "2030-01-01"}, None),
        ({"as_of": "2023-11-01"}, None),
        ({"as_of": _iso(50)}, None),
        ({"expires": 3600}, None),
        ({"expires_at": 10**400}, None),
        ({"as_of": -(10**400)}, None),
        ({"expires": True}, None),
        ({"date": _iso(-50), "created_at": _iso(-50), "updated_at": _iso(-50)}, None),
        ({"a": {"b": {"expires_at": _iso(5)}}}, None),
        ("expires_at", None),
    ],
)
def test_the_limit(value: Any, limit: float | None) -> None:
    found = age_limit(json.dumps(value).encode(), 60, STARTED)
    assert found == (limit if limit is None else pytest.approx(limit))


def test_a_large_result_and_one_that_is_no_json_say_nothing() -> None:
    said = json.dumps({"expires_at": STARTED + 5})
    assert age_limit(said.encode() + b" " * LOOKED_AT, 60, STARTED) is None
    assert age_limit(said.encode() + b"!", 60, STARTED) is None
    assert age_limit(b"it says: " + said.encode(), 60, STARTED) is None
    assert age_limit(b"[" * 100_000 + b'"expires"', 60, STARTED) is None


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=9),
    st.datetimes().map(datetime.isoformat),
    st.floats(-1e4, 1e4).map(lambda seconds: STARTED + seconds),
)
NAMES = st.sampled_from(["expires", "validUntil", "as_of", "fetchedAt", "date", "Expiry", "x"])


@given(st.recursive(VALUES, lambda inner: st.dictionaries(NAMES, inner) | st.lists(inner, max_size=3)))
def test_it_never_fails_and_never_makes_a_result_younger(value: Any) -> None:
    limit = age_limit(json.dumps(value).encode(), 60, STARTED)
    assert limit is None or limit >= 0


@given(st.floats(0, 1e4), st.floats(0.01, 1e4))
def test_what_is_released_is_no_older_than_its_tool_allows_and_ends_when_it_says(
    since: float, left: float
) -> None:
    value = {"as_of": STARTED - since, "expires_at": STARTED + left}
    limit = age_limit(json.dumps(value).encode(), 60, STARTED)
    assert limit is not None
    assert limit <= max(0.0, 60 - since) + 1e-3
    assert limit <= left + 1e-3
