"""The shell around the core: carries out its decisions, and tells it what happened.

A bug in the core must not cost a request (promise 3): turns are then served without it, calls are run
directly, and speculation stays off until the next start, since nothing staged can be trusted any more. Only
a write that was under way just then is answered with an error: running it again could do it twice.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import Callable
from typing import TypeAlias, TypeVar

import msgspec

from paste_proxy.claims import Claimant, Claims
from paste_proxy.clock import Clock
from paste_proxy.core import Core
from paste_proxy.errors import InvalidArgumentsError, PasteError, ToolError, UnknownToolError
from paste_proxy.events import (
    UNSAID,
    AccountOverruled,
    AdmitTurn,
    AnswerCall,
    Attempt,
    CallAbandoned,
    CallRequested,
    CancelRun,
    CancelWarm,
    Decision,
    Event,
    FailCall,
    FailTurn,
    Identity,
    LetGo,
    PromoteRun,
    ProxyStopping,
    RunBegan,
    RunEnded,
    SessionOver,
    StartRun,
    TellProgress,
    TimePassed,
    TurnClosed,
    TurnRefused,
    TurnRequested,
    WarmPrefix,
)
from paste_proxy.grammar.requests import ChatRequest
from paste_proxy.tasks import TaskSet
from paste_proxy.tools.arguments import decode_arguments
from paste_proxy.tools.moments import age_limit
from paste_proxy.tools.ports import Executor, Output, Progress, Run, RunClass, RunContext
from paste_proxy.tools.spec import Effect
from paste_proxy.turn_handle import TurnHandle

log = logging.getLogger(__name__)

T = TypeVar("T")
PlaneDecision: TypeAlias = (
    AdmitTurn | FailTurn | SessionOver | LetGo | WarmPrefix | CancelWarm | AccountOverruled
)

CORE_FAILED = ToolError("the proxy's core failed, its log says why: the tool is run without it")


class ToolCall(msgspec.Struct, frozen=True):
    """An authoritative call as a plane received it. `arguments` is raw JSON text."""

    identity: Identity
    tool: str
    arguments: bytes
    tool_call_id: str = ""
    on_progress: Callable[[Progress], None] | None = None
    """For callers that want to know how far it is."""


class ToolAnswer(msgspec.Struct, frozen=True):
    """`outcome` is reused | joined | promoted | executed; times in seconds."""

    outcome: str
    output: Output
    service_s: float
    saved_s: float


class CoreFailedError(Exception):
    """The core raised: a bug. It is not asked again."""


class Runtime:
    def __init__(
        self, core: Core, executor: Executor, clock: Clock, wall: Callable[[], float] = time.time
    ) -> None:
        """`wall`: seconds of the calendar, for times that results tell of."""
        self._wall = wall
        self.core = core
        self.failed = False
        """The core had a bug: everything is served without it."""
        self.claims = Claims()
        self.session_over: Callable[[str], None] = lambda _: None
        """Hears of sessions of which no turn will come any more."""
        self.let_go: Callable[[str], None] = lambda _: None
        """Hears of sessions of which hardly any will."""
        self.warm: Callable[[WarmPrefix | CancelWarm], None] = lambda _: None
        """Has backends read prefixes ahead."""
        self._executor = executor
        self._clock = clock
        self._ids = itertools.count(1)
        self._tasks = TaskSet()
        self._admissions: dict[str, asyncio.Future[AdmitTurn]] = {}
        self._answers: dict[str, asyncio.Future[ToolAnswer]] = {}
        self._listeners: dict[str, Callable[[Progress], None]] = {}
        """By call."""
        self._running: dict[str, asyncio.Task[RunEnded]] = {}
        self._closing = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")

    # -- for the planes -----------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """By the core's clock."""
        return self._clock.now()

    async def admit(
        self, identity: Identity, request: ChatRequest | None, attempt: Attempt = UNSAID, size: int = 0
    ) -> TurnHandle:
        """Returns when the joint queue lets the turn go to a backend. Never raises a bug of ours.

        Raises `PasteError` where it is not sent. Cancelling the awaiting task means that the client left.
        """
        turn = f"turn-{next(self._ids)}"
        try:
            admission = await self._admission(TurnRequested(turn, identity, request, attempt, size))
        except (asyncio.CancelledError, PasteError):
            self.tell(TurnClosed(turn, complete=False))
            raise
        return TurnHandle(self, turn, admission)

    async def admit_again(self, turn: str) -> AdmitTurn | None:
        """The turn's backend did not take it: where it goes now, or None if nowhere."""
        try:
            return await self._admission(TurnRefused(turn))
        except PasteError:
            return None

    async def _admission(self, event: TurnRequested | TurnRefused) -> AdmitTurn | None:
        """None where the core has failed. Raises `PasteError` where no backend is left."""
        admission = self._admissions[event.turn] = asyncio.get_running_loop().create_future()
        try:
            return await admission if self.tell(event) else None
        except CoreFailedError:
            return None
        finally:
            del self._admissions[event.turn]

    def home(self, identity: Identity) -> str | None:
        """The backend of the session that is named; None where that is not known."""
        return None if self.failed else self.core.turns.home_of(identity)

    async def call(self, call: ToolCall) -> ToolAnswer:
        """Raises a `PasteError`. Cancelling the awaiting task means that the caller left."""
        call_id = f"call-{next(self._ids)}"
        answer: asyncio.Future[ToolAnswer] = asyncio.get_running_loop().create_future()
        self._answers[call_id] = answer
        if call.on_progress is not None:
            self._listeners[call_id] = call.on_progress
        event = CallRequested(
            call_id, call.identity, call.tool, call.arguments, call.tool_call_id, self._fingerprint(call)
        )
        try:
            if self.tell(event):
                return await answer
            if answer.done():
                answer.exception()  # the core failed on this very call: it has not begun, and is run below
        except asyncio.CancelledError:
            self.tell(CallAbandoned(call_id))
            raise
        except CoreFailedError:
            self._check_may_run_twice(call)
        finally:
            del self._answers[call_id]
            self._listeners.pop(call_id, None)
        return await self._call_without_core(call)

    def claim(self, call: ToolCall, client: str, claimant: Claimant) -> str:
        """A call of a wrapped tool: its id. What becomes of it `claimant` mostly hears before this returns."""
        call_id = f"call-{next(self._ids)}"
        self.claims.expect(call_id, claimant)
        event = CallRequested(
            call_id, call.identity, call.tool, call.arguments, call.tool_call_id, client=client
        )
        if not self.tell(event):
            self.claims.refuse_all(CORE_FAILED)
        return call_id

    def leave(self, call: str) -> None:
        """Nobody waits for the claimed call any more."""
        if self.claims.leave(call):
            self.tell(CallAbandoned(call))

    def warm_up(self) -> None:
        """Warm the tools up in the background."""
        self._tasks.spawn(self._executor.warm_up(), name="warm up tools")

    def stop_holding(self) -> None:
        """The proxy stops: what is held is refused, and so is what would have to be."""
        self.tell(ProxyStopping())

    async def close(self) -> None:
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        await self._executor.close()  # first: it lets go of runs that nothing can end, such as threads
        await self._tasks.close()

    # -- to and from the core -----------------------------------------------------------------------------

    def tell(self, event: Event) -> bool:
        """Hand an event to the core and carry out what it decides. False once the core has failed."""
        if self.failed:
            return False
        try:
            decisions = self.core.handle(event, self._clock.now())
        except Exception:  # noqa: BLE001 - boundary: see the module's docstring
            self._fail()
            return False
        for decision in decisions:
            if not self.claims.carry_out(decision):
                self._carry_out(decision)
        self._set_timer()
        return True

    def _fail(self) -> None:
        log.exception("the core failed: requests and calls are served without it until the next start")
        self.failed = True
        for admission in self._admissions.values():
            _refuse(admission, CoreFailedError())
        for answer in self._answers.values():
            _refuse(answer, CoreFailedError())
        self.claims.refuse_all(CORE_FAILED)

    def _carry_out(self, decision: Decision) -> None:
        match decision:
            case (
                AdmitTurn()
                | FailTurn()
                | SessionOver()
                | LetGo()
                | WarmPrefix()
                | CancelWarm()
                | AccountOverruled()
            ):
                self._tell_plane(decision)
            case StartRun(run):
                self._start(run)
            case PromoteRun(run_id):
                self._executor.promote(run_id)
            case CancelRun(run_id):
                if (task := self._running.get(run_id)) is not None:
                    task.cancel()
            case TellProgress(call, progress):
                if (listener := self._listeners.get(call)) is not None:
                    listener(progress)
            case AnswerCall(call, outcome, output, service_s, saved_s):
                _settle(self._answers.get(call), ToolAnswer(outcome, output, service_s, saved_s))
            case FailCall(call, _, error):
                _refuse(self._answers.get(call), error)

    def _tell_plane(self, decision: PlaneDecision) -> None:
        match decision:
            case AdmitTurn(turn):
                _settle(self._admissions.get(turn), decision)
            case FailTurn(turn, error):
                _refuse(self._admissions.get(turn), error)
            case SessionOver(session):
                self.session_over(session)
            case LetGo(session):
                self.let_go(session)
            case WarmPrefix() | CancelWarm():
                self.warm(decision)
            case AccountOverruled():
                _report(decision)

    def _set_timer(self) -> None:
        deadline = self.core.next_deadline()
        if deadline is None or deadline >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        delay = max(0.0, deadline - self._clock.now())
        self._timer = asyncio.get_running_loop().call_later(delay, self._time_passed)

    def _time_passed(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        self.tell(TimePassed())

    # -- runs ---------------------------------------------------------------------------------------------

    def _start(self, run: Run) -> None:
        """Every run that is started is told to have ended: an open write must be closed whatever happens."""
        if self._closing:
            return
        task = self._tasks.spawn(self._run(run), name=f"{run.tool} {run.run}")
        self._running[run.run] = task
        task.add_done_callback(lambda task: self._ended(run, task))

    async def _run(self, run: Run) -> RunEnded:
        began: float | None = None

        def begin() -> None:
            nonlocal began
            if began is None:
                began = self._wall()
                self.tell(RunBegan(run.run))

        fingerprint = self._executor.fingerprint(run.tool, run.arguments)
        try:
            output = await self._executor.run(run, begin)
        except PasteError as error:
            return RunEnded(run.run, None, error, fingerprint)
        begin()
        return RunEnded(run.run, self._dated(run, output, began or 0.0), None, fingerprint)

    def _dated(self, run: Run, output: Output, began: float) -> Output:
        """With the age that it allows itself, where it tells a time and may be kept at all."""
        spec = self.core.tools.get(run.tool)
        if run.run_class is RunClass.AUTHORITATIVE or spec is None:
            return output
        limit = age_limit(output.body, spec.max_age, began)
        if limit is None or (output.max_age is not None and output.max_age <= limit):
            return output
        return msgspec.structs.replace(output, max_age=limit)

    def _ended(self, run: Run, task: "asyncio.Task[RunEnded]") -> None:
        self._running.pop(run.run, None)
        if task.cancelled():
            self.tell(RunEnded(run.run, None, ToolError(f"{run.tool} was cancelled", param=run.tool)))
        elif (bug := task.exception()) is not None:  # the task set has logged it
            failure = ToolError(f"{run.tool} could not be run: {bug}", param=run.tool)
            self.tell(RunEnded(run.run, None, failure))
        else:
            self.tell(task.result())

    def _fingerprint(self, call: ToolCall) -> bytes | None:
        spec = self.core.tools.get(call.tool)
        if spec is None or not spec.has_fingerprint:
            return None
        try:
            self.core.spec(call.tool, call.identity.tenant)
            return self._executor.fingerprint(spec.name, decode_arguments(spec, call.arguments))
        except (UnknownToolError, InvalidArgumentsError):
            return None  # the core looks again, and refuses the call

    def _check_may_run_twice(self, call: ToolCall) -> None:
        """The core failed while the call waited: whether its run has begun is not known any more."""
        if self.core.spec(call.tool, call.identity.tenant).effect is not Effect.READ:
            raise ToolError(
                f"{call.tool}: the proxy failed while the call was under way, so it may have run or not; "
                "look before you ask for it again",
                param=call.tool,
            )
        log.warning("call of %s: the core failed while it waited; run directly", call.tool)

    async def _call_without_core(self, call: ToolCall) -> ToolAnswer:
        started = self._clock.now()
        arguments = decode_arguments(self.core.spec(call.tool, call.identity.tenant), call.arguments)
        context = RunContext(call.identity.tenant, "")
        run = Run(f"direct-{next(self._ids)}", call.tool, arguments, context, RunClass.AUTHORITATIVE)
        output = await self._executor.run(run, lambda: None)
        return ToolAnswer("executed", output, self._clock.now() - started, 0.0)


def _settle(future: asyncio.Future[T] | None, value: T) -> None:
    """Waiters that have left meanwhile are passed over."""
    if future is not None and not future.done():
        future.set_result(value)


def _report(said: AccountOverruled) -> None:
    where = f"backend {said.backend}" if said.backend else "the backend"
    if said.overruled:
        log.warning(
            "%s tells of clearly more requests than ours: it has other users, so nothing is held for its "
            "memory until it tells otherwise (paste_backend_load: what it tells)",
            where,
        )
    else:
        log.info("%s has no other users that it tells of: turns are held for its memory again", where)


def _refuse(future: asyncio.Future[T] | None, error: Exception) -> None:
    if future is not None and not future.done():
        future.set_exception(error)
