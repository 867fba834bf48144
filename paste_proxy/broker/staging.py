"""The staging store: results that nobody may see yet, capped per result, per session and overall."""

from collections.abc import Iterator

import msgspec

from paste_proxy.broker.speculation import Speculation


class StagingLimits(msgspec.Struct, frozen=True):
    """Bytes."""

    result: int
    session: int
    total: int


class Staging:
    """Holds ready speculations, oldest first; says which must go to make room."""

    def __init__(self, limits: StagingLimits) -> None:
        self._limits = limits
        self._sessions: dict[str, dict[str, Speculation]] = {}
        self._session_bytes: dict[str, int] = {}
        self._order: dict[str, Speculation] = {}
        self.total_bytes = 0

    def fits(self, size: int) -> bool:
        return size <= min(self._limits.result, self._limits.session, self._limits.total)

    def add(self, speculation: Speculation) -> None:
        session = speculation.key.session
        self._sessions.setdefault(session, {})[speculation.id] = speculation
        self._order[speculation.id] = speculation
        self._account(speculation, +1)

    def remove(self, speculation: Speculation) -> None:
        session = speculation.key.session
        del self._order[speculation.id]
        del self._sessions[session][speculation.id]
        self._account(speculation, -1)
        if not self._sessions[session]:
            del self._sessions[session], self._session_bytes[session]

    def overflow(self, session: str) -> Speculation | None:
        """The result that must go next for the caps to hold: the session's oldest, then the oldest of all."""
        if self._session_bytes.get(session, 0) > self._limits.session:
            return next(iter(self._sessions[session].values()))
        if self.total_bytes > self._limits.total:
            return next(iter(self._order.values()))
        return None

    def __iter__(self) -> Iterator[Speculation]:
        return iter(list(self._order.values()))

    def _account(self, speculation: Speculation, sign: int) -> None:
        size = sign * (speculation.output.size if speculation.output else 0)
        session = speculation.key.session
        self._session_bytes[session] = self._session_bytes.get(session, 0) + size
        self.total_bytes += size
