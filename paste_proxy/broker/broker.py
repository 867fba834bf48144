"""The broker: takes candidates on, runs them on slack, and releases a result to exactly the call it guessed.

Sans-IO: methods take the time and decide; `take_decisions` gives what was decided. What makes a released result
safe is in one place, `_usable`: same key (tenant, session, tool, all arguments), still allowed, not too old,
nothing that it read written since, and the same fingerprint where the tool has one.
"""

from collections.abc import Container

from paste_proxy.broker.clients import Clients
from paste_proxy.broker.contest import Contest
from paste_proxy.broker.keys import CallKey, call_key
from paste_proxy.broker.ledger import Ledger
from paste_proxy.broker.lifecycle import State, Trigger
from paste_proxy.broker.live import Live
from paste_proxy.broker.permits import EVERY_TOOL, Permits
from paste_proxy.broker.runs import Runs
from paste_proxy.broker.sampling import Sampling
from paste_proxy.broker.scopes import Epochs, overlap
from paste_proxy.broker.second_looks import SecondLooks
from paste_proxy.broker.speculation import PendingCall, RunRecord, Speculation
from paste_proxy.broker.staging import Staging, StagingLimits
from paste_proxy.deadlines import Deadlines
from paste_proxy.errors import PasteError, ToolError, ToolsBusyError, ToolTimeoutError
from paste_proxy.events import (
    AnswerCall,
    CancelRun,
    Decision,
    DropResult,
    FailCall,
    PromoteRun,
    RunEnded,
    StartRun,
    TellClient,
    TellProgress,
)
from paste_proxy.predict.model import Call, Prediction
from paste_proxy.predict.value import ValueModel
from paste_proxy.schedule.queue import JointQueue, Waiting
from paste_proxy.tools.ports import Output, Progress, Run, RunClass, RunContext
from paste_proxy.tools.spec import ToolSpec
from paste_proxy.tools.table import ToolTable


