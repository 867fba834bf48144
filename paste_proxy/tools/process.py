"""One worker process as the proxy sees it: wait until it is ready, ask, kill, reap."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable

from paste_proxy.tools import priority
from paste_proxy.tools.wire import HEADER, NONCE_BYTES, REQUEST, frame

_DIED = "its worker process died"


class WorkerDiedError(Exception):
    """There is no reply, or a wrong one; says why. The process is of no more use."""


class Worker:
    """A started worker process; answers one request at a time."""

    def __init__(self, process: asyncio.subprocess.Process, *, lowered: bool) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._lowered = lowered
        self._raised = not lowered
        self.tools: set[str] = set()
        """Tools it has run, and so has loaded."""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, request: bytes, sent: Callable[[], None]) -> tuple[bytes, bytes]:
        """Send a request's body; the reply's kind and body. Raises `WorkerDiedError`.

        `sent` is called when the request is on its way.
        """
        nonce = os.urandom(NONCE_BYTES)
        try:
            self._stdin.write(frame(REQUEST, nonce, request))
            await self._stdin.drain()
        except OSError as error:
            raise WorkerDiedError(_DIED) from error
        sent()
        return await self._reply(nonce)

    async def ready(self) -> None:
        """Wait until it has started. Raises `WorkerDiedError`."""
        await self._reply(bytes(NONCE_BYTES))

    async def is_quiet(self) -> bool:
        """Whether an idle worker has neither ended nor said anything, as a tool's child may in its name."""
        try:
            async with asyncio.timeout(0):
                await self._stdout.read(1)
        except TimeoutError:
            return True
        return False

    async def _reply(self, nonce: bytes) -> tuple[bytes, bytes]:
        try:
            kind, echoed, length = HEADER.unpack(await self._stdout.readexactly(HEADER.size))
            if echoed != nonce:
                raise WorkerDiedError("its worker process answered what it was not asked, and was ended")
            return kind, await self._stdout.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise WorkerDiedError(_DIED) from error

    def kill(self) -> None:
        """End it at once, with all processes that its tool started."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def reap(self) -> int:
        """Wait for the end of the process; its exit status, negative for a signal."""
        status = await self._process.wait()
        self._stdin.close()
        return status

    def raise_priority(self) -> bool:
        """To the proxy's own; False where the system does not permit it."""
        if not self._raised:
            self._raised = priority.restore(self.pid)
        return self._raised

    def settle_priority(self) -> None:
        """Back to what it was started with."""
        if self._lowered and self._raised:
            priority.lower(self.pid)
            self._raised = False


async def start_worker(*, lowered: bool) -> Worker:
    """Raises `OSError` where the system has no room for another process.

    A session of its own keeps the terminal's Ctrl-C from it, and lets `kill` reach its children.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "paste_proxy.tools.worker", str(os.getpid())),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    if lowered:
        priority.lower(process.pid)
    return Worker(process, lowered=lowered)
