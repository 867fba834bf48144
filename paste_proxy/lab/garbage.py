"""Fewer searches for cyclic garbage while the lab runs: what it makes lives on, or is freed at once."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG, MIDDLE, OLD = 100_000, 50, 1000
"""Objects before the youngest are searched, and such searches before older ones are. A thousand sessions hold
some million objects; searching them by Python's own thresholds took a fifth to a third of the time."""


@contextmanager
def rare_collections() -> Iterator[None]:
    """For as long as the context lasts."""
    before = gc.get_threshold()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
    try:
        yield
    finally:
        gc.set_threshold(*before)
