"""The orders of turns by name. What runs ahead of its call, and calls of tools, are ordered alike in all."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

from paste_proxy.schedule.asked import Asked
from paste_proxy.schedule.joint import JointLane
from paste_proxy.schedule.lanes import Key, Lane, PacedLane
from paste_proxy.schedule.leases import SemaphoreLane

NewLane: TypeAlias = Callable[[Callable[[], int]], Lane]
"""A lane for one backend, by its limit."""

HINT_S = 10.0
"""What a step of a client's priority is worth: it goes before what was asked for so much earlier."""
LENGTH_AGEING = 0.2
GAIN_AGEING = 0.2
"""Cost that a turn loses in a second of waiting: PASTE's authors' number, and halving or doubling it changed
their results by less than 2 %."""
GAIN_PER_S = 0.9
"""PASTE's weight of hidden tool time."""
LEAST_S = 0.1
"""A turn's work is taken for no less, so that a cheap one is not worth any price."""


def fcfs(asked: Asked) -> float:
    return asked.place.at - HINT_S * asked.priority


def length(asked: Asked) -> float:
    """The shortest first."""
    return asked.seconds + LENGTH_AGEING * fcfs(asked)


def plas(asked: Asked) -> float:
    """Least attained service first, per session (Autellix). A session that waits attains nothing: one second
    of service weighs as much as one of waiting, so that none waits for ever."""
    return asked.served_s + fcfs(asked)


def paste(asked: Asked) -> float:
    """Exposed tool gain over pressure, with ageing. What the memory is used is the same for all that wait."""
    gain = GAIN_PER_S * asked.gain_s / max(asked.seconds, LEAST_S)
    return GAIN_AGEING * fcfs(asked) - gain


ORDERS: Mapping[str, Key] = {"length": length, "plas": plas, "paste": paste}
NAMED = ("fcfs", *ORDERS, "joint")
"""And `semaphore:N`. `config_bounds.PolicyName` has the same."""
SEMAPHORE = re.compile(r"semaphore:([1-9][0-9]{0,5})")


def is_policy(name: str) -> bool:
    return name in NAMED or SEMAPHORE.fullmatch(name) is not None


def lanes_of(policy: str, share: Callable[[str], float]) -> NewLane:
    """`share`: of a tenant. Raises `KeyError` for a policy that there is not."""
    if policy == "joint":
        return partial(JointLane, share=share, hint_s=HINT_S)
    if policy == "fcfs":
        return partial(Lane, fcfs)
    if (gate := SEMAPHORE.fullmatch(policy)) is not None:
        return partial(SemaphoreLane, fcfs, places=int(gate[1]))
    return partial(PacedLane, ORDERS[policy])
