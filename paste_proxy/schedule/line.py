"""A line: who waits, in an order, and is found by name.

A list in that order, not a heap: most who come are the last, and to take the head is one look at memory that
no cache has, where a heap takes two on each of its levels. To come in the middle of 10,000 moves 40 KB, in a
few microseconds. Who leaves is forgotten: the entry is passed over when it comes up, or swept out with others.
"""

from bisect import bisect_left, insort
from typing import Any, Generic, TypeAlias, TypeVar

T = TypeVar("T")
Entry: TypeAlias = tuple[Any, ...]
"""Its key, its number, its name and the item. Flat: much of a long line lies in memory that no cache has."""

SWEEP_FROM = 64
"""Entries, from which those of items that left are swept out once they are the larger half: a constant each."""


class WaitingLine(Generic[T]):
    """Items in the order of their keys, the lowest first, equal ones as they came."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        """Of those that wait, by name."""
        self._sorted: list[Entry] = []
        self._first = 0
        """Nobody waits before it there."""
        self._added = 0

    def add(self, name: str, item: T, *key: float) -> None:
        self._added += 1
        entry = self.entries[name] = (*key, self._added, name, item)
        if not self._sorted or self._sorted[-1] < entry:
            self._sorted.append(entry)
        else:
            insort(self._sorted, entry, self._first)

    def move(self, name: str, *key: float) -> None:
        """It has another key from now on, and came when it did."""
        former = self.entries[name]
        del self._sorted[bisect_left(self._sorted, former, self._first)]
        entry = self.entries[name] = (*key, *former[-3:])
        insort(self._sorted, entry, self._first)

    def remove(self, name: str) -> T:
        item: T = self.entries.pop(name)[-1]
        if SWEEP_FROM <= len(self._sorted) > 2 * len(self.entries):
            self._sweep()
        return item

    def find(self, name: str) -> T | None:
        entry = self.entries.get(name)
        return entry[-1] if entry is not None else None

    def head(self) -> T | None:
        waiting = self.entries
        while self._first < len(self._sorted):
            entry = self._sorted[self._first]
            if waiting.get(entry[-2]) is entry:
                item: T = entry[-1]
                return item
            self._first += 1
        return None

    def take(self) -> T:
        """The head leaves."""
        self.head()
        return self.remove(self._sorted[self._first][-2])

    def _sweep(self) -> None:
        entries = self.entries
        self._sorted = [one for one in self._sorted if entries.get(one[-2]) is one]
        self._first = 0
