"""Child processes of the demo: each says on its first line that it is ready, and ends with the demo.

Also where that is killed, and can't stop anybody any more: a proxy left behind would disturb all that is
measured after it.
"""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from paste_proxy.errors import LabError

READY_TIMEOUT_S = 60.0
"""Importing everything takes a second or two on an idle core; on a busy machine much longer."""
STOP_TIMEOUT_S = 5.0
LINE_LIMIT = 16 * 1024 * 1024
"""Longest line that a child may say: a task's record is some 10 KB."""
SET_DEATH_SIGNAL = 1
"""`PR_SET_PDEATHSIG` of Linux's `prctl`."""
COMPLAINTS = (" WARNING ", " ERROR ", " CRITICAL ", "Traceback ")


class Child:
    """A running child with pipes; what it logs to its standard error goes to the file `log`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    async def said(self) -> str:
        """The next line that it writes. Raises `LabError` where none comes."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise self._failed(f"said nothing for {READY_TIMEOUT_S:g} s") from None
        if not line:
            raise self._failed("ended before it was ready")
        return line.decode().strip()

    async def answers(self, told: bytes) -> AsyncIterator[bytes]:
        """Tell it `told`, and give each line that it says until its end. Raises `LabError` where it failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError, ConnectionResetError):  # it is over: why, it has said
            self._process.stdin.write(told)
            await self._process.stdin.drain()
        self._process.stdin.close()
        async for line in self._process.stdout:
            yield line
        if await self._process.wait() != 0:
            raise self._failed("did not finish")

    def complaints(self) -> list[str]:
        """The lines of its log that speak of something wrong."""
        return [f"{self.name}: {line}" for line in self._lines() if any(word in line for word in COMPLAINTS)]

    def _failed(self, what: str) -> LabError:
        lines = [line for line in self._lines() if line.strip()]
        return LabError(f"{self.name} {what}: {lines[-1] if lines else 'it left no word'}", param=self.name)

    def _lines(self) -> list[str]:
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines()


@asynccontextmanager
async def child(name: str, command: Sequence[str], folder: Path) -> AsyncIterator[Child]:
    """Run `command` as long as the block lasts; its log is in `folder`. Stopped politely first."""
    log = folder / f"{name.replace(' ', '-')}.log"
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            limit=LINE_LIMIT,
            preexec_fn=ending_with_us(),
        )
    try:
        yield Child(name, process, log)
    finally:
        await _stop(process)


def ending_with_us() -> Callable[[], None] | None:
    """What a new process has to do first, so that the system kills it when we end, however we do. None where no
    system does that: Linux alone. It asks nothing of Python that another thread may have locked."""
    if sys.platform != "linux":
        return None
    prctl, us = ctypes.CDLL(None).prctl, os.getpid()

    def end_with_us() -> None:
        prctl(SET_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != us:  # we were gone before it could say so
            os._exit(1)

    return end_with_us


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def module(name: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a module of this package with this Python."""
    return (sys.executable, "-m", name, *arguments)
