"""The runs that the broker has asked for, from the wish for a slot to their end, and its decisions so far."""

from typing import Any

from paste_proxy.broker.speculation import RunRecord
from paste_proxy.events import CancelRun, Decision
from paste_proxy.schedule.queue import JointQueue
from paste_proxy.tools.ports import RunContext
from paste_proxy.tools.spec import ToolSpec


class Runs:
    def __init__(self, queue: JointQueue) -> None:
        self.out: list[Decision] = []
        """To be carried out; whoever holds the broker takes them."""
        self._queue = queue
        self._records: dict[str, RunRecord] = {}
        self._number = 0

    def new(
        self, spec: ToolSpec, arguments: dict[str, Any], context: RunContext, client: str = ""
    ) -> RunRecord:
        self._number += 1
        record = RunRecord(f"run-{self._number}", spec, arguments, context, client=client)
        self._records[record.id] = record
        return record

    def __getitem__(self, run: str) -> RunRecord:
        return self._records[run]

    def find(self, run: str) -> RunRecord | None:
        return self._records.get(run)

    def take(self, run: str) -> RunRecord | None:
        """It is known no more. None: it was not."""
        return self._records.pop(run, None)

    def drop(self, record: RunRecord) -> None:
        """A run ahead that nobody wants: it only reads, and can be ended at once, so its slot is free."""
        del self._records[record.id]
        if record.handed_over:
            self._queue.release(record.id)
            self.out.append(CancelRun(record.id))
        else:
            self._queue.remove(record.id)
