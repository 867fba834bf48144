"""What an adapter reads out of an engine's answers: the load now, and what it can do."""

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from paste_proxy.schedule.backends import BackendLoad, PriorityBand


class Reading(msgspec.Struct, frozen=True):
    """One answer of an endpoint that tells the load. Capacities are 0 where it does not say them."""

    load: BackendLoad
    kv_tokens: int = 0
    running: int = 0
    """Requests that it runs at once, at most."""


ReadLoad: TypeAlias = Callable[[bytes], Reading | None]
"""None where the answer tells no load."""


class LoadSource(msgspec.Struct, frozen=True):
    """An endpoint that may tell the load, and how its answer is read."""

    path: str
    read: ReadLoad


class ServerInfo(msgspec.Struct, frozen=True):
    """What an engine says of how it was started. 0, None or empty: it does not say."""

    version: str = ""
    kv_tokens: int = 0
    running: int = 0
    ranks: int = 1
    """Of data parallelism: each holds as much."""
    policy: str = ""
    band: PriorityBand | None = None
    """Priorities that it was verified to order requests by, without pre-empting any."""
    why_no_band: str = ""
    """What to change to have one."""
    cache_report: bool | None = None
    session_radix: bool = False
