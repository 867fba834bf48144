"""Asks several backends every few seconds whether they are there, so that no request must find out."""

import asyncio

from paste_proxy.proxy.lines import Lines

EVERY_S = 3.0
"""So a backend that died unseen is down within ten seconds; what is asked costs an engine nothing."""


async def watch(lines: Lines) -> None:
    """Until it is cancelled. One backend alone is left in peace: there is no choice to make."""
    while True:
        await asyncio.sleep(EVERY_S)
        if len(lines) > 1:
            await asyncio.gather(*(line.probe() for line in lines))
