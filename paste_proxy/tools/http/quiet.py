"""When nothing is asked ahead of the model: of hosts that asked for a rest, and where answers can't be kept.

Calls that the model made go on: their errors are its own business.
"""

from collections import OrderedDict
from collections.abc import Callable

from paste_proxy.tools.moments import http_date

BUSY = frozenset({429, 503})

DEFAULT_S = 30.0
"""Of a host that says no time: a minute's limit is half renewed by then."""
LONGEST_S = 3600.0
"""Of one that names a time far off: it may be a mistake, and costs nothing but running ahead."""
KEYS = 1024
"""Remembered; the one that was told of longest ago is forgotten first."""


class Pauses:
    """By any key, until when. `now`: seconds of a monotonic clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._until: OrderedDict[str, float] = OrderedDict()

    def pause(self, key: str, seconds: float) -> None:
        """A shorter one does not cut the one that there is."""
        self._until[key] = max(self._until.pop(key, 0.0), self._now() + seconds)
        if len(self._until) > KEYS:
            self._until.popitem(last=False)

    def left_s(self, key: str) -> float:
        """How long it still goes on; 0: there is none."""
        return max(0.0, self._until.get(key, 0.0) - self._now())


class QuietHosts(Pauses):
    """Hosts that asked for a rest. `wall`: seconds of the calendar, which `Retry-After` may name."""

    def __init__(self, now: Callable[[], float], wall: Callable[[], float]) -> None:
        super().__init__(now)
        self._wall = wall

    def heard(self, host: str, status: int, retry_after: str | None) -> None:
        """A host has answered."""
        if status in BUSY:
            self.pause(host, min(LONGEST_S, max(0.0, self._seconds(retry_after))))

    def _seconds(self, retry_after: str | None) -> float:
        """RFC 9110, section 10.2.3: seconds, or a date."""
        text = (retry_after or "").strip()
        if text.isascii() and text.isdigit():
            return float(text[:12])
        moment = http_date(text)
        return DEFAULT_S if moment is None else moment - self._wall()
