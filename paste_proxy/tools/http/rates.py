"""How many requests a host still lets us make, by its own words, and what is kept for the model.

Three ways of saying it are read: `X-RateLimit-*` and `RateLimit-*` with `Limit`, `Remaining` and `Reset`, and
the IETF draft's `RateLimit` (its older form `limit=, remaining=, reset=`, its newer one `"name";r=;t=`) with
`RateLimit-Policy`. A host that says nothing is not held to anything here.
"""

import math
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping

import msgspec

WINDOW_S = 60.0
"""Of a host that does not say when its window ends: most are a minute long."""
LONGEST_S = 3600.0
"""Nothing is believed for longer: GitHub's hour is the longest window that is common."""
HOSTS = 1024
"""Remembered; the one that was heard of longest ago is forgotten first."""

_CALENDAR = 1e9
"""A larger `Reset` is a time of the calendar (since 2001), a smaller one is seconds from now."""
_MILLISECONDS = 1e11
"""A still larger one is in milliseconds."""
_PARAMETER = re.compile(r"([a-z]+)\s*=\s*(\d{1,15})")
_NUMBER = re.compile(r"\s*(\d{1,15})(?:\.\d*)?")


class Allowance(msgspec.Struct, frozen=True):
    """What a host said with an answer."""

    remaining: int
    limit: int | None = None
    """Of the whole window; None: not said."""
    reset_s: float = WINDOW_S
    """Until the window ends."""


def allowance(headers: Mapping[str, str], wall: float) -> Allowance | None:
    """The tightest one that the headers tell; None: none. `wall`: seconds of the calendar."""
    said = [_of_family(headers, "X-RateLimit", wall), _of_family(headers, "RateLimit", wall)]
    said += _of_draft(headers)
    return min((one for one in said if one is not None), key=_share, default=None)


def _share(one: Allowance) -> tuple[float, int]:
    return (one.remaining / one.limit if one.limit else 1.0, one.remaining)


def _of_family(headers: Mapping[str, str], family: str, wall: float) -> Allowance | None:
    remaining = _number(headers.get(f"{family}-Remaining", ""))
    if remaining is None:
        return None
    limit, reset = _number(headers.get(f"{family}-Limit", "")), _number(headers.get(f"{family}-Reset", ""))
    if reset is not None and reset > _MILLISECONDS:
        reset = reset // 1000
    seconds = WINDOW_S if reset is None else reset - wall if reset > _CALENDAR else float(reset)
    return Allowance(remaining, limit, _bounded(seconds))


def _of_draft(headers: Mapping[str, str]) -> list[Allowance | None]:
    """One for each policy; the older form is a single one, spread over several members."""
    text = headers.get("RateLimit", "")
    whole = dict(_PARAMETER.findall(text))
    if "remaining" in whole:
        return [_of_parameters(whole, "remaining", "limit", "reset", whole)]
    quotas = {_name(one): dict(_PARAMETER.findall(one)) for one in _members(headers, "RateLimit-Policy")}
    found = []
    for member in _members(headers, "RateLimit"):
        found.append(
            _of_parameters(dict(_PARAMETER.findall(member)), "r", "q", "t", quotas.get(_name(member), {}))
        )
    return found


def _of_parameters(
    said: Mapping[str, str], remaining: str, limit: str, reset: str, policy: Mapping[str, str]
) -> Allowance | None:
    if remaining not in said:
        return None
    quota = int(policy[limit]) if limit in policy else None
    return Allowance(int(said[remaining]), quota, _bounded(float(said.get(reset, WINDOW_S))))


def _members(headers: Mapping[str, str], name: str) -> list[str]:
    return [one for one in headers.get(name, "").split(",") if one.strip()]


def _name(member: str) -> str:
    return member.partition(";")[0].strip().strip('"')


def _number(text: str) -> int | None:
    """The first of a list, as in `100, 100;w=60`."""
    found = _NUMBER.match(text)
    return None if found is None else int(found[1])


def _bounded(seconds: float) -> float:
    return min(LONGEST_S, max(0.0, seconds))


class _Left(msgspec.Struct):
    remaining: int
    limit: int
    until: float


class Rates:
    """By host, what is left. `now`: seconds of a monotonic clock, `wall`: of the calendar.

    `reserve`: the share of a window's requests that is kept for the model's own calls.
    """

    def __init__(self, reserve: float, now: Callable[[], float], wall: Callable[[], float]) -> None:
        self._reserve = reserve
        self._now = now
        self._wall = wall
        self._left: OrderedDict[str, _Left] = OrderedDict()

    def heard(self, host: str, headers: Mapping[str, str]) -> None:
        """A host has answered. Where it names no limit, the most that was left is taken for it."""
        said = allowance(headers, self._wall())
        if said is None:
            return
        before = self._left.pop(host, None)
        seen = max(said.remaining, before.limit if before is not None else 0)
        limit = said.limit if said.limit is not None else seen
        self._left[host] = _Left(said.remaining, limit, self._now() + said.reset_s)
        if len(self._left) > HOSTS:
            self._left.popitem(last=False)

    def sent(self, host: str) -> None:
        """A request goes out: until its answer says how many are left, it is one less."""
        if (left := self._left.get(host)) is not None:
            left.remaining -= 1

    def pause_s(self, host: str) -> float:
        """Until one may be asked ahead; 0: now."""
        left = self._left.get(host)
        if left is None or left.remaining > math.ceil(self._reserve * left.limit):
            return 0.0
        return max(0.0, left.until - self._now())
