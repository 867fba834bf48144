"""The orders in which an engine takes waiting requests (SGLang 0.5.23, `managers/schedule_policy.py`)."""

from collections.abc import Callable, Mapping, Sequence

from paste_proxy.lab.engine.requests import Tracked
from paste_proxy.lab.engine.spec import PolicyName

MATCHED_AT_MOST = 128
"""With more requests waiting SGLang looks for no prefixes under `lpm` and `hrrn`: they go as they came."""

Cached = Callable[[Tracked], int]
"""Prompt tokens of a request that are in the prefix cache."""
Order = Callable[[Tracked, int, int], float]
"""A request, its cached tokens, and the tokens prefilled by now; lowest first, ties as they came."""


def _longest_prefix(_request: Tracked, cached: int, _prefilled: int) -> float:
    return -cached


def _response_ratio(request: Tracked, cached: int, prefilled: int) -> float:
    """Waiting and work are both told in prefilled tokens. What came before counts as no work."""
    work = request.ends[-1] - cached
    return -(prefilled - request.prefilled_at_arrival) / work if work > 0 else float("-inf")


def _shortest_prefill(request: Tracked, cached: int, _prefilled: int) -> float:
    return max(1, request.tokens - cached)


_BY_CACHE: Mapping[PolicyName, Order] = {
    "lpm": _longest_prefix,
    "hrrn": _response_ratio,
    "shortest-prefill-first": _shortest_prefill,
}


def looks_for_prefixes(policy: PolicyName, waiting: int) -> bool:
    """With so many requests waiting."""
    return policy in _BY_CACHE and (waiting <= MATCHED_AT_MOST or policy == "shortest-prefill-first")


def ordered(
    policy: PolicyName, waiting: Sequence[Tracked], cached: Cached, prefilled: int
) -> Sequence[Tracked]:
    """`waiting`, which is in the order of arrival, as the policy takes it."""
    if policy == "priority":
        return sorted(waiting, key=lambda request: -request.priority)
    if not looks_for_prefixes(policy, len(waiting)):
        return tuple(waiting)
    order = _BY_CACHE[policy]
    return sorted(waiting, key=lambda request: order(request, cached(request), prefilled))
