"""From hints to the numbers that an engine orders requests by."""

from paste_proxy.schedule.backends import PriorityBand

STEPS = 10
"""Hints go from -10 to 10 (`sessions/hints.py`); 0 is what says nothing."""


def in_band(band: PriorityBand, hint: int) -> int:
    """The middle of the band is where the engine has requests that bring no priority. A hint's size is rounded
    up: the smallest one makes a difference."""
    middle = (band.soonest + band.latest) // 2
    reach = abs(band.soonest - band.latest) // 2
    step = -(-min(abs(hint), STEPS) * reach // STEPS)
    sooner = step if hint > 0 else -step
    return middle + sooner if band.soonest > band.latest else middle - sooner
