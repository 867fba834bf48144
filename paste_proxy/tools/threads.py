"""Runs blocking work in threads, which can't be stopped: who cancels gets rid of the result, not of the work.

Not a ThreadPoolExecutor: the interpreter waits for its threads at exit, so one hung tool would keep the proxy
from ending; and a run in its queue would count as running. A thread of its own costs a run about 60 us.
"""

import asyncio
import functools
import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from paste_proxy.errors import ToolError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Threads:
    """One daemon thread per run; how many at once is the caller's business."""

    def __init__(self) -> None:
        self._running: set[asyncio.Future[Any]] = set()
        self._closed = False

    async def run(self, name: str, work: Callable[[], T], begun: Callable[[], None] | None = None) -> T:
        """`work` must raise `PasteError`s only; `begun` is called, on the loop, when its thread is started.

        Cancelled, it waits until the thread has ended, so that whoever counts runs counts this one, too. It
        waits no longer when cancelled again, or at `close`.
        """
        if self._closed:
            raise ToolError("the proxy is shutting down")
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        self._running.add(result)
        result.add_done_callback(self._running.discard)
        thread = threading.Thread(target=_work, args=(loop, result, work), name=f"tool {name}", daemon=True)
        if begun is not None:
            begun()
        thread.start()
        try:
            return await asyncio.shield(result)
        except asyncio.CancelledError:
            await asyncio.wait({result})
            raise

    def close(self) -> None:
        """Start no more threads and wait for none; those still at work end with the process."""
        self._closed = True
        for result in list(self._running):
            result.set_exception(ToolError("the proxy is shutting down"))


def _work(loop: asyncio.AbstractEventLoop, result: asyncio.Future[T], work: Callable[[], T]) -> None:
    try:
        settle = functools.partial(_succeed, result, work())
    except BaseException as error:  # noqa: BLE001 - handed over to the loop, whatever it is
        settle = functools.partial(_fail, result, error)
    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        log.debug("%s ended after the event loop", threading.current_thread().name)


def _succeed(result: asyncio.Future[T], value: T) -> None:
    if not result.done():
        result.set_result(value)


def _fail(result: asyncio.Future[Any], error: BaseException) -> None:
    if not result.done():
        result.set_exception(error)
