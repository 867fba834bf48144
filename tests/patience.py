"""How long a test waits for what comes at once: a busy machine may take it a while."""

import asyncio
from collections.abc import Awaitable, Callable

SOON_S = 60.0
"""Only so that nothing hangs for ever: other work may have the machine, and no test is one of speed."""
TRIES = 50
"""Of what other work may slow down, or cram together, now and then; a mistake does each time."""


async def until(true: Callable[[], object], what: str = "") -> None:
    """For what tells nobody when it changes: another process, a thread, a server of its own."""
    try:
        async with asyncio.timeout(SOON_S):
            while not true():  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"not within {SOON_S:g} s: {what or true}") from None


async def quickest(seconds: Callable[[], Awaitable[float]], most: float) -> float:
    """Of many attempts, until one took no more than `most`: other work slows some down, a mistake all."""
    least = float("inf")
    for _ in range(TRIES):
        least = min(least, await seconds())
        if least <= most:
            break
    return least
