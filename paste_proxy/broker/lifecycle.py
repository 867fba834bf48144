"""The life of a speculation as a table (DESIGN section 7). A transition that is not in it is a bug, and raises.

Two rules keep it checkable: everything that moves a speculation is in this file, and nothing here knows why.
`joined` and `promoted` end the speculation, not its run: that belongs to the authoritative call from then on.
"""

from enum import Enum


class State(Enum):
    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    WARM = "warm"
    """What prepares the call has been done; there is no result."""
    REUSED = "reused"
    JOINED = "joined"
    PROMOTED = "promoted"
    WARMED = "warmed"
    """Its call came, and was run."""
    EXPIRED = "expired"
    VOIDED = "voided"
    DISCARDED = "discarded"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Trigger(Enum):
    START = "start"
    """The tool's function begins: it has a slot, and a worker process where it needs one."""
    COMPLETE = "complete"
    """The run gave a result."""
    WARM = "warm"
    """The run has prepared the call, and gave nothing to release."""
    FAIL = "fail"
    """The run gave none."""
    CLAIM = "claim"
    """The model asked for exactly this call."""
    EXPIRE = "expire"
    """Too old, or kept too long."""
    VOID = "void"
    """A write touched what it read."""
    DISCARD = "discard"
    """Not wanted any more: session over, no room."""
    CANCEL = "cancel"
    """Its slot is needed by authoritative work."""


class LifecycleError(AssertionError):
    """A transition that the table does not have."""


TRANSITIONS: dict[tuple[State, Trigger], State] = {
    (State.QUEUED, Trigger.START): State.RUNNING,
    (State.QUEUED, Trigger.CLAIM): State.PROMOTED,
    (State.QUEUED, Trigger.EXPIRE): State.CANCELLED,
    (State.QUEUED, Trigger.VOID): State.CANCELLED,
    (State.QUEUED, Trigger.DISCARD): State.CANCELLED,
    (State.QUEUED, Trigger.CANCEL): State.CANCELLED,
    (State.QUEUED, Trigger.FAIL): State.FAILED,
    (State.RUNNING, Trigger.COMPLETE): State.READY,
    (State.RUNNING, Trigger.WARM): State.WARM,
    (State.RUNNING, Trigger.FAIL): State.FAILED,
    (State.RUNNING, Trigger.CLAIM): State.JOINED,
    (State.RUNNING, Trigger.EXPIRE): State.EXPIRED,
    (State.RUNNING, Trigger.VOID): State.VOIDED,
    (State.RUNNING, Trigger.DISCARD): State.DISCARDED,
    (State.RUNNING, Trigger.CANCEL): State.CANCELLED,
    (State.READY, Trigger.CLAIM): State.REUSED,
    (State.READY, Trigger.EXPIRE): State.EXPIRED,
    (State.READY, Trigger.VOID): State.VOIDED,
    (State.READY, Trigger.DISCARD): State.DISCARDED,
    (State.WARM, Trigger.CLAIM): State.WARMED,
    (State.WARM, Trigger.EXPIRE): State.EXPIRED,
    (State.WARM, Trigger.VOID): State.VOIDED,
    (State.WARM, Trigger.DISCARD): State.DISCARDED,
}

LIVE = frozenset({State.QUEUED, State.RUNNING, State.READY, State.WARM})
SERVED = frozenset({State.REUSED, State.JOINED, State.WARMED})
"""Ends of which a call had something."""


def transition(state: State, trigger: Trigger) -> State:
    """The state after `trigger`. Raises `LifecycleError` where the table has none."""
    try:
        return TRANSITIONS[state, trigger]
    except KeyError:
        raise LifecycleError(f"a {state.value} speculation can't {trigger.value}") from None
