"""What the plane counts, as plain integers: `observe/` turns them into metrics."""

import msgspec


class RelayCounters(msgspec.Struct):
    """Counts since start; only ever added to."""

    requests: int = 0
    """Requests relayed or refused, of all kinds."""
    turns: dict[str, int] = {}
    """Requests to an API whose turns are read, by the API's name in lower case."""
    unreadable_requests: int = 0
    """Requests to such an API whose body can't be read: relayed untouched, unknown to the core."""
    untapped_replies: int = 0
    """Replies to turns in a content coding, or of a media type, that the tap does not read."""
    events: int = 0
    """Grammar events read from replies."""
    client_disconnects: int = 0
    """Clients that left before their reply was complete."""
    aborts_sent: int = 0
    closes_sent: int = 0
    """Engines told that a session is over."""
    tap_failures: dict[str, int] = {}
    """Exceptions of the tap, the identity or the runtime, by cause; no request was harmed."""
    backend_errors: dict[str, int] = {}
    """Failures of ours to get a reply from the backend, by error code."""

    def turn(self, api: str) -> None:
        self.turns[api] = self.turns.get(api, 0) + 1

    def backend_error(self, code: str) -> None:
        self.backend_errors[code] = self.backend_errors.get(code, 0) + 1

    def tap_failure(self, cause: str) -> bool:
        """Counts it; true where it is the first of its cause."""
        self.tap_failures[cause] = self.tap_failures.get(cause, 0) + 1
        return self.tap_failures[cause] == 1
