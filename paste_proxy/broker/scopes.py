"""Scopes and their epochs: which reads a write makes worthless (DESIGN section 4).

A write bumps the epoch of each of its scopes at its start and at its end. A read may be used only if the
epochs of its scopes are those of its own start and no write on them is open. The scope `*` overlaps all but
what is one session's own: what is written there concerns nobody who does not name it. A write of `*` concerns
everybody.
"""

from collections import Counter
from collections.abc import Iterable

import msgspec

from paste_proxy.tools.spec import GLOBAL_SCOPE

OWN = "own\0"
"""What the scopes begin with that are some session's own. No configuration can name one by accident."""


class Stamp(msgspec.Struct, frozen=True):
    """The epochs of a read's scopes at its start."""

    scopes: frozenset[str]
    epoch: int


class Epochs:
    def __init__(self) -> None:
        self._bumps: Counter[str] = Counter()
        self._shared = 0
        """Bumps of all scopes that are nobody's own."""
        self._open: Counter[str] = Counter()
        self._open_shared = 0
        """Writes open on scopes that are nobody's own."""

    def begin_write(self, scopes: Iterable[str]) -> None:
        for scope in scopes:
            self._open[scope] += 1
            self._open_shared += not is_own(scope)
            self._bump(scope)

    def end_write(self, scopes: Iterable[str]) -> None:
        for scope in scopes:
            self._open[scope] -= 1
            self._open_shared -= not is_own(scope)
            if not self._open[scope]:
                del self._open[scope]
            self._bump(scope)

    def bump(self, scopes: Iterable[str]) -> None:
        """A write began and ended at once, or at some time before."""
        for scope in scopes:
            self._bump(scope)

    def forget(self, scope: str) -> None:
        """Nobody reads or writes it any more."""
        self._bumps.pop(scope, None)

    @property
    def open_scopes(self) -> int:
        return len(self._open)

    def stamp(self, scopes: frozenset[str]) -> Stamp:
        return Stamp(scopes, self._epoch(scopes))

    def is_current(self, stamp: Stamp) -> bool:
        """No write has touched the stamp's scopes since it was taken, and none is open on them."""
        return stamp.epoch == self._epoch(stamp.scopes) and not self.is_open(stamp.scopes)

    def is_open(self, scopes: frozenset[str]) -> bool:
        """Is a write open that overlaps any of `scopes`?"""
        if not self._open or not scopes:
            return False
        if GLOBAL_SCOPE in self._open or (GLOBAL_SCOPE in scopes and self._open_shared):
            return True
        return any(scope in self._open for scope in scopes)

    def _bump(self, scope: str) -> None:
        self._bumps[scope] += 1
        self._shared += not is_own(scope)

    def _epoch(self, scopes: frozenset[str]) -> int:
        if not scopes:
            return 0
        if GLOBAL_SCOPE in scopes:
            return self._shared + sum(self._bumps[scope] for scope in scopes if is_own(scope))
        return self._bumps[GLOBAL_SCOPE] + sum(self._bumps[scope] for scope in scopes)


def is_own(scope: str) -> bool:
    return scope.startswith(OWN)


def overlap(reads: frozenset[str], writes: frozenset[str]) -> bool:
    """Does a write of these scopes touch what is read?"""
    if not reads or not writes:
        return False
    if GLOBAL_SCOPE in writes or not reads.isdisjoint(writes):
        return True
    return GLOBAL_SCOPE in reads and not all(map(is_own, writes))
