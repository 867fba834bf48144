"""The orders in which an engine takes waiting requests (SGLang 0.5.23, `managers/schedule_policy.py`)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias, TypeVar

from paste_proxy.lab.engine.spec import PolicyName

MATCHED_AT_MOST = 128
"""With more requests waiting SGLang doesn't look for their prefixes any more, and falls back to `fcfs`."""


class Waiting(Protocol):
    """What an order needs of a request."""

    @property
    def arrived(self) -> int:
        """Its place in the order of arrival."""

    @property
    def prefilled_at_arrival(self) -> int:
        """Tokens that the engine had prefilled by then."""

    @property
    def priority(self) -> int: ...

    @property
    def prompt_tokens(self) -> int: ...


One = TypeVar("One", bound=Waiting)
Order: TypeAlias = Callable[[Waiting, int, int], tuple[float, ...]]
"""A request, its cached tokens, and the tokens prefilled by now; lowest first."""


def _longest_prefix(request: Waiting, cached: int, _prefilled: int) -> tuple[float, ...]:
    return (-cached, request.arrived)


def _response_ratio(request: Waiting, cached: int, prefilled: int) -> tuple[float, ...]:
    """Waiting and work are both told in prefilled tokens."""
    work = request.prompt_tokens - cached
    if work <= 0:
        return (float("-inf"), request.arrived)
    return (-(1 + (prefilled - request.prefilled_at_arrival) / work), request.arrived)


def _shortest_prefill(request: Waiting, cached: int, _prefilled: int) -> tuple[float, ...]:
    return (request.prompt_tokens - cached, request.arrived)


_BY_CACHE: Mapping[PolicyName, Order] = {
    "lpm": _longest_prefix,
    "hrrn": _response_ratio,
    "shortest-prefill-first": _shortest_prefill,
}


def ordered(
    policy: PolicyName, waiting: Sequence[One], cached: Callable[[One], int], prefilled: int
) -> Sequence[One]:
    """`waiting`, which is in the order of arrival, as the policy takes it."""
    if policy == "priority":
        return sorted(waiting, key=lambda request: (-request.priority, request.arrived))
    order = _BY_CACHE.get(policy)
    if order is None or len(waiting) > MATCHED_AT_MOST:
        return waiting
    return sorted(waiting, key=lambda request: order(request, cached(request), prefilled))
