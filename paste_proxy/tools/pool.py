"""A bounded pool of worker processes: started in advance, kept warm, killed on cancel, and replaced."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from paste_proxy.errors import ToolError
from paste_proxy.tasks import TaskSet
from paste_proxy.tools.ports import Output, RunClass
from paste_proxy.tools.process import Worker, WorkerDiedError, start_worker
from paste_proxy.tools.wire import ERROR, Request, decode_reply, encode_request

log = logging.getLogger(__name__)


class _Waiting:
    """A run that waits for a worker."""

    def __init__(self, run: str, run_class: RunClass, tool: str) -> None:
        self.run = run
        self.run_class = run_class
        self.tool = tool
        self.worker: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()


class WorkerPool:
    """At most `size` processes; `lowered` ones give way to everything else on the machine."""

    def __init__(self, size: int, *, lowered: bool) -> None:
        self._size = size
        self._lowered = lowered
        self._spares = 0
        self._workers: set[Worker] = set()
        self._processes = 0
        """Those in `_workers`, and those that the system is being asked for."""
        self._starting = 0
        """Processes that are not ready yet; some are in `_workers`, so that `close` can kill them."""
        self._start_failed = False
        self._idle: list[Worker] = []
        self._lent: dict[str, Worker] = {}
        self._waiting: list[_Waiting] = []
        self._tasks = TaskSet()
        self._unfinished: set[asyncio.Task[Any]] = set()
        """Starts and reapings under way; `close` waits for them."""
        self._closed = False
        self._refusal_logged = False

    async def run(self, run: str, run_class: RunClass, request: Request, begun: Callable[[], None]) -> Output:
        """Raises `ToolError`, `InvalidArgumentsError`. Cancelling it kills the process.

        `begun` is called when a worker that has loaded the tool has the request.
        """
        reply = None
        while reply is None:
            reply = await self._try(_Waiting(run, run_class, request.tool), request, begun)
        return decode_reply(*reply)

    async def _try(
        self, waiting: _Waiting, request: Request, begun: Callable[[], None]
    ) -> tuple[bytes, bytes] | None:
        """The reply; None where the worker turned out to be useless before anything was sent to it."""
        worker = await self._borrow(waiting)
        try:
            if not await worker.is_quiet():
                self._discard(worker)
                return None
            reply = await _ask(worker, request, begun)
        except WorkerDiedError as error:
            self._discard(worker)
            why = "the proxy is shutting down" if self._closed else str(error)
            status = await worker.reap()
            raise ToolError(f"{request.tool}: {why} (exit status {status})", param=request.tool) from error
        except BaseException:
            self._discard(worker)
            raise
        finally:
            del self._lent[waiting.run]
        self._put_back(worker)
        return reply

    @property
    def idle(self) -> int:
        """How many processes wait for work."""
        return len(self._idle)

    def keep_spares(self, count: int) -> None:
        """From now on have so many more processes than runs, within the pool's size, idle or starting."""
        self._spares = count
        self._dispatch()

    def promote(self, run: str) -> None:
        """Give a run the priority of an authoritative one, in the queue and in its process."""
        for waiting in self._waiting:
            if waiting.run == run:
                waiting.run_class = RunClass.AUTHORITATIVE
        if run in self._lent:
            self._raise(self._lent[run])

    async def close(self) -> None:
        """Kill every process and wait until none is left."""
        self._closed = True
        for waiting in self._waiting:
            _fail(waiting, "the proxy is shutting down")
        for worker in list(self._workers):
            self._discard(worker)
        while self._unfinished:
            await asyncio.wait(self._unfinished)

    async def _borrow(self, waiting: _Waiting) -> Worker:
        if self._closed:
            _fail(waiting, "the proxy is shutting down")
        self._waiting.append(waiting)
        self._dispatch()
        try:
            return await waiting.worker
        except asyncio.CancelledError:
            if waiting.run in self._lent:
                self._put_back(self._lent.pop(waiting.run))
            raise
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)

    def _dispatch(self) -> None:
        """Lend idle workers to waiting runs, then start as many more as are wanted and allowed."""
        while (waiting := self._next()) is not None and (worker := self._pick(waiting.tool)) is not None:
            self._waiting.remove(waiting)
            self._lent[waiting.run] = worker
            if waiting.run_class is RunClass.AUTHORITATIVE:
                self._raise(worker)
            waiting.worker.set_result(worker)
        if not self._closed:
            self._start_more()

    def _start_more(self) -> None:
        """One process for each waiting run, and spares, unless the last start failed."""
        wanted = sum(not waiting.worker.done() for waiting in self._waiting)
        wanted += 0 if self._start_failed else self._spares
        missing = wanted - self._starting - len(self._idle)
        for _ in range(min(missing, self._size - self._processes)):
            self._processes += 1
            self._starting += 1
            self._keep(self._tasks.spawn(self._start(), name="start worker process"))

    def _next(self) -> _Waiting | None:
        """The oldest of the most urgent class; a cancelled one only waits for its task to notice."""
        waiting = [waiting for waiting in self._waiting if not waiting.worker.done()]
        return min(waiting, key=lambda waiting: waiting.run_class, default=None)

    def _pick(self, tool: str) -> Worker | None:
        """An idle worker, best one that knows the tool, else the one used last; drops those that died idle."""
        for worker in [worker for worker in self._idle if not worker.alive]:
            self._drop(worker)
        if not self._idle:
            return None
        best = max(range(len(self._idle)), key=lambda index: (tool in self._idle[index].tools, index))
        return self._idle.pop(best)

    async def _start(self) -> None:
        try:
            worker = await self._started()
        except (OSError, WorkerDiedError) as error:
            self._starting -= 1
            self._start_failed = True
            self._say_why(error)
            self._dispatch()
        else:
            self._starting -= 1
            self._start_failed = False
            self._put_back(worker)

    async def _started(self) -> Worker:
        try:
            worker = await start_worker(lowered=self._lowered)
        except OSError:
            self._processes -= 1
            raise
        self._workers.add(worker)
        try:
            if self._closed:
                worker.kill()
            await worker.ready()
        except WorkerDiedError:
            self._drop(worker)
            raise
        return worker

    def _say_why(self, error: Exception) -> None:
        """Why no process was started: to the run that waits for it, else to the log."""
        if (waiting := self._next()) is not None:
            _fail(waiting, f"{waiting.tool}: no worker process could be started: {error}")
        elif not self._closed:
            log.warning("no spare worker process could be started: %s", error)

    def _put_back(self, worker: Worker) -> None:
        if self._closed:
            self._discard(worker)
        elif worker in self._workers:
            worker.settle_priority()
            self._idle.append(worker)
            self._dispatch()

    def _discard(self, worker: Worker) -> None:
        """Kill it; where another is wanted, start it now."""
        self._drop(worker)
        self._dispatch()

    def _drop(self, worker: Worker) -> None:
        """Kill it and make room for another; what remains of it is reaped in the background."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        self._processes -= 1
        if worker in self._idle:
            self._idle.remove(worker)
        worker.kill()
        self._keep(self._tasks.spawn(worker.reap(), name=f"reap worker process {worker.pid}"))

    def _raise(self, worker: Worker) -> None:
        if not worker.raise_priority() and not self._refusal_logged:
            self._refusal_logged = True
            log.warning(
                "worker processes can't be raised to normal priority (needs CAP_SYS_NICE or RLIMIT_NICE): "
                "calls that join a running speculation continue at its low priority"
            )

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)


async def _ask(worker: Worker, request: Request, begun: Callable[[], None]) -> tuple[bytes, bytes]:
    """Have the tool loaded and warmed up first: until then its run has not begun."""
    if request.tool not in worker.tools:
        loaded = await worker.ask(encode_request(replace(request, arguments=None)), _not_begun)
        if loaded[0] == ERROR:
            return loaded
        worker.tools.add(request.tool)
    return await worker.ask(encode_request(request), begun)


def _not_begun() -> None:
    """Loading is not the run."""


def _fail(waiting: _Waiting, why: str) -> None:
    if not waiting.worker.done():
        waiting.worker.set_exception(ToolError(why, param=waiting.tool))
