"""Several tenants under one load: whose a task is, and what each of them should get.

Fair is max-min: what all together get is split evenly, and who could not use an even part, even with everything
for itself, leaves the rest to the others.
"""

import msgspec

from paste_proxy.errors import ConfigError

MOST_WEIGHT = 1000
"""Weights are places of a pattern that repeats: more of them than places of a load say nothing."""


class Tenant(msgspec.Struct, frozen=True):
    name: str
    weight: int = 1
    """Its part of the load."""


ONE = (Tenant("default"),)


def tenants_in(text: str) -> tuple[Tenant, ...]:
    """`heavy:8,light:1`; without a weight it is 1. Raises `ConfigError`."""
    tenants = tuple(_tenant(part.strip()) for part in text.split(","))
    if len({tenant.name for tenant in tenants}) < len(tenants):
        raise ConfigError(f"{text!r} names a tenant twice", param="tenants")
    return tenants


def _tenant(part: str) -> Tenant:
    name, _, weight = part.partition(":")
    if not name or (weight and not (weight.isdecimal() and 1 <= int(weight) <= MOST_WEIGHT)):
        raise ConfigError(
            f"{part!r} is no tenant with a weight from 1 to {MOST_WEIGHT}, as in heavy:8", param="tenants"
        )
    return Tenant(name, int(weight or 1))


class Split:
    """The load's parts, evenly mixed: by task, and by place of a closed loop."""

    def __init__(self, tenants: tuple[Tenant, ...]) -> None:
        self.names = tuple(tenant.name for tenant in tenants)
        places = [
            ((number + 0.5) / tenant.weight, place, tenant.name)
            for place, tenant in enumerate(tenants)
            for number in range(tenant.weight)
        ]
        self._pattern = [name for _, _, name in sorted(places)]

    def of(self, task: int) -> str:
        """Whose a task, or a place, of that number is."""
        return self._pattern[task % len(self._pattern)]

    def share(self, name: str) -> float:
        """A tenant's part of the load."""
        return self._pattern.count(name) / len(self._pattern)


def fair(wanted: dict[str, float], total: float) -> dict[str, float]:
    """What each should get of `total`: an even part, or what it wants at most."""
    shares: dict[str, float] = {}
    left = total
    for place, name in enumerate(sorted(wanted, key=lambda name: wanted[name])):
        shares[name] = min(wanted[name], left / (len(wanted) - place))
        left -= shares[name]
    return shares
