"""The broker's book-keeping: every call and every speculation is counted exactly once, when it ends."""

from collections import Counter
from dataclasses import dataclass, field

from paste_proxy.broker.lifecycle import State
from paste_proxy.broker.speculation import PendingCall, Speculation
from paste_proxy.tools.ports import RunClass
from paste_proxy.tools.spec import ToolSpec

SERVICE_WEIGHT = 0.2
"""Weight of the newest service time in the running mean: follows a change within about ten calls."""
KEPT = 1024
"""Tools whose mean is kept, the longest unused goes first: clients bring tools of any name."""


@dataclass
class Ledger:
    """Seconds and bytes count runs, not waiting. `decided` runs are kept apart from predicted ones."""

    hits: Counter[str] = field(default_factory=Counter)
    """Authoritative calls by how they were served: reused, joined, promoted, executed; warmed (executed, after
    what prepares it had run ahead); decided (a call whose run was started when it was sealed in the stream) is
    a category of its own; failed calls are apart."""
    refused: Counter[str] = field(default_factory=Counter)
    """Of `hits` those whose result the client did not give out after all, and ran the call itself."""
    refused_s: float = 0.0
    """Of `saved_s` what was theirs."""
    started: Counter[str] = field(default_factory=Counter)
    """Runs ahead that were started, by class: speculative, decided."""
    ended: Counter[str] = field(default_factory=Counter)
    """Predicted speculations by their last state."""
    unused: Counter[str] = field(default_factory=Counter)
    """Runs ahead that were started and served nobody, by class."""
    unused_of: Counter[str] = field(default_factory=Counter)
    """The same by tool."""
    prepared: Counter[str] = field(default_factory=Counter)
    """Runs ahead that only prepare a call (effects `warm`, `dry_run`): started, unused. They are in no other
    count of runs, since they can be no hit."""
    chained: Counter[str] = field(default_factory=Counter)
    """Of the predicted ones those that were started behind a staged result: started, claimed."""
    wasted_worker_s: float = 0.0
    wasted_bytes: int = 0
    wasted_price: float = 0.0
    """What unused runs and second looks cost, in the currency of the tools' `price`."""
    saved_s: float = 0.0
    calls_failed: int = 0
    calls_abandoned: int = 0
    """Authoritative calls whose caller left before the answer."""
    service_s: dict[str, float] = field(default_factory=dict)
    """Running mean of a tool's service time in seconds."""

    def call_answered(self, call: PendingCall, saved_s: float) -> None:
        self.hits[self.name_of(call)] += 1
        self.saved_s += saved_s

    def name_of(self, call: PendingCall) -> str:
        """By which of `hits` it is counted."""
        return "decided" if call.decided else call.outcome

    def hit_refused(self, served: str, saved_s: float) -> None:
        """`served`: by which of `hits` the call was counted. Counts only grow, so this is one of its own."""
        self.refused[served] += 1
        self.refused_s += saved_s

    def served_by(self, name: str) -> int:
        """Calls by how they were served in the end."""
        if name == "executed":
            return self.hits[name] + self.refused.total()
        return self.hits[name] - self.refused[name]

    @property
    def used(self) -> int:
        """Predicted runs whose result a call really got."""
        return self.served_by("reused") + self.served_by("joined")

    def run_started(self, speculation: Speculation) -> None:
        if speculation.spec.effect.prepares:
            self.prepared["started"] += 1
        else:
            self.started[speculation.run_class.name.lower()] += 1
        self.chained["started"] += speculation.is_chained

    def speculation_ended(self, speculation: Speculation) -> None:
        if speculation.run_class is RunClass.SPECULATIVE:
            self.ended[speculation.state.value] += 1
        if speculation.state in (State.REUSED, State.JOINED):
            self.chained["claimed"] += speculation.is_chained

    def run_unused(self, spec: ToolSpec, run_class: RunClass, seconds: float, size: int) -> None:
        """A run ahead was started and served nobody."""
        if spec.effect.prepares:
            self.prepared["unused"] += 1
        else:
            self.unused[run_class.name.lower()] += 1
        self.unused_of[spec.name] += 1
        self.wasted_worker_s += seconds
        self.wasted_bytes += size
        self.wasted_price += spec.price

    def looked_again(self, spec: ToolSpec) -> None:
        """A hit was run again, for whose result nobody waits."""
        self.wasted_price += spec.price

    def served(self, tool: str, seconds: float) -> None:
        before = self.service_s.pop(tool, seconds)
        self.service_s[tool] = before + SERVICE_WEIGHT * (seconds - before)
        if len(self.service_s) > KEPT:
            del self.service_s[next(iter(self.service_s))]
