"""The broker: takes candidates on, runs them on slack, and releases a result to exactly the call it guessed.

Sans-IO: methods take the time and decide; `take_decisions` gives what was decided. What makes a released result
safe is in one place, `_usable`: same key (tenant, session, tool, all arguments), still allowed, not too old,
nothing that it read written since, and the same fingerprint where the tool has one.
"""

from paste_proxy.broker.ahead import RunsAhead
from paste_proxy.broker.given import Given, GivenHits
from paste_proxy.broker.lifecycle import State, Trigger
from paste_proxy.broker.permits import Permits
from paste_proxy.broker.sampling import Sampling
from paste_proxy.broker.speculation import PendingCall, RunRecord, Speculation
from paste_proxy.broker.staging import StagingLimits
from paste_proxy.deadlines import Deadlines
from paste_proxy.errors import PasteError, ToolError, ToolsBusyError, ToolTimeoutError
from paste_proxy.events import (
    AnswerCall,
    CancelRun,
    FailCall,
    PromoteRun,
    RunEnded,
    StartRun,
    TellClient,
    TellProgress,
)
from paste_proxy.schedule.queue import JointQueue
from paste_proxy.schedule.runs import Waiting
from paste_proxy.tools.ports import Output, Progress, Run, RunClass
from paste_proxy.tools.table import ToolTable


class Broker(RunsAhead):
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
        """`queued_calls`: authoritative calls that may wait; more are refused."""
        super().__init__(
            specs,
            queue=queue,
            deadlines=deadlines,
            staging=staging,
            permits=permits,
            sampling=sampling,
            min_service_s=min_service_s,
        )
        self._queued_calls = queued_calls
        self._calls: dict[str, PendingCall] = {}
        self._given = GivenHits()

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
        speculation = self._live.find(call.key)
        if speculation is None:
            return False
        if speculation.expires <= now:
            self._end(speculation, Trigger.EXPIRE, now)
            return False
        if speculation.spec.effect.prepares:
            self._meet(speculation, call, now)
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

    def _meet(self, speculation: Speculation, call: PendingCall, now: float) -> None:
        """What prepares the call is done, or comes too late: the call does the same itself now."""
        if speculation.state is State.WARM:
            call.outcome = "warmed"
            self._end(speculation, Trigger.CLAIM, now)
        else:
            self._end(speculation, Trigger.DISCARD, now)

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
            call.outcome, call.run = "reused", speculation.id
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
        """A client runs a call that was prepared as any other that it runs itself."""
        told = "executed" if call.outcome == "warmed" else call.outcome
        self._runs.out.append(TellClient(call.id, told, run, call.context.session))

    # -- runs ---------------------------------------------------------------------------------------------

    def start(self, item: Waiting, now: float) -> None:
        """The queue gave a slot to this run. What it reads is of now at the earliest."""
        self._hand_over(self._runs[item.id], item.run_class, now)

    def _hand_over(self, record: RunRecord, run_class: RunClass, now: float) -> None:
        record.handed_over, record.handed_at = True, now
        if record.speculation is not None:
            record.speculation.stamp = self.epochs.stamp(record.speculation.reads)
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
            source = self.specs.source(record.spec.name)
            self.overheads.began(record.spec.name, source, now - record.handed_at)
            self.ledger.run_started(record.speculation)
            self._expire_later(record.speculation)

    def progressed(self, run: str, progress: Progress) -> None:
        """Told to the call that the run is for, if there is one yet."""
        record = self._runs.find(run)
        if record is not None and record.call is not None:
            self._runs.out.append(TellProgress(record.call.id, progress))

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
        if ended.output is not None and record.tells_service_time:
            self.ledger.served(record.spec.name, now - record.started)
            self.values.served(record.spec.name, now - record.started)
            self.overheads.ran(record.spec.name, now - record.started, ahead=record.is_ahead)
        if record.sample is not None:
            if self._second_looks.ended(record, record.sample, ended.output):
                self._end_all_of(record.spec.name, Trigger.VOID, now)
        elif record.speculation is not None:
            self._stage(record.speculation, ended, now)
            return record.speculation if record.speculation.state is State.READY else None
        elif record.call is not None:
            self._finish(record, record.call, ended, now)
        return None

    # -- answers ------------------------------------------------------------------------------------------

    def _finish(self, record: RunRecord, call: PendingCall, ended: RunEnded, now: float) -> None:
        service, output = now - record.started, ended.output
        if record.joined is not None and not record.serves(call, output, ended.fingerprint):
            self._unused(record.spec, record.context.tenant, record.joined, service, output, now)
            call.outcome, call.decided = "executed", False
            self._execute(call, now)
        elif output is not None:
            saved = max(0.0, call.issued - record.started) if record.joined is not None else 0.0
            self._answer(call, output, service, saved, now)
            if record.refused:
                self.hit_refused(record.client, record.id, now)
        else:
            nothing = ToolError("the run ended without a result", param=call.spec.name)
            self._fail(call, ended.error or nothing)

    def _answer(self, call: PendingCall, output: Output, service_s: float, saved_s: float, now: float) -> None:
        self._settle(call)
        self.ledger.call_answered(call, saved_s)
        self._runs.out.append(AnswerCall(call.id, call.outcome, output, service_s, saved_s))
        if call.outcome in ("reused", "joined"):
            self._second_looks.hit(call, output, now)
            if call.client:
                self._gave(call, output, service_s, saved_s)

    def _gave(self, call: PendingCall, output: Output, service_s: float, saved_s: float) -> None:
        run_class = RunClass.DECIDED if call.decided else RunClass.SPECULATIVE
        served, tenant = self.ledger.name_of(call), call.context.tenant
        given = Given(call.client, call.spec, tenant, run_class, served, service_s, output.size, saved_s)
        self._given.gave(call.run, given)

    def hit_refused(self, client: str, run: str, now: float) -> None:
        """The client did not give out the result that a call was to get, and the run served nobody."""
        record = self._runs.find(run)
        if record is not None:
            record.refused |= record.client == client and record.call is not None and record.joined is not None
        elif (given := self._given.refused(client, run)) is not None:
            self.ledger.hit_refused(given.served, given.saved_s)
            self.ledger.run_unused(given.spec, given.run_class, given.service_s, given.size)
            self.permits.waste.unused(given.spec.name, given.tenant, now)

    def _fail(self, call: PendingCall, error: PasteError) -> None:
        self._settle(call)
        self.ledger.calls_failed += 1
        self._runs.out.append(FailCall(call.id, call.outcome, error))

    def _time_out(self, call: PendingCall, now: float) -> None:
        record = self._runs.find(call.run)
        if record is not None and record.slotless and record.joined is None:
            return  # its client runs it for as long as it likes, and what it writes is open until then
        self._leave(call, now, stop=True)
        limit = f"{call.spec.timeout:g} s"
        self._fail(call, ToolTimeoutError(f"{call.spec.name} gave no result in {limit}", param=call.spec.name))

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

    def _settle(self, call: PendingCall) -> None:
        del self._calls[call.id]
        self._deadlines.cancel(call.timer)