class Broker:
    """Raises nothing but bugs."""

    def __init__(
        self,
        specs: ToolTable,
        *,
        queue: JointQueue,
        deadlines: Deadlines,
        staging: StagingLimits,
        permits: Permits,
        sampling: Sampling,
        min_service_s: float,
        queued_calls: int,
    ) -> None:
        self.specs = specs
        self.permits = permits
        self.clients = Clients()
        self.epochs = Epochs()
        self.ledger = Ledger()
        self.values = ValueModel()
        self.pressure = queue.pressure
        self._queue = queue
        self._deadlines = deadlines
        self.staging = Staging(staging)
        self._min_service_s = min_service_s
        self._queued_calls = queued_calls
        self._live = Live()
        self._contest = Contest(queue.speculative_limit)
        self._runs = Runs(queue)
        self._calls: dict[str, PendingCall] = {}
        self._second_looks = SecondLooks(
            sampling,
            runs=self._runs,
            queue=queue,
            deadlines=deadlines,
            epochs=self.epochs,
            permits=permits,
            ledger=self.ledger,
        )

    def take_decisions(self) -> list[Decision]:
        """Those since it was asked last, in their order."""
        taken, self._runs.out = self._runs.out, []
        return taken

    def decide(self, decision: Decision) -> None:
        """For who has decided something itself: its place is among those of the broker."""
        self._runs.out.append(decision)

    @property
    def sampling(self) -> Sampling:
        return self._second_looks.sampling

    # -- running ahead ------------------------------------------------------------------------------------

    def may_run_ahead(self, tool: str) -> bool:
        """Known short tools stay home."""
        return (
            tool in self.specs
            and self.permits.allows(self.specs[tool])
            and self.ledger.service_s.get(tool, self._min_service_s) >= self._min_service_s
        )

    def offer(
        self,
        context: RunContext,
        call: Call,
        run_class: RunClass,
        now: float,
        prediction: Prediction | None = None,
        parent: Speculation | None = None,
    ) -> Speculation | None:
        """Take on a candidate (or a sealed call, class `decided`). None: not eligible, known, worth little.
        `parent`: it is only expected behind that one, in the turn after."""
        if not self.may_run_ahead(call.tool):
            return None
        spec = self.specs[call.tool]
        client = self.clients.of(context, call.tool) if self.specs.is_leased(call.tool) else ""
        if self.epochs.is_open(spec.reads) or not self.specs.serves(call.tool, context.tenant, client):
            return None
        key = call_key(context.tenant, context.session, spec, call.arguments)
        if (known := self._live.find(key)) is not None:
            if parent is None:
                known.stand_alone()
            self._hurry(known, run_class)
            return None
        predicted = run_class is RunClass.SPECULATIVE
        if predicted and not self.permits.admits(spec, context, now):
            return None
        if prediction is not None and not self._contest.admits(prediction.value_s):
            return None
        record = self._runs.new(spec, call.arguments, context, client)
        speculation = Speculation(record.id, key, spec, call.arguments, run_class, now, prediction, client)
        record.speculation = speculation
        self._live.add(speculation)
        if parent is not None:
            speculation.follow(parent)
        self._queue.add(record.id, spec.name, run_class, speculation.worth)
        self._contest.enter(speculation)
        if predicted:
            self.permits.budgets.begin(record.id, spec, context, now)
        self._expire_later(speculation)
        if (loser := self._contest.loser()) is not None:
            self._end(loser, Trigger.DISCARD, now)
        return speculation

    def withdraw(self, context: RunContext, call: Call, now: float) -> None:
        """What was taken on for this call will not be asked for."""
        if call.tool not in self.specs:
            return  # gone meanwhile, and its speculations with it
        key = call_key(context.tenant, context.session, self.specs[call.tool], call.arguments)
        if (known := self._live.find(key)) is not None:
            self._end(known, Trigger.DISCARD, now)

    def _hurry(self, known: Speculation, run_class: RunClass) -> None:
        """A queued candidate whose call was sealed meanwhile moves up, also if it waits for a worker."""
        if known.state is not State.QUEUED or run_class >= known.run_class:
            return
        known.run_class = run_class
        self._contest.leave(known.id)
        self.permits.budgets.end(known.id, started=False)
        self._expire_later(known)
        if not self._runs[known.id].handed_over:
            self._queue.remove(known.id)
            self._queue.add(known.id, known.spec.name, run_class)

    # -- authoritative calls ------------------------------------------------------------------------------

    def call(self, call: PendingCall, now: float) -> None:
        """Serve an authoritative call: from a speculation of the same key, else by a run of its own."""
        self._calls[call.id] = call
        self.permits.waste.called(call.spec.name, call.context.tenant, now)
        call.timer = self._deadlines.at(call.issued + call.spec.timeout, lambda at: self._time_out(call, at))
        if self._claim(call, now):
            return
        if not call.client and self._queue.waiting(RunClass.AUTHORITATIVE) >= self._queued_calls:
            busy = f"{self._queued_calls} calls of tools are waiting already; try again later"
            self._fail(call, ToolsBusyError(busy, param=call.spec.name))
            return
        self._execute(call, now)

    def abandon(self, call_id: str, now: float) -> None:
        """The caller left. Its read stops; its write goes on, as it would have without us."""
        if (call := self._calls.pop(call_id, None)) is not None:
            self._deadlines.cancel(call.timer)
            self.ledger.calls_abandoned += 1
            self._leave(call, now, stop=not call.spec.writes)

    def _claim(self, call: PendingCall, now: float) -> bool:
        if not call.context.session:
            return False
        key = call_key(call.context.tenant, call.context.session, call.spec, call.arguments)
        speculation = self._live.find(key)
        if speculation is None:
            return False
        if speculation.expires <= now:
            self._end(speculation, Trigger.EXPIRE, now)
            return False
        if speculation.client and speculation.state is State.QUEUED and self._runs[speculation.id].handed_over:
            # It is with the client that calls, which knows whether it has begun, and joins it or begins it.
            self.began(speculation.id, now)
        if not self._usable(speculation, call):
            self._end(speculation, Trigger.VOID, now)
            return False
        call.decided = speculation.run_class is RunClass.DECIDED and speculation.state is not State.QUEUED
        self._release(speculation, call, now)
        return True

    def _usable(self, speculation: Speculation, call: PendingCall) -> bool:
        if not self.permits.allows(call.spec):
            return False
        if speculation.client != call.client:
            return False
        if speculation.state is State.QUEUED:
            return True
        if speculation.stamp is None or not self.epochs.is_current(speculation.stamp):
            return False
        return speculation.state is State.RUNNING or speculation.fingerprint == call.fingerprint

    def _release(self, speculation: Speculation, call: PendingCall, now: float) -> None:
        output = speculation.output
        was = self._end(speculation, Trigger.CLAIM, now)
        if was is State.QUEUED:
            call.outcome = "promoted"
            self._execute(call, now)
        elif was is State.RUNNING:
            call.outcome, call.run = "joined", speculation.id
            record = self._runs[speculation.id]
            record.call, record.joined = call, speculation.run_class
            if record.client:
                self._queue.release(speculation.id)
                record.slotless = True
                self._tell_client(call, speculation.id)
            else:
                self._queue.promote(speculation.id)
                self._runs.out.append(PromoteRun(speculation.id))
        else:
            call.outcome = "reused"
            service = speculation.completed - speculation.started
            if call.client:
                self._tell_client(call, speculation.id)
            self._answer(call, output or Output(b""), service, service, now)

    def _execute(self, call: PendingCall, now: float) -> None:
        record = self._runs.new(call.spec, call.arguments, call.context, call.client)
        record.call, call.run = call, record.id
        if not call.client:
            self._queue.add(record.id, call.spec.name, RunClass.AUTHORITATIVE)
            return
        record.slotless = True
        self._hand_over(record, RunClass.AUTHORITATIVE, now)
        self._tell_client(call, record.id)

    def _tell_client(self, call: PendingCall, run: str) -> None:
        self._runs.out.append(TellClient(call.id, call.outcome, run, call.context.session))

    # -- runs ---------------------------------------------------------------------------------------------

    def start(self, item: Waiting, now: float) -> None:
        """The queue gave a slot to this run. What it reads is of now at the earliest."""
        self._hand_over(self._runs[item.id], item.run_class, now)

    def _hand_over(self, record: RunRecord, run_class: RunClass, now: float) -> None:
        record.handed_over = True
        if record.speculation is not None:
            record.speculation.stamp = self.epochs.stamp(record.spec.reads)
            self._live.enter_slot(record.speculation)
            self._contest.leave(record.id)
        elif record.spec.writes:
            record.writing = record.spec.writes
            self.begin_write(record.writing, now)
        run = Run(
            record.id, record.spec.name, record.arguments, record.context, run_class, client=record.client
        )
        self._runs.out.append(StartRun(run))

    def began(self, run: str, now: float) -> None:
        """The tool's function begins: from here on a speculation can be joined, and costs something."""
        record = self._runs.find(run)
        if record is None:
            return
        record.started = now
        if record.speculation is not None:
            record.speculation.move(Trigger.START)
            record.speculation.started = now
            self.ledger.run_started(record.speculation)
            self._expire_later(record.speculation)

    def progressed(self, run: str, progress: Progress) -> None:
        """Told to the call that the run is for, if there is one yet."""
        record = self._runs.find(run)
        if record is not None and record.call is not None:
            self._runs.out.append(TellProgress(record.call.id, progress))

    def preempt(self, starved: Waiting, now: float) -> bool:
        """Cancel one speculation whose slot `starved` can use: of the lowest class, worth least, the newest."""
        same_tool = self._queue.lane_is_full(starved.lane)
        tool = starved.lane if same_tool else None
        if self._second_looks.give_way(tool):
            return True
        victim = self._live.victim(tool)
        if victim is not None:
            self._end(victim, Trigger.CANCEL, now)
        return victim is not None

    def run_ended(self, ended: RunEnded, now: float) -> Speculation | None:
        """A run gave a result or an error; the speculation whose result is staged now, if it was one. Runs that
        were cancelled are unknown here, and ignored."""
        record = self._runs.take(ended.run)
        if record is None:
            return None
        if not record.slotless:
            self._queue.release(record.id)
        self._live.leave_slot(record.id)
        if record.writing:
            self.end_write(record.writing, now)
        if ended.output is not None:
            self.ledger.served(record.spec.name, now - record.started)
            self.values.served(record.spec.name, now - record.started)
        if record.sample is not None:
            if self._second_looks.ended(record, record.sample, ended.output):
                self._end_all_of(record.spec.name, Trigger.VOID, now)
        elif record.speculation is not None:
            self._stage(record.speculation, ended, now)
            return record.speculation if record.speculation.state is State.READY else None
        elif record.call is not None:
            self._finish(record, record.call, ended, now)
        return None

    def _stage(self, speculation: Speculation, ended: RunEnded, now: float) -> None:
        """A speculative run has ended: keep its result aside. An error is never kept."""
        speculation.completed = now
        self.permits.budgets.end(speculation.id, started=True)
        if ended.output is None:
            self._end(speculation, Trigger.FAIL, now)
            return
        speculation.output = ended.output
        if speculation.expires <= now:
            self._end(speculation, Trigger.EXPIRE, now)
            return
        if not self.staging.fits(ended.output.size):
            if speculation.client:
                self._runs.out.append(DropResult(speculation.id, speculation.client))
            self._end(speculation, Trigger.DISCARD, now)
            return
        speculation.move(Trigger.COMPLETE)
        speculation.fingerprint = ended.fingerprint
        self.staging.add(speculation)
        self._expire_later(speculation)
        while (oldest := self.staging.overflow(speculation.key.session)) is not None:
            self._end(oldest, Trigger.DISCARD, now)

    def _finish(self, record: RunRecord, call: PendingCall, ended: RunEnded, now: float) -> None:
        service, output = now - record.started, ended.output
        if record.joined is not None and not record.serves(call, output, ended.fingerprint):
            self._unused(record.spec, record.context.tenant, record.joined, service, output, now)
            call.outcome, call.decided = "executed", False
            self._execute(call, now)
        elif output is not None:
            saved = max(0.0, call.issued - record.started) if record.joined is not None else 0.0
            self._answer(call, output, service, saved, now)
        else:
            nothing = ToolError("the run ended without a result", param=call.spec.name)
            self._fail(call, ended.error or nothing)

    # -- writes -------------------------------------------------------------------------------------------

    def begin_write(self, scopes: frozenset[str], now: float) -> None:
        """A write has begun: whatever read these scopes ahead of its call is worthless."""
        self.epochs.begin_write(scopes)
        for speculation in self._live:
            if speculation.is_live and overlap(speculation.spec.reads, scopes):
                self._end(speculation, Trigger.VOID, now)

    def end_write(self, scopes: frozenset[str], now: float) -> None:
        self.epochs.end_write(scopes)

    # -- endings ------------------------------------------------------------------------------------------

    def discard_session(self, session: str, now: float) -> None:
        for speculation in self._live.of_session(session):
            self.discard(speculation, now)

    def discard(self, speculation: Speculation, now: float) -> None:
        """Not wanted any more; it may have ended before."""
        if speculation.is_live:
            self._end(speculation, Trigger.DISCARD, now)

    def staged(self, key: CallKey) -> Speculation | None:
        """The one of this key whose result is kept aside."""
        found = self._live.find(key)
        return found if found is not None and found.state is State.READY else None

    def end_chains(self, session: str, asked: Container[tuple[str, str]], now: float) -> None:
        """The session's turn is over, and asked for these calls, by tool and canonical arguments: what was only
        expected behind others will not come."""
        for speculation in self._live.behind_others(session, asked):
            self.discard(speculation, now)

    def tool_changed(self, tool: str, now: float) -> None:
        """It is another one now, or gone: what the former one gave is not what this one would give."""
        self._end_all_of(tool, Trigger.VOID, now)

    def switch(self, tool: str, now: float, *, on: bool) -> None:
        """The operator's switch, for one tool or for all (`EVERY_TOOL`)."""
        if on:
            self.permits.switched_off.discard(tool)
        else:
            self.permits.switched_off.add(tool)
            self._end_all_of(tool, Trigger.DISCARD, now)

    def _end_all_of(self, tool: str, trigger: Trigger, now: float) -> None:
        for speculation in self._live:
            if speculation.is_live and tool in (speculation.spec.name, EVERY_TOOL):
                self._end(speculation, trigger, now)
        self._second_looks.drop_all_of(tool)

    def client_gone(self, client: str, now: float) -> None:
        """What it ran ahead is lost. Its calls are its own to finish: whoever lost it abandons them."""
        self.clients.gone(client)
        for speculation in self._live:
            if speculation.client == client and speculation.is_live:
                self._end(speculation, Trigger.VOID, now)
        self._second_looks.drop_all_at(client)

    def discard_waiting(self, session: str, now: float) -> None:
        """The turn that the session's guesses were for is over: those that have not begun are too late, but for
        those of a later turn."""
        for speculation in self._live.too_late(session):
            self.discard(speculation, now)

    def _end(self, speculation: Speculation, trigger: Trigger, now: float) -> State:
        """Move a live speculation to its end and free what it held. The state before is returned."""
        was = speculation.move(trigger)
        self._live.remove(speculation)
        self._contest.leave(speculation.id)
        self._deadlines.cancel(speculation.timer)
        self.permits.budgets.end(speculation.id, started=was is not State.QUEUED)
        self.ledger.speculation_ended(speculation)
        if was is not State.QUEUED and speculation.state not in (State.REUSED, State.JOINED):
            ended = speculation.completed if was is State.READY else now
            seconds, tenant = ended - speculation.started, speculation.key.tenant
            self._unused(speculation.spec, tenant, speculation.run_class, seconds, speculation.output, now)
        for follower in speculation.part(claimed=trigger is Trigger.CLAIM):
            self._end(follower, Trigger.DISCARD, now)
        if was is State.READY:
            self.staging.remove(speculation)
            if speculation.client and trigger is not Trigger.CLAIM:
                self._runs.out.append(DropResult(speculation.id, speculation.client))
            return was
        record = self._runs.find(speculation.id)
        if record is not None and trigger is Trigger.CLAIM and was is State.RUNNING:
            record.speculation = None
        elif record is not None:
            self._runs.drop(record)
        return was

    def _leave(self, call: PendingCall, now: float, *, stop: bool) -> None:
        """Nobody waits for this call's run. It keeps its slot and its open write until it has really ended."""
        record = self._runs.find(call.run)
        if record is None:
            return
        record.call = None
        if record.joined is not None:
            self._unused(record.spec, record.context.tenant, record.joined, now - record.started, None, now)
        if not record.handed_over:
            self._queue.remove(record.id)
            self._runs.take(record.id)
        elif stop:
            self._runs.out.append(CancelRun(record.id))

    def _time_out(self, call: PendingCall, now: float) -> None:
        record = self._runs.find(call.run)
        if record is not None and record.slotless and record.joined is None:
            return  # its client runs it for as long as it likes, and what it writes is open until then
        self._leave(call, now, stop=True)
        limit = f"{call.spec.timeout:g} s"
        self._fail(call, ToolTimeoutError(f"{call.spec.name} gave no result in {limit}", param=call.spec.name))

    def _answer(self, call: PendingCall, output: Output, service_s: float, saved_s: float, now: float) -> None:
        self._settle(call)
        self.ledger.call_answered(call, saved_s)
        self._runs.out.append(AnswerCall(call.id, call.outcome, output, service_s, saved_s))
        if call.outcome in ("reused", "joined"):
            self._second_looks.hit(call, output, now)

    def _unused(
        self,
        spec: ToolSpec,
        tenant: str,
        run_class: RunClass,
        seconds: float,
        output: Output | None,
        now: float,
    ) -> None:
        """A run ahead has served nobody; also one that was joined, and then failed or was left alone."""
        self.ledger.run_unused(spec, run_class, seconds, output.size if output is not None else 0)
        self.permits.waste.unused(spec.name, tenant, now)

    def _fail(self, call: PendingCall, error: PasteError) -> None:
        self._settle(call)
        self.ledger.calls_failed += 1
        self._runs.out.append(FailCall(call.id, call.outcome, error))

    def _settle(self, call: PendingCall) -> None:
        del self._calls[call.id]
        self._deadlines.cancel(call.timer)

    def _expire_later(self, speculation: Speculation) -> None:
        self._deadlines.cancel(speculation.timer)
        speculation.timer = self._deadlines.at(speculation.expires, lambda now: self._expire(speculation, now))

    def _expire(self, speculation: Speculation, now: float) -> None:
        if speculation.is_live:
            self._end(speculation, Trigger.EXPIRE, now)

    @property
    def live(self) -> int:
        """Speculations queued, running or ready."""
        return len(self._live)

    @property
    def open_scopes(self) -> int:
        """Scopes with a write open on them: nothing that reads them runs ahead."""
        return self.epochs.open_scopes
