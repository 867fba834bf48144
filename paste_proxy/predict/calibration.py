"""How often candidates of a stated probability were right: what is said is corrected by what came of it.

Counts by log odds. A candidate's lower bound is Wilson's (1927), on how often its symbol was seen.
"""

import math

from paste_proxy.predict.ledger import Ledger

CONFIDENCE = 1.0
"""Standard deviations from the estimate to its lower bound: five times in six the true share is above it."""
PRIOR = 12.0
"""Candidates that the stated probability itself counts for: strengths of 12 to 20 are usual for such
shrinkage."""
EDGE = 12
"""Bins on either side of even odds, two for each factor of e: below 1 in 400 all are alike."""


class Calibration:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger.common

    def learn(self, stated: float, *, right: bool) -> None:
        self._ledger.count("calibration", _bin(stated), right)

    def estimate(self, stated: float) -> float:
        counts = self._ledger.find("calibration", _bin(stated)) or {}
        wrong, right = counts.get(False, 0.0), counts.get(True, 0.0)
        return (right + PRIOR * stated) / (right + wrong + PRIOR)

    def lower_bound(self, estimate: float, evidence: float) -> float:
        """0 without evidence."""
        if evidence <= 0:
            return 0.0
        z2, share = CONFIDENCE**2, min(max(estimate, 0.0), 1.0)
        spread = math.sqrt(share * (1 - share) / evidence + z2 / (4 * evidence * evidence))
        bound = (share + z2 / (2 * evidence) - CONFIDENCE * spread) / (1 + z2 / evidence)
        return min(share, max(0.0, bound))  # the last bit of a rounded sum may be above it


def _bin(stated: float) -> int:
    stated = min(max(stated, 1e-6), 1 - 1e-6)
    return max(-EDGE, min(EDGE, round(2 * math.log(stated / (1 - stated)))))
