"""Rate limits of a tenant: token buckets, and a count of what is under way. No clock: the time is passed in.

They count what a tenant asks for, never what runs ahead for it.
"""

import math
from collections.abc import Mapping

from paste_proxy.buckets import Bucket
from paste_proxy.errors import RequestError

WINDOW_S = 60.0


class RateLimitedError(RequestError):
    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, param: str, headers: Mapping[str, str]) -> None:
        super().__init__(message, param=param)
        self.headers = headers


class Quota:
    """So many a minute, from a bucket that holds a minute's worth: what was not used is not lost at once, and
    after a pause a burst passes. 0: as many as come."""

    def __init__(self, what: str, key: str, per_minute: int) -> None:
        """`what` is counted, in the plural; `key` sets the limit."""
        self._what = what
        self._key = key
        self._limit = per_minute
        self._bucket = Bucket(per_minute, WINDOW_S, -math.inf)

    def take(self, now: float) -> None:
        """Raises `RateLimitedError`; the clock may not run backwards."""
        if not self._limit:
            return
        if self._bucket.fill(now) < 1:
            raise self._refusal(self._bucket.wait_s(1))
        self._bucket.left -= 1

    def _refusal(self, wait_s: float) -> RateLimitedError:
        """With the fields of draft-ietf-httpapi-ratelimit-headers-09."""
        wait = math.ceil(wait_s)
        return RateLimitedError(
            f"more than {self._limit} {self._what} a minute ({self._key}): try again in {wait} s",
            param=self._key,
            headers={
                "Retry-After": str(wait),
                "RateLimit-Policy": f'"{self._what}";q={self._limit};w={WINDOW_S:.0f}',
                "RateLimit": f'"{self._what}";r=0;t={wait}',
            },
        )


class AtOnce:
    """So many under way at once. 0: as many as come."""

    def __init__(self, what: str, key: str, limit: int) -> None:
        self._what = what
        self._key = key
        self.limit = limit
        self.busy = 0

    def refusal(self) -> RateLimitedError | None:
        """Of one more. How long to wait is not known: one has to end."""
        if not self.limit or self.busy < self.limit:
            return None
        return RateLimitedError(
            f"{self.busy} {self._what} are under way, as many as {self._key} lets be: wait for one to end",
            param=self._key,
            headers={
                "Retry-After": "1",
                "RateLimit-Policy": f'"{self._what}";q={self.limit};qu="concurrent-requests"',
                "RateLimit": f'"{self._what}";r=0',
            },
        )

    def __enter__(self) -> None:
        self.busy += 1

    def __exit__(self, *_: object) -> None:
        self.busy -= 1
