"""A bounded pool of worker processes: started when needed, kept warm, killed on cancel, and replaced."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from paste_proxy.errors import ToolError
from paste_proxy.tasks import TaskSet
from paste_proxy.tools.ports import Output, RunClass
from paste_proxy.tools.process import Worker, WorkerDiedError, start_worker
from paste_proxy.tools.wire import Request, decode_reply, encode_request

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
        self._workers: set[Worker] = set()
        self._starting = 0
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

        `begun` is called when a worker has the request.
        """
        data = encode_request(request)
        worker = await self._borrow(_Waiting(run, run_class, request.tool))
        try:
            kind, body = await worker.ask(data, begun)
        except WorkerDiedError as error:
            self._discard(worker)
            why = "the proxy is shutting down" if self._closed else "its worker process died"
            status = await worker.reap()
            raise ToolError(f"{request.tool}: {why} (exit status {status})", param=request.tool) from error
        except BaseException:
            self._discard(worker)
            raise
        finally:
            del self._lent[run]
        worker.tools.add(request.tool)
        self._put_back(worker)
        return decode_reply(kind, body)

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
        wanted = sum(not waiting.worker.done() for waiting in self._waiting) - self._starting
        room = self._size - len(self._workers) - self._starting
        for _ in range(min(wanted, room)):
            self._starting += 1
            self._keep(self._tasks.spawn(self._start(), name="start worker process"))

    def _next(self) -> _Waiting | None:
        """The oldest of the most urgent class; a cancelled one only waits for its task to notice."""
        waiting = [waiting for waiting in self._waiting if not waiting.worker.done()]
        return min(waiting, key=lambda waiting: waiting.run_class, default=None)

    def _pick(self, tool: str) -> Worker | None:
        """An idle worker, best one that knows the tool, else the one used last; drops those that died idle."""
        for worker in [worker for worker in self._idle if not worker.alive]:
            self._discard(worker)
        if not self._idle:
            return None
        best = max(range(len(self._idle)), key=lambda index: (tool in self._idle[index].tools, index))
        return self._idle.pop(best)

    async def _start(self) -> None:
        try:
            worker = await start_worker(lowered=self._lowered)
        except OSError as error:
            self._starting -= 1
            if (waiting := self._next()) is not None:
                _fail(waiting, f"{waiting.tool}: no worker process could be started: {error}")
            return
        self._starting -= 1
        self._workers.add(worker)
        self._put_back(worker)

    def _put_back(self, worker: Worker) -> None:
        if self._closed:
            self._discard(worker)
        elif worker in self._workers:
            worker.settle_priority()
            self._idle.append(worker)
            self._dispatch()

    def _discard(self, worker: Worker) -> None:
        """Kill it and make room for another; what remains of it is reaped in the background."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        worker.kill()
        self._keep(self._tasks.spawn(worker.reap(), name=f"reap worker process {worker.pid}"))
        self._dispatch()

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


def _fail(waiting: _Waiting, why: str) -> None:
    if not waiting.worker.done():
        waiting.worker.set_exception(ToolError(why, param=waiting.tool))
