"""Which value fills a slot: candidates from a closed set of extractors, ranked by learnt weights (PASTE's f).

The ranking is log-linear: each candidate has a few features, of its slot and shared by all slots; its chance
grows with the sum of their weights. "None of them" is a candidate of its own. Weights are learnt online by
AdaGrad steps on the value that was right. Features are shapes: where the value stood, its place among the
unused items there, how it was used before; none is a value, but for learnt constants.
"""

import math
from collections.abc import Hashable, Sequence
from itertools import repeat
from typing import TypeAlias

from paste_proxy.predict.adagrad import Weights
from paste_proxy.predict.extractors import Extractors, Found
from paste_proxy.predict.ledger import SHARED, TOTAL, Ledger
from paste_proxy.predict.memory import Memory, Place, Source, Value
from paste_proxy.predict.symbols import Slot
from paste_proxy.predict.values import Key, bucket

STEP = 0.4
"""AdaGrad's step: of 0.05 to 0.4 the best on the traces' training folds."""
SHARED_STEP = 0.12
"""A third of it for weights that all slots share, since each moves them."""
HOPE = 2.0
"""Times the share that was proposed so far: a slot must be tried for it to grow."""
CLEAR = 2e-3
"""Errors below teach nothing."""

Features: TypeAlias = tuple[list[Hashable], list[Hashable]]
"""Of the slot, and shared."""


class Filled:
    """The candidates of a slot with their chances; the last chance is that of none of them."""

    __slots__ = ("chances", "features", "keys")

    def __init__(self, keys: list[Key], features: list[Features], chances: list[float]) -> None:
        self.keys = keys
        self.features = features
        self.chances = chances

    def best(self, most: int) -> list[tuple[float, Key]]:
        pairs = list(zip(self.chances, self.keys, strict=False))
        pairs.sort(key=_chance, reverse=True)
        return pairs[:most]


class Filling:
    def __init__(self, ledger: Ledger, extractors: Extractors, without: frozenset[str] = frozenset()) -> None:
        self._ledger = ledger
        self._shared = "shared weights" not in without
        self._extractors = extractors

    def fill(self, memory: Memory, slot: Slot, after: Hashable) -> Filled:
        """`after`: what was asked for last, and whether the user spoke since."""
        found = self._extractors.candidates(memory, slot)
        features = _features(memory, slot, after, found)
        none: list[Hashable] = ["none", ("none", min(len(features), 3)), ("none", slot in memory.last)]
        features.append(([*none, ("none after", after)], none))
        own = self._ledger.find("weights", slot) or {}
        shared = (self._ledger.find(SHARED, "weights") if self._shared else None) or {}
        zero = repeat(0.0)
        scores = [sum(map(own.get, mine, zero)) + sum(map(shared.get, ours, zero)) for mine, ours in features]
        return Filled(list(found.values), features, _softmax(scores))

    def hope(self, slot: Slot) -> float:
        """Above the share of the slot's values that some extractor proposed: queries and texts have hardly any,
        and need not be tried."""
        counts = self._ledger.find("proposed", slot) or {}
        return min(1.0, HOPE * (counts.get(True, 0.0) + 1) / (counts.get(TOTAL, 0.0) + 1))

    def learn(self, slot: Slot, filled: Filled, right: Key) -> None:
        target = filled.keys.index(right) if right in filled.keys else len(filled.keys)
        self._ledger.count("proposed", slot, target < len(filled.keys))
        own = Weights(self._ledger, "weights", "squares", slot)
        shared = Weights(self._ledger, SHARED, "shared squares", "weights")
        for number, (mine, ours) in enumerate(filled.features):
            error = filled.chances[number] - (number == target)
            if abs(error) > CLEAR:
                own.move(mine, error, STEP, {})
                shared.move(ours, error, SHARED_STEP, {})


def _features(memory: Memory, slot: Slot, after: Hashable, found: Found) -> list[Features]:
    """More (masks, how often it was used, the extractor's own) were tried, and gave nothing on the traces."""
    last = memory.last.get(slot)
    before = memory.values.get(last) if last is not None else None
    latest = before.used[slot] if before is not None and slot in before.used else -1
    ranks = _ranks(slot, found)
    sibling = bool(memory.asked) and memory.asked[-1] == slot.symbol
    calls, newest, constants = memory.calls, memory.newest, found.constants
    features: list[Features] = []
    for key, value in found.values.items():
        use, source = value.used.get(slot), value.stood
        used = 0 if use is None else 2 if use == latest else 1
        mine: list[Hashable] = [("kinds", value.kinds, used), ("often", min(value.count, 4))]
        ours: list[Hashable] = [("how", found.how[key], used)]
        if source is not None:
            at, rank = value.places[source], ranks.get(key, -1)
            age, fresh, follows = (
                bucket(calls - at.call),
                at.clock == newest.get(source),
                _follows(before, source, at),
            )
            mine += [
                ("stood", source, rank, used),
                ("age", source, age, fresh),
                ("after", after, source, used),
                ("next", follows, rank),
            ]
            ours += [("age", source[0], age, fresh, rank), ("next", follows, rank, sibling)]
        else:
            mine.append(("how", found.how[key], used))
        if use is not None:
            mine.append(("again", bucket((memory.clock - use) // 2)))
        if key in constants:
            mine += [("constant", key), ("constant", key, after)]
        features.append((mine, ours))
    return features


def _ranks(slot: Slot, found: Found) -> dict[Key, int]:
    """Of each value that was not used as this argument yet: its place among such values of its text."""
    lists: dict[tuple[Source, int], list[tuple[int, Key]]] = {}
    for key, value in found.values.items():
        if value.stood is not None and slot not in value.used:
            place = value.places[value.stood]
            lists.setdefault((value.stood, place.clock), []).append((place.position, key))
    ranks: dict[Key, int] = {}
    for items in lists.values():
        items.sort(key=_position)
        for rank, (_, key) in enumerate(items):
            ranks[key] = rank if rank < 4 else 4 if rank < 8 else 5
    return ranks


def _position(item: tuple[int, Key]) -> int:
    return item[0]


def _follows(before: Value | None, source: Source, at: Place) -> int:
    """1: it stands behind the value used last, in the same text; 2: before it; 0: elsewhere."""
    place = before.places.get(source) if before is not None else None
    if place is None or place.clock != at.clock:
        return 0
    return 1 if at.position > place.position else 2


def _softmax(scores: Sequence[float]) -> list[float]:
    highest = max(scores)
    powers = [math.exp(score - highest) for score in scores]
    whole = sum(powers)
    return [power / whole for power in powers]


def _chance(item: tuple[float, Key]) -> float:
    return item[0]
