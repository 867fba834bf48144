"""Would a tool see the same values?

Stricter than the proxy's key of a call, which takes 1 for 1.0 where a schema says `number`: a result that was
made with one may read otherwise than one that was made with the other.
"""

from collections.abc import Collection, Mapping
from typing import Any


def alike(one: Mapping[str, Any], other: Mapping[str, Any], inert: Collection[str] = ()) -> bool:
    """The same values of the same types under each name that both have. What only one has is its default."""
    return all(_same(value, other[name]) for name, value in one.items() if name in other and name not in inert)


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
