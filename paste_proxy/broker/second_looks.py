"""Hits that are run once more, on slack, to compare what was released with what the call gives now."""

from collections.abc import Callable

from paste_proxy.broker.ledger import Ledger
from paste_proxy.broker.owners import Owners
from paste_proxy.broker.permits import EVERY_TOOL, Permits
from paste_proxy.broker.runs import Runs
from paste_proxy.broker.sampling import START_WITHIN_S, Sample, Sampling
from paste_proxy.broker.scopes import Epochs
from paste_proxy.broker.speculation import PendingCall, RunRecord
from paste_proxy.deadlines import Deadlines
from paste_proxy.events import DropResult
from paste_proxy.schedule.queue import JointQueue
from paste_proxy.tools.ports import Output, RunClass


class SecondLooks:
    def __init__(
        self,
        sampling: Sampling,
        *,
        runs: Runs,
        queue: JointQueue,
        deadlines: Deadlines,
        epochs: Epochs,
        owners: Owners,
        permits: Permits,
        ledger: Ledger,
    ) -> None:
        self.sampling = sampling
        self._runs = runs
        self._queue = queue
        self._deadlines = deadlines
        self._epochs = epochs
        self._owners = owners
        self._permits = permits
        self._ledger = ledger
        self._records: dict[str, RunRecord] = {}

    def hit(self, call: PendingCall, output: Output, now: float) -> None:
        """A call was served ahead: whether that is looked at again."""
        if not self.sampling.is_due(call.spec.name) or (output.kept is not None and not output.digest):
            return  # the second: nothing tells what it is
        budgets = self._permits.budgets
        if not self._permits.allows(call.spec) or not budgets.admits(call.spec, call.context, now):
            return
        record = self._runs.new(call.spec, call.arguments, call.context, call.client)
        reads = self._owners.read(call.spec.reads, call.context.session)
        record.sample = Sample(call.spec, output, self._epochs.stamp(reads))
        self._records[record.id] = record
        budgets.begin(record.id, call.spec, call.context, now)
        self._queue.add(record.id, call.spec.name, RunClass.SPECULATIVE)
        self._deadlines.at(now + START_WITHIN_S, lambda _now: self._drop_late(record))

    def ended(self, record: RunRecord, sample: Sample, output: Output | None) -> bool:
        """What the second run gave. True: the tool is more volatile than declared, and runs ahead no more. A
        difference that an observed write explains says nothing."""
        self._settle(record)
        if record.client:
            self._runs.out.append(DropResult(record.id, record.client))
        if output is None or not self._epochs.is_current(sample.stamp):
            return False
        if not self.sampling.compare(sample, output):
            return False
        self._permits.volatile[record.spec.name] = record.spec
        return True

    def give_way(self, tool: str | None) -> bool:
        """Free a slot (of `tool`) for somebody else; False: none has one."""
        return self._drop(lambda one: one.handed_over and tool in (None, one.spec.name), most=1)

    def drop_all_of(self, tool: str) -> None:
        self._drop(lambda one: tool in (one.spec.name, EVERY_TOOL))

    def drop_all_at(self, client: str) -> None:
        self._drop(lambda one: one.client == client)

    def _drop_late(self, record: RunRecord) -> None:
        self._drop(lambda one: one is record and not one.handed_over)

    def _drop(self, unwanted: Callable[[RunRecord], bool], most: int | None = None) -> bool:
        dropped = [one for one in self._records.values() if unwanted(one)][:most]
        for record in dropped:
            self._settle(record)
            self._runs.drop(record)
        return bool(dropped)

    def _settle(self, record: RunRecord) -> None:
        del self._records[record.id]
        self._permits.budgets.end(record.id, started=record.handed_over)
        if record.handed_over:
            self._ledger.looked_again(record.spec)
