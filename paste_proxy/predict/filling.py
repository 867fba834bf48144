"""Which value fills a slot: candidates from a closed set of extractors, ranked by learnt weights (PASTE's f).

The ranking is log-linear: each candidate has a few features, of its slot and shared by all slots; its chance
grows with the sum of their weights. "None of them" is a candidate of its own. Weights are learnt online by
AdaGrad steps on the value that was right.
"""

import math
from collections.abc import Hashable, Sequence
from operator import itemgetter

from paste_proxy.predict.adagrad import Weights
from paste_proxy.predict.extractors import Extractors
from paste_proxy.predict.ledger import SHARED, TOTAL, Ledger
from paste_proxy.predict.memory import Memory
from paste_proxy.predict.symbols import Slot
from paste_proxy.predict.values import Key
from paste_proxy.predict.worth import Looked, Own, Shared

STEP = 0.4
"""AdaGrad's step: of 0.05 to 0.4 the best on the traces' training folds."""
SHARED_STEP = 0.12
"""A third of it for weights that all slots share, since each moves them."""
HOPE = 2.0
"""Times the share that was proposed so far: a slot must be tried for it to grow."""
CLEAR = 2e-3
"""Errors below teach nothing."""

SLOTS = 256
"""Slots whose weights are at hand, ten kilobytes each: an agent has some tens of tools, of a few arguments."""


class Filled:
    """The candidates of a slot with their chances; the last chance is that of none of them."""

    __slots__ = ("chances", "keys", "looked")

    def __init__(self, keys: list[Key], chances: list[float], looked: Looked | None = None) -> None:
        self.keys = keys
        self.chances = chances
        self.looked = looked
        """What it can be learnt from by."""

    def best(self, most: int) -> list[tuple[float, Key]]:
        pairs = list(zip(self.chances, self.keys, strict=False))
        pairs.sort(key=itemgetter(0), reverse=True)
        return pairs[:most]


class Filling:
    def __init__(self, ledger: Ledger, extractors: Extractors, without: frozenset[str] = frozenset()) -> None:
        self._ledger = ledger
        self._shares = "shared weights" not in without
        self._extractors = extractors
        self._own: dict[Slot, Own] = {}
        self._shared: Shared | None = None

    def fill(self, memory: Memory, slot: Slot, after: Hashable) -> Filled:
        """`after`: what was asked for last, and whether the user spoke since."""
        looked = Looked(memory, slot, after, self._extractors.candidates(memory, slot))
        scores = looked.worth(self._own_of(slot), self._shared_now())
        return Filled(list(looked.found.values), _softmax(scores), looked)

    def _own_of(self, slot: Slot) -> Own:
        """As long as its group is not forgotten. All who learn tell it what moved."""
        group = self._ledger.find("weights", slot)
        own = self._own.get(slot)
        if own is None or (own.group is not group and (group is not None or own.group)):
            own = self._own[slot] = Own({} if group is None else group)
            if len(self._own) > SLOTS:
                del self._own[next(iter(self._own))]
        return own

    def _shared_now(self) -> Shared:
        group = self._ledger.common.find(SHARED, "weights") if self._shares else None
        shared = self._shared
        if shared is None or (shared.group is not group and (group is not None or shared.group)):
            shared = self._shared = Shared({} if group is None else group)
        return shared

    def hope(self, slot: Slot) -> float:
        """Above the share of the slot's values that some extractor proposed: queries and texts have hardly any,
        and need not be tried."""
        counts = self._ledger.find("proposed", slot) or {}
        return min(1.0, HOPE * (counts.get(True, 0.0) + 1) / (counts.get(TOTAL, 0.0) + 1))

    def learn(self, slot: Slot, filled: Filled, right: Key) -> None:
        target = filled.keys.index(right) if right in filled.keys else len(filled.keys)
        self._ledger.count("proposed", slot, target < len(filled.keys))
        if (looked := filled.looked) is None:
            return
        own = Weights(self._ledger, "weights", "squares", slot)
        shared = Weights(self._ledger.common, SHARED, "shared squares", "weights")
        moved: tuple[dict[Hashable, None], dict[Hashable, None]] = {}, {}
        for number, chance in enumerate(filled.chances):
            error = chance - (number == target)
            if abs(error) > CLEAR:
                mine, ours = looked.features(number)
                own.move(mine, error, STEP, {})
                moved[0].update(dict.fromkeys(mine))
                if self._shares:
                    shared.move(ours, error, SHARED_STEP, {})
                    moved[1].update(dict.fromkeys(ours))
        self._own_of(slot).learnt(moved[0])
        self._shared_now().learnt(moved[1])


def _softmax(scores: Sequence[float]) -> list[float]:
    highest = max(scores)
    powers = [math.exp(score - highest) for score in scores]
    whole = sum(powers)
    return [power / whole for power in powers]
