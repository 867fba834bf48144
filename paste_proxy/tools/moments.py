"""Times that a result tells of itself, and how long it may be kept by them. Pure: seconds of the calendar.

Two kinds of fields count, at the top of a JSON result or one level below: one that says until when it is valid
(`expires_at`, `valid_until`) ends its use then, and one that says of when it is (`as_of`, `generated_at`) makes
its age count from there. Names of records' own dates (`created_at`, `updated_at`, `date`) are no such word. Nor
is a day without a time, or a moment that can't be meant: an end that is past (of a card), a future "as of".
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

LOOKED_AT = 256 * 1024
"""Bytes of a result that is looked into; a larger one says nothing. Decoding them takes a millisecond."""
FIELDS = 1000
"""Of one result: such words stand at its head, not in the thousandth record."""

_MILLISECONDS = 1e11
"""A larger number is a time in milliseconds: in seconds it were in the year 5138."""
_NO_TIME = 1e15
"""Nor is this or more: in milliseconds it were in the year 33658. JSON has integers that no float holds."""
_SINCE = 1e9
"""A smaller number is none of the calendar but a count or a duration: it were before September 2001."""

_ENDS = (
    r"expires?(?:_?(?:at|on|time))?|expir(?:y|ation)(?:_?(?:time|date|at))?|valid_?(?:until|to|till)|not_?after"
)
_IS_OF = r"as_?of|(?:fetched|generated|retrieved|observed|queried|computed|measured)_?at|server_?time"
_NAMED = re.compile(rf'"(?:(?P<ends>{_ENDS})|(?P<is_of>{_IS_OF})|(?P<http>date))"'.encode(), re.IGNORECASE)


def age_limit(body: bytes, max_age: float, started: float) -> float | None:
    """Seconds from the run's start after which the result may not be used, where it says so itself. None: it
    does not. `max_age`: what its tool allows, `started`: when the run began."""
    if len(body) > LOOKED_AT or body.lstrip()[:1] not in (b"{", b"[") or _NAMED.search(body) is None:
        return None
    try:
        value = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
    limits = (_limit(kind, moment, max_age, started) for kind, moment in _told(value))
    return min((limit for limit in limits if limit is not None), default=None)


def limit_of(timestamp: object, max_age: float, started: float) -> float:
    """The same for a field of which the operator has said that it tells of when the result is; without a time
    in it, the result is of any age."""
    moment = moment_of(timestamp)
    return 0.0 if moment is None else max(0.0, max_age - max(0.0, started - moment))


def _limit(kind: str, moment: float, max_age: float, started: float) -> float | None:
    if kind == "ends":
        return moment - started if moment > started else None
    return max(0.0, max_age - (started - moment)) if moment <= started else None


def _told(value: Any) -> Iterator[tuple[str, float]]:
    for name, field in _fields(value):
        found = _NAMED.fullmatch(f'"{name}"'.encode("utf-8", "replace"))
        if found is not None and (moment := _clear(found.lastgroup or "", field)) is not None:
            yield found.lastgroup or "", moment


def _clear(kind: str, field: Any) -> float | None:
    """A moment that is meant as one. `date` counts only as HTTP writes it: others are days of records."""
    if isinstance(field, str):
        if kind == "http":
            return http_date(field) if field.endswith("GMT") else None
        return moment_of(field) if ":" in field else None
    moment = moment_of(field)
    return moment if kind != "http" and moment is not None and moment >= _SINCE else None


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    """Of the top level, and of the objects in it."""
    tops = value if isinstance(value, list) else [value]
    left = FIELDS
    for top in tops[:FIELDS]:
        below = [part for part in top.values() if isinstance(part, dict)] if isinstance(top, dict) else []
        for part in [top, *below] if isinstance(value, dict) else [top]:
            for name, field in part.items() if isinstance(part, dict) else ():
                if not left:
                    return
                left -= 1
                yield name, field


def moment_of(value: object) -> float | None:
    """Seconds of the calendar, from a number or a text; None where it is no time."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) < _NO_TIME:
            return None
        return value / 1000 if abs(value) > _MILLISECONDS else float(value)
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return http_date(value)
    return _seconds(moment)


def http_date(text: str) -> float | None:
    """A date as HTTP writes it, in seconds of the calendar; None where it is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return _seconds(moment)


def _seconds(moment: datetime) -> float | None:
    try:
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, ValueError):
        return None
