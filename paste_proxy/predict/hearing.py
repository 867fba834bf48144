"""What the model says before it asks: a value that its text names is likelier than before (evidence level 1).

Counted: how often the right value was named in the turn's text, and how often a wrong candidate was. Their
ratio is the odds that a mention adds; of an argument, backed by those of all arguments.
"""

from collections.abc import Hashable

from paste_proxy.predict.ledger import TOTAL, Ledger
from paste_proxy.predict.symbols import Slot

PRIOR = 8.0
"""Candidates that the shares of all slots count for in one slot."""
NAMED_RIGHT, NAMED_WRONG = 0.3, 0.1
"""Before anything is learnt: in agents with visible reasoning 35-59 % of calls have their values in it."""


class Hearing:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def learn(self, slot: Slot, *, right: bool, named: bool) -> None:
        for who in (slot, None):
            self._ledger.count("mentions", (who, right), named)

    def odds(self, slot: Slot, *, named: bool) -> float:
        """By what the odds of a candidate change once the text is known to name it, or not to."""
        right, wrong = self._share(slot, NAMED_RIGHT, right=True), self._share(slot, NAMED_WRONG, right=False)
        return right / wrong if named else (1 - right) / (1 - wrong)

    def _share(self, slot: Slot, before: float, *, right: bool) -> float:
        share = before
        keys: tuple[Hashable, ...] = ((None, right), (slot, right))
        for key in keys:
            counts = self._ledger.find("mentions", key) or {}
            share = (counts.get(True, 0.0) + PRIOR * share) / (counts.get(TOTAL, 0.0) + PRIOR)
        return share
