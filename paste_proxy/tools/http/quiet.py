"""Hosts that asked for a rest: nothing is asked of them ahead of the model until it is over.

Calls that the model made go on: their errors are its own business.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

BUSY = frozenset({429, 503})

DEFAULT_S = 30.0
"""Of a host that says no time: a minute's limit is half renewed by then."""
LONGEST_S = 3600.0
"""Of one that names a time far off: it may be a mistake, and costs nothing but running ahead."""
HOSTS = 1024
"""Remembered; the one that was told of longest ago is forgotten first."""


class QuietHosts:
    """`now`: seconds of a monotonic clock; `wall`: of the calendar, which `Retry-After` may name."""

    def __init__(self, now: Callable[[], float], wall: Callable[[], float]) -> None:
        self._now = now
        self._wall = wall
        self._until: OrderedDict[str, float] = OrderedDict()

    def heard(self, host: str, status: int, retry_after: str | None) -> None:
        """A host has answered."""
        if status not in BUSY:
            return
        rest = min(LONGEST_S, max(0.0, self._seconds(retry_after)))
        self._until[host] = max(self._until.pop(host, 0.0), self._now() + rest)
        if len(self._until) > HOSTS:
            self._until.popitem(last=False)

    def rest_s(self, host: str) -> float:
        """How long the host wants to be left alone; 0: it does not."""
        return max(0.0, self._until.get(host, 0.0) - self._now())

    def _seconds(self, retry_after: str | None) -> float:
        """RFC 9110, section 10.2.3: seconds, or a date."""
        text = (retry_after or "").strip()
        if text.isascii() and text.isdigit():
            return float(text[:12])
        moment = http_date(text)
        return DEFAULT_S if moment is None else moment - self._wall()


def http_date(text: str) -> float | None:
    """A date as HTTP writes it, in seconds of the calendar; None where it is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    try:
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, ValueError):
        return None
