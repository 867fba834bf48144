"""Runs tools ahead of their calls: async ones in the loop of the agent, sync ones in a thread each.

A run is made as if from its session's last call: with its tool, in its loop, its context variables and the
context of its framework. Before there is one, as if from where the tool was wrapped.
"""

import asyncio
import functools
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from paste_proxy.client.bound import Bound, Identity, Origin
from paste_proxy.client.calls import Ahead, Call
from paste_proxy.errors import ToolError
from paste_proxy.tasks import TaskSet
from paste_proxy.tools.threads import Threads

SESSIONS_LIMIT = 256
"""Sessions whose last call is remembered: more than one process of agents has at once."""


class Told(Protocol):
    """The machine, which may be told from any thread."""

    def began(self, run: Ahead, identity: object, at: float) -> None: ...

    def ended(self, run: Ahead, value: Any, error: str | None, text: str) -> None:
        """`text`: the result about as the model will see it; "" where there is none."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class _Work:
    """What a run is made of."""

    run: Ahead
    bound: Bound
    origin: Origin
    identity: Identity


class Runner:
    """Implements `machine.Host`; used in the link's thread."""

    def __init__(self, told: Told) -> None:
        self.origins: dict[str, Origin] = {}
        """By tool, where it was wrapped last."""
        self._told = told
        self._sessions: OrderedDict[str, Origin] = OrderedDict()
        self._threads = Threads()
        self._tasks = TaskSet()

    def answered(self, call: Call, session: str) -> None:
        self._sessions[session] = call.origin
        self._sessions.move_to_end(session)
        if len(self._sessions) > SESSIONS_LIMIT:
            self._sessions.popitem(last=False)

    def start(self, run: Ahead) -> str:
        work = self._work(run)
        if work is None:
            return "nothing is known yet of where its session's tools run"
        if not work.bound.runs_in_loop:
            self._spawn(work, self._run_in_thread(work))
            return ""
        loop = work.origin.loop
        if loop is None or not _post(loop, self._start_here, work):
            return "there is no event loop to run it in"
        return ""

    def stop(self, run: Ahead) -> None:
        task: asyncio.Task[None] | None = run.work
        if task is not None:
            _post(task.get_loop(), task.cancel)

    def close(self) -> None:
        self._threads.close()

    def _work(self, run: Ahead) -> _Work | None:
        origin = self._sessions.get(run.session)
        bound = origin.bound.siblings.get(run.tool) if origin is not None else None
        if origin is None or bound is None:
            origin = self.origins.get(run.tool)
            bound = origin.bound if origin is not None else None
        if origin is None or bound is None or (bound.needs_world and origin.world is None):
            return None
        world = origin.world if bound.needs_world else None
        return _Work(run, bound, origin, Identity(bound.original, world))

    # -- in the agent's loop ------------------------------------------------------------------------------

    def _start_here(self, work: _Work) -> None:
        if work.run.is_dropped:
            self._told.ended(work.run, None, "dropped", "")
        else:
            work.origin.context.copy().run(lambda: self._spawn(work, self._run_here(work)))

    async def _run_here(self, work: _Work) -> "_Outcome":
        """Whatever the tool's code raises costs nobody's call anything: that runs the tool afresh."""
        try:
            self._begin(work)
            return _Outcome(await work.bound.ahead(work.run.arguments, work.identity.world))
        except Exception as error:  # noqa: BLE001 - boundary: the author's code
            return _failed(error)

    # -- in a thread --------------------------------------------------------------------------------------

    async def _run_in_thread(self, work: _Work) -> "_Outcome":
        context = work.origin.context.copy()
        function = functools.partial(context.run, work.bound.ahead, work.run.arguments, work.identity.world)
        try:
            return _Outcome(await self._threads.run(work.run.tool, function, lambda: self._begin(work)))
        except Exception as error:  # noqa: BLE001 - boundary: the author's code
            return _failed(error)

    # -- both ---------------------------------------------------------------------------------------------

    def _spawn(self, work: _Work, made: "Coroutine[Any, Any, _Outcome]") -> None:
        task = work.run.work = self._tasks.spawn(made, name=f"{work.run.tool} {work.run.id}")
        # Told by the task, not in it: one that is cancelled before its first step does nothing at all.
        task.add_done_callback(lambda task: self._ended(work, task))

    def _begin(self, work: _Work) -> None:
        if work.bound.mark is not None:
            work.run.mark = work.bound.mark(work.run.arguments)
        self._told.began(work.run, work.identity, time.monotonic())

    def _ended(self, work: _Work, task: "asyncio.Task[_Outcome]") -> None:
        outcome = _Outcome(error="cancelled") if task.cancelled() else task.result()
        value = outcome.value if work.bound.prepare is None else None
        text = _text(value) if outcome.error is None and value is not None else ""
        self._told.ended(work.run, value, outcome.error, text)


@dataclass(frozen=True, eq=False, slots=True)
class _Outcome:
    value: Any = None
    error: str | None = None


def _failed(error: Exception) -> _Outcome:
    """Messages of other errors may hold anything: they stay here."""
    return _Outcome(error=(error.message if isinstance(error, ToolError) else type(error).__name__)[:4096])


def _post(loop: asyncio.AbstractEventLoop, work: Callable[..., object], *args: Any) -> bool:
    """False where the loop is closed: its agent has ended."""
    try:
        loop.call_soon_threadsafe(work, *args)
    except RuntimeError:
        return False
    return True


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return msgspec.json.encode(value, order="deterministic").decode()
    except (TypeError, ValueError, RecursionError):
        return ""
