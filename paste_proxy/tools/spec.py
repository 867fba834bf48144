"""What the core knows of a tool: data, no code."""

from enum import Enum
from typing import Any

import msgspec

GLOBAL_SCOPE = "*"
"""The scope that overlaps every other: what a tool reads or writes unless it declares something narrower."""

RESULT_LIMIT = 16 * 1024 * 1024
"""Bytes of a result unless the tool declares less: more than any model's context."""


class Effect(Enum):
    """What a tool may do before the model has asked for it (DESIGN section 4). `NEVER` is the default."""

    READ = "read"
    """It is run for real, and its result is kept for the call."""
    WARM = "warm"
    """Only what makes its call faster is run; the call itself always comes fresh."""
    DRY_RUN = "dry_run"
    """Its own mode without effect is run: what that finds out or caches stays, its result serves nobody."""
    NEVER = "never"

    @property
    def prepares(self) -> bool:
        """Whether what runs ahead is something else than the call, and no result of it."""
        return self in (Effect.WARM, Effect.DRY_RUN)


class ToolSpec(msgspec.Struct, frozen=True):
    """A tool's declaration. Times are seconds, sizes bytes."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON schema of the arguments: an object schema with `properties`."""
    effect: Effect = Effect.NEVER
    reads: frozenset[str] = frozenset({GLOBAL_SCOPE})
    writes: frozenset[str] = frozenset({GLOBAL_SCOPE})
    """Empty for a tool with effect `read`."""
    max_age: float = 60.0
    """A staged result is not released later than this after its run started. 60 s: a few long turns."""
    retention: float = 60.0
    """A staged result is kept this long after its run completed."""
    timeout: float = 120.0
    """Of an authoritative run, counted from the call. 120 s: above nearly all look-ups, below SDK timeouts."""
    concurrency: int = 8
    """Runs at once, all classes together."""
    price: float = 0.0
    """Cost of one run, in any one currency; reported, and a reason to speculate less."""
    inert: frozenset[str] = frozenset()
    """Arguments declared to have no influence on the result: left out when calls are compared."""
    volatility: float = 0.0
    """The share of calls whose result may be another when it is run again at once: 0, it is the same."""
    volatile: bool = False
    """It depends on the moment or on chance (a clock, a random number, a cursor, a nonce): never run ahead."""
    consumes: bool = False
    """A run uses something up (marks as read, a link for one use, a server's cursor, an audited access): never
    run ahead."""
    network: bool = False
    """Its arguments leave the house: ahead of the model the egress rule holds (`broker/egress.py`)."""
    result_limit: int = RESULT_LIMIT
    """A larger result is an error."""
    exact: bool = False
    """Calls are compared as they are written, for so they are sent: what a schema says of defaults and numbers
    is a claim of a server then, and would make calls equal that are not."""
    listed: dict[str, Any] | None = None
    """The tool as its MCP server lists it, where there is more to tell MCP clients than is said here."""
    has_fingerprint: bool = False
    """The executor can take a fingerprint of what a call would read: see `ports.Executor.fingerprint`."""


def narrowed(spec: ToolSpec) -> ToolSpec:
    """As it may be treated: what is volatile or consumes is never run ahead, whatever its effect is said to be.
    What only prepares a call may be, since no result of it is kept and nothing is used up."""
    if spec.effect is not Effect.READ or not (spec.volatile or spec.consumes):
        return spec
    writes = spec.writes or frozenset({GLOBAL_SCOPE}) if spec.consumes else spec.writes
    return msgspec.structs.replace(spec, effect=Effect.NEVER, writes=writes)
