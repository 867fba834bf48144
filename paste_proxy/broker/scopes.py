"""Scopes and their epochs: which reads a write makes worthless (DESIGN section 4).

A write bumps the epoch of each of its scopes at its start and at its end. A read may be used only if the
epochs of its scopes are those of its own start and no write on them is open. The scope `*` overlaps all.
"""

from collections import Counter
from collections.abc import Iterable

import msgspec

from paste_proxy.tools.spec import GLOBAL_SCOPE


class Stamp(msgspec.Struct, frozen=True):
    """The epochs of a read's scopes at its start."""

    scopes: frozenset[str]
    epoch: int


class Epochs:
    def __init__(self) -> None:
        self._bumps: Counter[str] = Counter()
        self._total = 0
        self._open: Counter[str] = Counter()

    def begin_write(self, scopes: Iterable[str]) -> None:
        for scope in scopes:
            self._open[scope] += 1
            self._bump(scope)

    def end_write(self, scopes: Iterable[str]) -> None:
        for scope in scopes:
            self._open[scope] -= 1
            if not self._open[scope]:
                del self._open[scope]
            self._bump(scope)

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
        if GLOBAL_SCOPE in scopes or GLOBAL_SCOPE in self._open:
            return True
        return any(scope in self._open for scope in scopes)

    def _bump(self, scope: str) -> None:
        self._bumps[scope] += 1
        self._total += 1

    def _epoch(self, scopes: frozenset[str]) -> int:
        if not scopes:
            return 0
        if GLOBAL_SCOPE in scopes:
            return self._total
        return self._bumps[GLOBAL_SCOPE] + sum(self._bumps[scope] for scope in scopes)


def overlap(one: frozenset[str], other: frozenset[str]) -> bool:
    """Do two sets of scopes have a piece of the world in common?"""
    if not one or not other:
        return False
    return GLOBAL_SCOPE in one or GLOBAL_SCOPE in other or not one.isdisjoint(other)
