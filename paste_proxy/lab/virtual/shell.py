"""The shell around the production core, in virtual time: `runtime.Runtime` without tasks, sockets and clocks.

The core is told the same events, in the same order, by the same `TurnHandle`; what it decides is carried out by
models: a run takes as long as the world says.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import orjson

from paste_proxy.core import Core
from paste_proxy.errors import PasteError, ToolError
from paste_proxy.events import (
    AdmitTurn,
    AnswerCall,
    Attempt,
    CallRequested,
    CancelRun,
    CancelWarm,
    Decision,
    Event,
    FailCall,
    FailTurn,
    Identity,
    LetGo,
    RunBegan,
    RunEnded,
    StartRun,
    TimePassed,
    TurnRequested,
    WarmPrefix,
)
from paste_proxy.grammar.requests import ChatRequest
from paste_proxy.lab.virtual.fleet import Fleet
from paste_proxy.lab.virtual.time import Timer, VirtualTime
from paste_proxy.lab.virtual.warmer import Warmer
from paste_proxy.lab.virtual.world import World
from paste_proxy.tools.ports import Run, RunClass

Answer = Callable[[AnswerCall | FailCall], None]

BY_SDK = Attempt(patience_s=600.0)
"""How long OpenAI's and Anthropic's SDKs wait unless told otherwise; they say so."""


class RunSpan(msgspec.Struct):
    """One run of a tool."""

    tool: str
    arguments: str
    """See `arguments_text`."""
    ahead: bool
    """It was started before the agent asked for it."""
    start: float
    end: float = float("inf")


def arguments_text(arguments: dict[str, Any]) -> str:
    """To tell by which run was for which call."""
    return orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS).decode()


class Shell:
    """One core, and the world that its runs happen in."""

    def __init__(
        self, core: Core, world: World, time: VirtualTime, fleet: Fleet, *, hides_tools: bool = False
    ) -> None:
        """`hides_tools`: every run takes no time (cell O∞)."""
        self.core = core
        self._world = world
        self._time = time
        self._hides_tools = hides_tools
        self._fleet = fleet
        self.warmer = Warmer(fleet, time, self.tell)
        self._admitted: dict[str, Callable[[], None]] = {}
        self._answers: dict[str, Answer] = {}
        self._runs: dict[str, tuple[Timer, RunSpan]] = {}
        self._spans: dict[str, list[RunSpan]] = {}
        """By task."""
        self._timer: Timer | None = None
        self._timer_at = float("inf")

    # -- what the planes do -------------------------------------------------------------------------------

    def admit(self, turn: str, identity: Identity, request: ChatRequest, admitted: Callable[[], None]) -> None:
        """`admitted` is called when the joint queue lets the turn go to the backend."""
        self._admitted[turn] = admitted
        self.tell(TurnRequested(turn, identity, request, BY_SDK))

    def call(self, event: CallRequested, answered: Answer) -> None:
        self._answers[event.call] = answered
        self.tell(event)

    def take_spans(self, task: str) -> Sequence[RunSpan]:
        """The runs that there were for a task, which is over."""
        return self._spans.pop(task, ())

    def tell(self, event: Event) -> bool:
        """As `Runtime.tell`; a failing core ends the run, since a lab has nothing to serve without it."""
        for decision in self.core.handle(event, self._time.now):
            self._carry_out(decision)
        self._set_timer()
        return True

    # -- what the core decides ----------------------------------------------------------------------------

    def _carry_out(self, decision: Decision) -> None:
        """Everything at once, but not from inside of what is being told: as by a loop's next turn."""
        match decision:
            case AdmitTurn(turn):
                self._time.after(0.0, self._admitted.pop(turn))
            case FailTurn(_, error):
                raise error  # no lab asks for so much that nothing may wait: see limits.queued_turns
            case StartRun(run):
                self._start(run)
            case CancelRun(run_id):
                self._cancel(run_id)
            case WarmPrefix(session=session):
                self.warmer.carry_out(decision, self._task(session))
            case CancelWarm():
                self.warmer.carry_out(decision, "")
            case LetGo(session):
                self._fleet.close_session(self._task(session))
            case AnswerCall(call) | FailCall(call):
                answered = self._answers.pop(call)
                self._time.after(0.0, lambda: answered(decision))

    def _start(self, run: Run) -> None:
        task = self._task(run.context.session)
        answer = self._world.answer(task, run.tool, run.arguments)
        failure: PasteError | None = ToolError(answer.error, param=run.tool) if answer.error else None
        ended = RunEnded(run.run, None if failure else answer.output, failure)
        seconds = 0.0 if self._hides_tools else answer.seconds
        timer = self._time.after(0.0, lambda: self._began(ended, seconds))
        ahead = run.run_class is not RunClass.AUTHORITATIVE
        span = RunSpan(run.tool, arguments_text(run.arguments), ahead, self._time.now)
        self._runs[run.run] = (timer, span)
        self._spans.setdefault(task, []).append(span)

    def _began(self, ended: RunEnded, seconds: float) -> None:
        timer = self._time.after(seconds, lambda: self._ended(ended))
        self._runs[ended.run] = (timer, self._runs[ended.run][1])
        self.tell(RunBegan(ended.run))

    def _ended(self, ended: RunEnded) -> None:
        self._runs.pop(ended.run)[1].end = self._time.now
        self.tell(ended)

    def _cancel(self, run_id: str) -> None:
        if run_id in self._runs:
            timer, span = self._runs.pop(run_id)
            timer.cancel()
            span.end = self._time.now
            cancelled = RunEnded(run_id, None, ToolError("cancelled", param=run_id))
            # An event loop's turn to hear of it, and one to end: what starts in its place begins before.
            self._time.after(0.0, lambda: self._later(cancelled))

    def _later(self, event: Event) -> None:
        self._time.after(0.0, lambda: self._told(event))

    def _told(self, event: Event) -> None:
        self.tell(event)

    def _task(self, session: str) -> str:
        state = self.core.turns.sessions.get(session)
        return state.name if state is not None else ""

    def _set_timer(self) -> None:
        deadline = self.core.next_deadline()
        if deadline is None or deadline >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._time.at(deadline, self._time_passed)

    def _time_passed(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        self.tell(TimePassed())
