"""What is known of a backend when turns are ordered: what it can hold, what it holds, its priorities."""

import msgspec


class PriorityBand(msgspec.Struct, frozen=True):
    """The numbers that a backend was verified to order requests by. Their order is its polarity."""

    soonest: int
    latest: int


class BackendCapacity(msgspec.Struct, frozen=True):
    """What it has room for; 0 or None: not known."""

    kv_tokens: int = 0
    running: int = 0
    """Requests that it runs at once."""
    priority: PriorityBand | None = None
    ranks: int = 1
    """Engines of data parallelism behind its address: each reads prompts, and holds its part of the memory."""
    lets_go: bool = False
    """What it keeps of a session goes first once it was told that the session is over."""


class BackendLoad(msgspec.Struct, frozen=True):
    """What it says of itself, turns of others among it."""

    running: int = 0
    waiting: int = 0
    used_tokens: int = 0
    """Of its KV cache."""
