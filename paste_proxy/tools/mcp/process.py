"""A server that is a process of ours: lines of JSON on its stdin and stdout, what it says on stderr to the log.

Not the SDK's stdio client: that has no bound on a line, so one server could fill the proxy's memory.
"""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence

from mcp.client.stdio import get_default_environment

from paste_proxy.tasks import TaskSet
from paste_proxy.tools.mcp.stderr import StderrLines

log = logging.getLogger(__name__)

LINE_LIMIT = 24 * 1024 * 1024
"""Bytes of one message: the largest result that a tool may have, escaped, and its envelope."""
READ_SIZE = 64 * 1024
"""A pipe's own size on Linux."""
EXIT_GRACE_S = 2.0
"""For a server to end when its stdin does, as the specification (2025-11-25, Lifecycle, Shutdown) has it."""
TERM_GRACE_S = 2.0
"""From SIGTERM to SIGKILL."""
REAP_S = 1.0
"""From SIGKILL to its end, of which the kernel tells within milliseconds."""


class ServerFailedError(Exception):
    """The connection to a server is of no more use; says why."""


class ServerProcess:
    """Made by `start`; `stop` must be called."""

    def __init__(self, label: str, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._label = label
        self._process = process
        self._stdin, self._stdout = process.stdin, process.stdout
        self._said = StderrLines()
        self._tasks = TaskSet()
        self._tasks.spawn(self._listen(process.stderr), name=f"stderr of {label}")

    @property
    def pid(self) -> int:
        return self._process.pid

    async def lines(self) -> AsyncIterator[bytes]:
        """Its messages, until it ends. Raises `ServerFailedError` for one that is too long.

        A line that can be no message, such as one that was printed, goes where stderr's go.
        """
        buffer = bytearray()
        while data := await self._stdout.read(READ_SIZE):
            looked = len(buffer)
            buffer += data
            while (end := buffer.find(b"\n", looked)) >= 0:
                line = bytes(buffer[:end])
                del buffer[: end + 1]
                looked = 0
                if line.lstrip()[:1] == b"{":
                    yield line
                else:
                    self._tell(line + b"\n")
            if len(buffer) > LINE_LIMIT:
                raise ServerFailedError(f"it sent a message of more than {LINE_LIMIT} bytes")

    async def write(self, line: bytes) -> None:
        """One message, without its line end. Raises `OSError` where nobody reads any more."""
        self._stdin.write(line + b"\n")
        await self._stdin.drain()

    async def why_it_ended(self) -> str:
        """Once it has closed its stdout."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EXIT_GRACE_S):
                await self._process.wait()
        code = self._process.returncode
        if code is None:
            return "it closed its output"
        how = f"it was ended by {_signal_name(-code)}" if code < 0 else f"it ended with code {code}"
        return f"{how}; it last said: {self._said.last}" if self._said.last else how

    async def stop(self) -> None:
        """Ends it, with all processes that it started, if it does not end by itself."""
        self._stdin.close()
        if not await self._ended_within(EXIT_GRACE_S):
            self._signal(signal.SIGTERM)
            await self._ended_within(TERM_GRACE_S)
        self._signal(signal.SIGKILL)  # also to children that outlived it
        await reaped(self._process)
        await self._tasks.close()

    async def _ended_within(self, seconds: float) -> bool:
        """The output is read on meanwhile: a server that can't write it does not end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await self._stdout.read(READ_SIZE):
                    pass
                await self._process.wait()
                return True
        return self._process.returncode is not None

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def _listen(self, stderr: asyncio.StreamReader) -> None:
        while data := await stderr.read(READ_SIZE):
            self._tell(data)

    def _tell(self, data: bytes) -> None:
        for line in self._said.feed(data, asyncio.get_running_loop().time()):
            log.info("MCP server %s says: %s", self._label, line)


async def reaped(process: asyncio.subprocess.Process) -> int:
    """The exit status of one that was killed. Its pipes are closed, also where what it has left behind, in a
    session of its own, still holds their other ends: nothing public does that, and `wait` may wait for them."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REAP_S):
            await process.wait()
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()
    return process.returncode or 0


async def start_process(
    label: str, command: str, args: Sequence[str], env: Mapping[str, str], cwd: str
) -> ServerProcess:
    """Raises `ServerFailedError`. A session of its own keeps the terminal's Ctrl-C from it."""
    try:
        process = await asyncio.create_subprocess_exec(
            command,
            *args,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**get_default_environment(), **env},
            cwd=cwd or None,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL in a word
        reason = getattr(error, "strerror", None) or str(error)
        raise ServerFailedError(f"{command!r} can't be started in {cwd or '.'!r}: {reason}") from error
    return ServerProcess(label, process)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
