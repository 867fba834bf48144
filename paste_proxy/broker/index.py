"""Sets by key, without empty ones: what the broker's indexes are made of."""

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def discard(index: dict[K, set[V]], key: K, value: V) -> None:
    """Take `value` out; nothing happens where it is not there."""
    values = index.get(key)
    if values is not None:
        values.discard(value)
        if not values:
            del index[key]
