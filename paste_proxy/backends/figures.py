"""Numbers out of answers that may hold anything: what is no plausible figure is not known.

An engine's answers steer what is held back and where turns go, and they come from a program that may be another
one tomorrow: a text, a NaN, a negative or an absurd number must do no more harm than silence.
"""

import re
from collections.abc import Iterator
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

MOST = 10**12
"""More requests or tokens than any engine holds: above it a figure is a slip, such as `sys.maxsize`."""
_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")

Labels = dict[str, str]


def count(value: Any) -> int | None:
    """A number of things; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= MOST else None  # a NaN is nowhere


def share(value: Any) -> float | None:
    """A part of a whole; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None


def samples(exposition: bytes, names: frozenset[str]) -> Iterator[tuple[str, Labels, float]]:
    """The samples of these names in the text format of Prometheus; nothing where it is not that.

    Of thousands of lines (every histogram's buckets) a handful counts: only those are given to the parser,
    which would take 50 ms of the loop for all.
    """
    lines = exposition.decode("utf-8", "replace").splitlines()
    for line in lines:
        found = _NAME.match(line)
        if found is None or found[0] not in names:
            continue
        try:
            families = list(text_string_to_metric_families(line + "\n"))
        except (ValueError, IndexError, KeyError):  # what the parser raises for what is no sample
            continue
        for family in families:
            for sample in family.samples:
                yield found[0], sample.labels, sample.value
