"""A desk to play the broker at: its queue, a virtual clock, and decisions as short words."""

from collections.abc import Mapping
from typing import Any

import msgspec

from paste_proxy.broker.broker import Broker
from paste_proxy.broker.budgets import Budgets
from paste_proxy.broker.keys import CallKey, call_key
from paste_proxy.broker.permits import Permits
from paste_proxy.broker.sampling import Sampling
from paste_proxy.broker.speculation import PendingCall
from paste_proxy.broker.staging import StagingLimits
from paste_proxy.broker.waste import WasteCap
from paste_proxy.config import BudgetConfig
from paste_proxy.deadlines import Deadlines
from paste_proxy.errors import ToolError
from paste_proxy.events import AnswerCall, CancelRun, FailCall, PromoteRun, RunEnded, StartRun
from paste_proxy.predict.model import Call
from paste_proxy.schedule.queue import Capacity, JointQueue
from paste_proxy.tools.ports import Output, RunClass, RunContext
from paste_proxy.tools.spec import Effect, ToolSpec
from paste_proxy.tools.table import ToolTable

S1 = RunContext("tenant", "s1")
S2 = RunContext("tenant", "s2")
UNTIED = RunContext("tenant", "")

READ = ToolSpec(
    "read",
    "",
    {},
    effect=Effect.READ,
    reads=frozenset("a"),
    writes=frozenset(),
    max_age=20,
    retention=10,
    timeout=30,
)
FAST = msgspec.structs.replace(READ, name="fast")
WRITE = ToolSpec("write", "", {}, reads=frozenset(), writes=frozenset("a"), timeout=30)
BOOK = msgspec.structs.replace(WRITE, name="book", effect=Effect.WARM, reads=frozenset("a"), retention=10)
SPECS = {spec.name: spec for spec in (READ, FAST, WRITE, BOOK)}


def key_of(tool: str, k: int, context: RunContext) -> CallKey:
    return call_key(context.tenant, context.session, SPECS[tool], {"k": k})


class Desk:
    """A broker, its queue and a virtual clock; decisions are given as short words."""

    def __init__(
        self,
        allowed: str = "read fast",
        slots: int = 4,
        speculative: int = 3,
        queued: int = 9,
        min_service_s: float = 0.0,
        budgets: Mapping[str, BudgetConfig] | None = None,
        waste: float = 0.0,
        sample: float = 0.0,
        **caps: int,
    ):
        self.now = 0.0
        self.prompt = True
        """Runs begin as soon as they are started; else the test says when."""
        self.deadlines = Deadlines()
        self.queue = JointQueue(
            Capacity(
                lambda _: 0, slots, 0, speculative, {"read": 3, "fast": 3, "write": 1, "book": 2}.__getitem__
            )
        )
        self.broker = Broker(
            ToolTable(SPECS),
            queue=self.queue,
            deadlines=self.deadlines,
            staging=StagingLimits(**{"result": 100, "session": 150, "total": 200, **caps}),
            permits=Permits(frozenset(allowed.split()), Budgets(budgets or {}), WasteCap(waste)),
            sampling=Sampling(sample),
            min_service_s=min_service_s,
            queued_calls=queued,
        )

    def guess(
        self, k: int = 1, context: RunContext = S1, tool: str = "read", *, sealed: bool = False
    ) -> list[str]:
        run_class = RunClass.DECIDED if sealed else RunClass.SPECULATIVE
        self.broker.offer(context, Call(tool, {"k": k}), run_class, self.now)
        return self.decisions()

    def call(
        self,
        name: str,
        k: int = 1,
        context: RunContext = S1,
        tool: str = "read",
        fingerprint: bytes | None = None,
    ) -> list[str]:
        call = PendingCall(
            name, SPECS[tool], {"k": k}, context, key_of(tool, k, context), self.now, fingerprint
        )
        self.broker.call(call, self.now)
        return self.decisions()

    def ended(
        self,
        run: str,
        text: str | None = "result",
        fingerprint: bytes | None = None,
        max_age: float | None = None,
    ) -> list[str]:
        output = None if text is None else Output(text.encode(), is_text=True, max_age=max_age)
        error = None if output else ToolError("it broke")
        self.broker.run_ended(RunEnded(run, output, error, fingerprint), self.now)
        return self.decisions()

    def at(self, now: float) -> list[str]:
        self.now = now
        self.deadlines.run_due(now)
        return self.decisions()

    def decisions(self) -> list[str]:
        while True:
            for item in self.queue.startable():
                self.broker.start(item, self.now)
            if not any(self.broker.preempt(starved, self.now) for starved in self.queue.starved()):
                break
        out = self.broker.take_decisions()
        for decision in out if self.prompt else ():
            if isinstance(decision, StartRun):
                self.broker.began(decision.run.run, self.now)
        return [_word(decision) for decision in out]


def _word(decision: Any) -> str:
    match decision:
        case StartRun(run):
            return f"start {run.run} {run.tool} {run.run_class.name.lower()}"
        case CancelRun(run):
            return f"cancel {run}"
        case PromoteRun(run):
            return f"promote {run}"
        case AnswerCall(call, outcome, output, service, saved):
            return f"answer {call} {outcome} {output.body.decode()} {service:g} {saved:g}"
        case FailCall(call, outcome, error):
            return f"fail {call} {outcome} {error.code}"
    raise AssertionError(decision)
