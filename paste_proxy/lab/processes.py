"""Child processes of the demo: each says on its first lines that it is ready, and ends with the demo."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from paste_proxy.errors import LabError

READY_TIMEOUT_S = 30.0
"""Importing everything takes a second or two on an idle core."""
STOP_TIMEOUT_S = 5.0


@asynccontextmanager
async def child(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A child with pipes; its standard error is ours. Stopped at the end of the block, politely first."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
        limit=LINE_LIMIT,
    )
    try:
        yield process
    finally:
        await stop(process)


LINE_LIMIT = 16 * 1024 * 1024
"""Longest line that a child may say: a task's record is some 10 KB."""


async def stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def said(process: asyncio.subprocess.Process, name: str) -> str:
    """The next line that a child writes. Raises `LabError` where none comes."""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            line = await process.stdout.readline()
    except TimeoutError:
        raise LabError(f"{name} said nothing for {READY_TIMEOUT_S:g} s", param=name) from None
    if not line:
        raise LabError(f"{name} ended before it was ready; its reason stands above", param=name)
    return line.decode().strip()


def module(name: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a module of this package with this Python."""
    return (sys.executable, "-m", name, *arguments)
