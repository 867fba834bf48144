"""A line: who waits, in an order, and is found by name.

A heap from which nothing is taken but its head: who leaves is forgotten, and the entry is passed over when it
comes up, or swept out with others.
"""

import heapq
from typing import Any, Generic, TypeAlias, TypeVar

T = TypeVar("T")
Entry: TypeAlias = tuple[Any, ...]
"""Its key, its number, its name and the item. Flat: much of a long heap lies in memory that no cache has."""

SWEEP_FROM = 64
"""Entries, from which those of items that left are swept out once they are the larger half: a constant each."""


class Line(Generic[T]):
    """Items in the order of their keys, the lowest first, equal ones as they came."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        """Of those that wait, by name."""
        self._heap: list[Entry] = []
        self._added = 0

    def add(self, name: str, item: T, *key: float) -> None:
        self._added += 1
        entry = self.entries[name] = (*key, self._added, name, item)
        heapq.heappush(self._heap, entry)

    def move(self, name: str, *key: float) -> None:
        """It has another key from now on, and came when it did."""
        former, heap = self.entries[name], self._heap
        entry = self.entries[name] = (*key, *former[-3:])
        if heap[0] is former:
            heapq.heapreplace(heap, entry)
        else:
            heapq.heappush(heap, entry)
            self._sweep()

    def remove(self, name: str) -> T:
        entry, heap = self.entries.pop(name), self._heap
        if heap[0] is entry:
            heapq.heappop(heap)
        else:
            self._sweep()
        item: T = entry[-1]
        return item

    def _sweep(self) -> None:
        if SWEEP_FROM <= len(self._heap) > 2 * len(self.entries):
            self._heap = list(self.entries.values())
            heapq.heapify(self._heap)

    def find(self, name: str) -> T | None:
        entry = self.entries.get(name)
        return entry[-1] if entry is not None else None

    def head(self) -> T | None:
        heap, entries = self._heap, self.entries
        while heap:
            entry = heap[0]
            if entries.get(entry[-2]) is entry:
                item: T = entry[-1]
                return item
            heapq.heappop(heap)
        return None

    def take(self) -> T:
        """The head leaves."""
        entry = heapq.heappop(self._heap)
        while self.entries.get(entry[-2]) is not entry:
            entry = heapq.heappop(self._heap)
        del self.entries[entry[-2]]
        item: T = entry[-1]
        return item
