"""Is a backend well? With hysteresis: one lost packet sends nobody away, one lucky answer nobody back."""

FAILURES = 3
"""Probes unanswered or connections lost, in a row, after which it is down: within ten seconds where nobody
asks, at once where many do."""
ERRORS = 5
"""Replies with 500 and the like in a row. One may be the request's own fault, and so may be its retries: SDKs
send two."""
SUCCESSES = 2
"""Answers in a row after which it is up again: an engine that has just started may answer once and die."""


class Health:
    def __init__(self) -> None:
        self.up = True
        """Until the contrary is known."""
        self.reason = ""
        """Why it is down."""
        self._failures = 0
        self._errors = 0
        self._successes = 0

    def failed(self, reason: str) -> bool:
        """It did not answer, or broke off. True where that makes it one that is down."""
        self._failures += 1
        self._successes = 0
        return self._failures >= FAILURES and self._fall(reason)

    def erred(self, status: int) -> bool:
        """It answered a request with an error of its own."""
        self._errors += 1
        self._successes = 0
        return self._errors >= ERRORS and self._fall(f"{ERRORS} replies in a row with {status} or the like")

    def ruled_out(self, reason: str) -> bool:
        """It answers, but not as what it should be."""
        self._successes = 0
        return self._fall(reason)

    def answered(self, *, probe: bool = False) -> bool:
        """It did as it should. True where that makes it one that is up. What answers probes may still fail all
        requests."""
        self._failures = 0
        self._successes += 1
        if not probe:
            self._errors = 0
        if self.up or self._successes < SUCCESSES:
            return False
        self.up, self.reason, self._errors = True, "", 0
        return True

    def _fall(self, reason: str) -> bool:
        fell, self.up, self.reason = self.up, False, reason
        return fell
