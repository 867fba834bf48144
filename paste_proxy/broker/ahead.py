"""What runs ahead of its call: taken on, staged, and ended, by whatever makes it worthless.

Knows nothing of who may ask for a result: that is the broker's, which stands on this.
"""

from collections.abc import Container

from paste_proxy.broker.clients import Clients
from paste_proxy.broker.contest import Contest
from paste_proxy.broker.keys import CallKey, call_key
from paste_proxy.broker.ledger import Ledger
from paste_proxy.broker.lifecycle import SERVED, State, Trigger
from paste_proxy.broker.live import Live
from paste_proxy.broker.overheads import Overheads
from paste_proxy.broker.owners import Owners
from paste_proxy.broker.permits import EVERY_TOOL, Permits
from paste_proxy.broker.runs import Runs
from paste_proxy.broker.sampling import Sampling
from paste_proxy.broker.scopes import Epochs, overlap
from paste_proxy.broker.second_looks import SecondLooks
from paste_proxy.broker.speculation import Speculation
from paste_proxy.broker.staging import Staging, StagingLimits
from paste_proxy.config import SpeculationConfig
from paste_proxy.deadlines import Deadlines
from paste_proxy.events import (
    Decision,
    DropResult,
    RunEnded,
)
from paste_proxy.predict.model import Call, Prediction
from paste_proxy.predict.value import ValueModel
from paste_proxy.schedule.queue import JointQueue
from paste_proxy.schedule.runs import Waiting
from paste_proxy.tools.ports import Output, RunClass, RunContext
from paste_proxy.tools.spec import ToolSpec
from paste_proxy.tools.table import ToolTable


class RunsAhead:
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
    ) -> None:
        self.specs = specs
        self.permits = permits
        self.clients = Clients()
        self.epochs = Epochs()
        self.owners = Owners(self.epochs)
        self.ledger = Ledger()
        self.overheads = Overheads()
        self.values = ValueModel()
        self.pressure = queue.pressure
        self._queue = queue
        self._deadlines = deadlines
        self.staging = Staging(staging)
        self.min_service_s = min_service_s
        self._live = Live()
        self._contest = Contest(queue.speculative_limit)
        self._runs = Runs(queue)
        self._second_looks = SecondLooks(
            sampling,
            runs=self._runs,
            queue=queue,
            deadlines=deadlines,
            epochs=self.epochs,
            owners=self.owners,
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

    # -- taking on ----------------------------------------------------------------------------------------

    def may_run_ahead(self, tool: str) -> bool:
        """Tools that are known to be shorter than what running ahead costs stay home, unless the operator says
        that none are too short."""
        if tool not in self.specs or not self.permits.allows(self.specs[tool]):
            return False
        if not self.min_service_s:
            return True
        least = max(self.min_service_s, self.overheads.of(tool, self.specs.source(tool)))
        return self.ledger.service_s.get(tool, least) >= least

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
        reads = self._reads(spec, context)
        if self.epochs.is_open(reads) or not self.specs.serves(call.tool, context.tenant, client):
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
        record.speculation, speculation.reads = speculation, reads
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

    def _reads(self, spec: ToolSpec, context: RunContext) -> frozenset[str]:
        """Of what a write can void: what only prepares a call gives nothing that could be out of date, and its
        call may be that write, open from its name on."""
        return frozenset() if spec.effect.prepares else self.owners.read(spec.reads, context.session)

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

    # -- results ------------------------------------------------------------------------------------------

    def _stage(self, speculation: Speculation, ended: RunEnded, now: float) -> None:
        """A speculative run has ended: keep its result aside. An error is never kept."""
        speculation.completed = now
        self.permits.budgets.end(speculation.id, started=True)
        if ended.output is None:
            self._end(speculation, Trigger.FAIL, now)
            return
        if speculation.spec.effect.prepares:
            speculation.move(Trigger.WARM)
            self._expire_later(speculation)
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

    def staged(self, key: CallKey) -> Speculation | None:
        """The one of this key whose result is kept aside."""
        found = self._live.find(key)
        return found if found is not None and found.state is State.READY else None

    # -- writes -------------------------------------------------------------------------------------------

    def begin_write(self, scopes: frozenset[str], now: float) -> None:
        """A write has begun: whatever read these scopes ahead of its call is worthless."""
        self.epochs.begin_write(scopes)
        for speculation in self._live:
            if speculation.is_live and overlap(speculation.reads, scopes):
                self._end(speculation, Trigger.VOID, now)

    def end_write(self, scopes: frozenset[str], now: float) -> None:
        self.epochs.end_write(scopes)

    # -- endings ------------------------------------------------------------------------------------------

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

    def discard_session(self, session: str, now: float) -> None:
        for speculation in self._live.of_session(session):
            self.discard(speculation, now)

    def discard(self, speculation: Speculation, now: float) -> None:
        """Not wanted any more; it may have ended before."""
        if speculation.is_live:
            self._end(speculation, Trigger.DISCARD, now)

    def end_chains(self, session: str, asked: Container[tuple[str, str]], now: float) -> None:
        """The session's turn is over, and asked for these calls, by tool and canonical arguments: what was only
        expected behind others will not come."""
        for speculation in self._live.behind_others(session, asked):
            self.discard(speculation, now)

    def discard_waiting(self, session: str, now: float) -> None:
        """The turn that the session's guesses were for is over: those that have not begun are too late, but for
        those of a later turn."""
        for speculation in self._live.too_late(session):
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

    def configure(self, speculation: SpeculationConfig, now: float) -> None:
        """What the operator allows from now on. Of tools that are no longer listed nothing is kept."""
        self.min_service_s = speculation.min_service_s
        self.sampling.configure(speculation.sample)
        allowed = frozenset(speculation.allow) if speculation.mode == "on" else frozenset()
        for tool in self.permits.configure(allowed, speculation):
            self._end_all_of(tool, Trigger.DISCARD, now)

    def client_gone(self, client: str, now: float) -> None:
        """What it ran ahead is lost. Its calls are its own to finish: whoever lost it abandons them."""
        self.clients.gone(client)
        for speculation in self._live:
            if speculation.client == client and speculation.is_live:
                self._end(speculation, Trigger.VOID, now)
        self._second_looks.drop_all_at(client)

    def _end_all_of(self, tool: str, trigger: Trigger, now: float) -> None:
        for speculation in self._live:
            if speculation.is_live and tool in (speculation.spec.name, EVERY_TOOL):
                self._end(speculation, trigger, now)
        self._second_looks.drop_all_of(tool)

    def _end(self, speculation: Speculation, trigger: Trigger, now: float) -> State:
        """Move a live speculation to its end and free what it held. The state before is returned."""
        was = speculation.move(trigger)
        self._live.remove(speculation)
        self._contest.leave(speculation.id)
        self._deadlines.cancel(speculation.timer)
        self.permits.budgets.end(speculation.id, started=was is not State.QUEUED)
        self.ledger.speculation_ended(speculation)
        if was is not State.QUEUED and speculation.state not in SERVED:
            ended = speculation.completed if was in (State.READY, State.WARM) else now
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
