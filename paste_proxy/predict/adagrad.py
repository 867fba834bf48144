"""Weights that are learnt online: AdaGrad steps (Duchi, Hazan and Singer, 2011), kept in the ledger."""

import math
from collections.abc import Hashable, Mapping, Sequence

from paste_proxy.predict.ledger import Ledger

START = 0.05
"""Sum of squares to start from, so that the first step is no leap."""


class Weights:
    """Of one group of `section`; `squares` is the section of their sums of squares."""

    def __init__(self, ledger: Ledger, section: str, squares: str, key: Hashable) -> None:
        self._ledger = ledger
        self._section = section
        self._squares = squares
        self._key = key

    def move(
        self, features: Sequence[Hashable], error: float, step: float, before: Mapping[Hashable, float]
    ) -> None:
        """Against `error`, what was stated less what was right. `before`: weights of what was not learnt yet;
        without one they begin at 0."""
        kept = self._ledger.find(self._section, self._key) or {}
        seen = self._ledger.find(self._squares, self._key) or {}
        moved, sums = {}, {}
        for feature in features:
            sums[feature] = seen.get(feature, START) + error * error
            weight = kept.get(feature, before.get(feature, 0.0))
            moved[feature] = weight - step * error / math.sqrt(sums[feature])
        self._ledger.update(self._squares, self._key, sums)
        self._ledger.update(self._section, self._key, moved)
