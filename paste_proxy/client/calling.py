"""A call of a wrapped tool: the proxy is asked what is there already, and waited for as long as is worth it."""

import asyncio
import contextvars
import queue
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from paste_proxy.client.bound import Bound, Identity, Origin, running_loop
from paste_proxy.client.calls import Alone, Call, Joined, Kept, Verdict
from paste_proxy.client.link import Link
from paste_proxy.tools.spec import Effect

T = TypeVar("T")

PATIENCE_S = 0.05
"""For the proxy's answer, after which the tool is run without it: a hundred times what one takes on a machine
that is not busy, and too little to notice beside an LLM's turn."""

_session: contextvars.ContextVar[str] = contextvars.ContextVar("paste_session", default="")
_call_id: contextvars.ContextVar[str] = contextvars.ContextVar("paste_tool_call_id", default="")


@contextmanager
def session(name: str) -> Iterator[None]:
    """Calls inside the block are of the session that the agent's requests name so, as in `x-session-id`."""
    token = _session.set(name)
    try:
        yield
    finally:
        _session.reset(token)


@contextmanager
def tool_call(call_id: str) -> Iterator[None]:
    """Calls inside the block are the model's tool call of this id. For plain functions: frameworks say it."""
    token = _call_id.set(call_id)
    try:
        yield
    finally:
        _call_id.reset(token)


def call_id_of_context() -> str:
    return _call_id.get()


class Calling:
    """How one wrapped tool is called. What the tool itself raises passes through; nothing else raises."""

    def __init__(self, link: Link, bound: Bound, patience_s: float = PATIENCE_S) -> None:
        self._link = link
        self._bound = bound
        self._patience_s = patience_s
        self._writes = bool(bound.spec.writes)
        self._has_results = bound.spec.effect is Effect.READ

    async def wait(
        self,
        arguments: bytes | str | Mapping[str, Any],
        alone: Callable[[], Awaitable[T]],
        *,
        tool_call_id: str = "",
        world: Any = None,
    ) -> T:
        """The result: one that is there, or what `alone` gives. `arguments`: their JSON text, or the values."""
        loop = asyncio.get_running_loop()
        heard: asyncio.Queue[Verdict] = asyncio.Queue()
        call = self._call(arguments, lambda verdict: _tell(loop, heard, verdict), tool_call_id, world)
        if call is not None and call.asks:
            try:
                verdict = await self._verdict(call, heard)
            except asyncio.CancelledError:
                self._link.leave(call)
                raise
            if isinstance(verdict, Kept):
                return verdict.value  # type: ignore[no-any-return]
        error: str | None = "cancelled"
        try:
            result = await alone()
            error = None
            return result
        except Exception as raised:
            error = type(raised).__name__
            raise
        finally:
            self._finished(call, error)

    async def _verdict(self, call: Call, heard: asyncio.Queue[Verdict]) -> Verdict:
        try:
            async with asyncio.timeout(self._patience_s):
                verdict = await heard.get()
        except TimeoutError:
            self._link.impatient(call)
            return Alone.ALONE
        return await heard.get() if verdict is Joined.JOINED else verdict

    def block(
        self,
        arguments: bytes | str | Mapping[str, Any],
        alone: Callable[[], T],
        *,
        tool_call_id: str = "",
        world: Any = None,
    ) -> T:
        """The same for a sync tool."""
        heard: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
        call = self._call(arguments, heard.put, tool_call_id, world)
        if call is not None and call.asks:
            verdict = self._verdict_blocking(call, heard)
            if isinstance(verdict, Kept):
                return verdict.value  # type: ignore[no-any-return]
        error: str | None = "cancelled"
        try:
            result = alone()
            error = None
            return result
        except Exception as raised:
            error = type(raised).__name__
            raise
        finally:
            self._finished(call, error)

    def _verdict_blocking(self, call: Call, heard: queue.SimpleQueue[Verdict]) -> Verdict:
        try:
            verdict = heard.get(timeout=self._patience_s)
            return heard.get() if verdict is Joined.JOINED else verdict
        except queue.Empty:
            self._link.impatient(call)
            return Alone.ALONE
        except BaseException:
            self._link.leave(call)  # the interpreter was interrupted, say
            raise

    def _call(
        self,
        arguments: bytes | str | Mapping[str, Any],
        told: Callable[[Verdict], None],
        tool_call_id: str,
        world: Any,
    ) -> Call | None:
        """The call, of which the proxy has been told. Only if it `asks` is there anything to hear. None where
        nobody is there to tell, except of writes: these are told later."""
        bound = self._bound
        world = world if bound.needs_world else None
        texts = _texts(arguments)
        if texts is None:
            return None
        text, values = texts
        origin = Origin(bound, running_loop(), contextvars.copy_context(), world)
        call = Call(bound.spec.name, text, values, Identity(bound.original, world), told, origin)
        call.tool_call_id = tool_call_id or _call_id.get()
        call.session = _session.get()
        may_be_there = self._has_results and self._link.may_run_ahead(bound.spec.name)
        call.asks = call.waits = self._link.is_up and may_be_there
        if call.asks and bound.mark is not None:
            call.mark = bound.mark(dict(values))
        if self._link.is_up:
            self._link.claim(call)
        elif not self._writes:
            return None
        return call

    def _finished(self, call: Call | None, error: str | None) -> None:
        if call is not None:
            self._link.finished(call, error)


def _texts(arguments: bytes | str | Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """The JSON text and the values; None where they are no object, or none that JSON has."""
    try:
        if isinstance(arguments, Mapping):
            return msgspec.json.encode(arguments).decode(), arguments
        values = msgspec.json.decode(arguments or "{}")
    except (TypeError, ValueError, RecursionError):
        return None
    text = arguments.decode() if isinstance(arguments, bytes) else arguments
    return (text or "{}", values) if isinstance(values, dict) else None


def _tell(loop: asyncio.AbstractEventLoop, heard: asyncio.Queue[Verdict], verdict: Verdict) -> None:
    try:
        loop.call_soon_threadsafe(heard.put_nowait, verdict)
    except RuntimeError:
        return  # the loop is closed: nobody waits any more
