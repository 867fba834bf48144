"""The records that the broker keeps: speculations, authoritative calls, and the runs that serve them."""

from dataclasses import dataclass, field
from typing import Any

from paste_proxy.broker.keys import CallKey
from paste_proxy.broker.lifecycle import LIVE, State, Trigger, transition
from paste_proxy.broker.sampling import Sample
from paste_proxy.broker.scopes import Stamp
from paste_proxy.deadlines import Timer
from paste_proxy.predict.model import Prediction
from paste_proxy.tools.ports import Output, RunClass, RunContext
from paste_proxy.tools.spec import ToolSpec


@dataclass(eq=False, slots=True)
class Speculation:
    """A candidate that the broker took on. `id` is also the id of its run."""

    id: str
    key: CallKey
    spec: ToolSpec
    arguments: dict[str, Any]
    run_class: RunClass
    created: float
    prediction: Prediction | None = None
    """What is told of it; None for a sealed call."""
    client: str = ""
    """Who runs it and keeps its result, where that is a client."""
    state: State = State.QUEUED
    started: float = 0.0
    completed: float = 0.0
    reads: frozenset[str] = frozenset()
    """The scopes that it reads, with what is its session's own."""
    stamp: Stamp | None = None
    output: Output | None = None
    fingerprint: bytes | None = None
    timer: Timer | None = None
    """Its expiry."""
    parent: "Speculation | None" = None
    """It is expected only if that one's call comes, which nobody has claimed yet."""
    followers: list["Speculation"] = field(default_factory=list)
    """Those that had it for a parent; some may have ended."""
    is_chained: bool = False
    """It had a parent when it was taken on."""
    turns_ahead: int = 0
    """Turns that end before the one that it is for."""

    def __post_init__(self) -> None:
        self._tell()

    def move(self, trigger: Trigger) -> State:
        """The state before `trigger`."""
        before = self.state
        self.state = transition(before, trigger)
        self._tell()
        return before

    # -- chains -------------------------------------------------------------------------------------------

    def follow(self, parent: "Speculation") -> None:
        self.parent, self.is_chained = parent, True
        self.turns_ahead = len(parent.path)
        parent.followers.append(self)

    def stand_alone(self) -> None:
        """It is expected in its own right, in the turn under way."""
        self.parent, self.turns_ahead = None, 0

    def part(self, *, claimed: bool) -> list["Speculation"]:
        """It has ended; claimed, its followers go on by themselves. Those that end with it."""
        mine = [one for one in self.followers if one.parent is self and one.is_live]
        self.followers = []
        for follower in mine:
            follower.parent = None
        return [] if claimed else mine

    @property
    def path(self) -> list["Speculation"]:
        """Those that must be asked for before it, one after the other, and itself."""
        return [*self.parent.path, self] if self.parent is not None else [self]

    def _tell(self) -> None:
        if self.prediction is not None:
            self.prediction.outcome = self.state.value

    @property
    def worth(self) -> float:
        """Seconds that it is expected to save, waste deducted."""
        return self.prediction.value_s if self.prediction is not None else 0.0

    @property
    def is_live(self) -> bool:
        return self.state in LIVE

    @property
    def expires(self) -> float:
        """When it becomes useless: `max_age`, of tool and result, counts from the start of the run, retention
        from its end. What prepares a call has no result that ages."""
        prepares = self.spec.effect.prepares
        max_age = self.spec.timeout if prepares else self.spec.max_age
        if self.state is State.QUEUED:
            oldest, predicted = self.created + max_age, self.run_class is RunClass.SPECULATIVE
            return min(oldest, self.prediction.start_by) if self.prediction and predicted else oldest
        if self.state is State.WARM:
            return self.completed + self.spec.retention
        oldest = self.started + max_age
        if self.output is not None and self.output.max_age is not None:
            oldest = min(oldest, self.started + self.output.max_age)
        if self.state is State.READY:
            return min(oldest, self.completed + self.spec.retention)
        return oldest


@dataclass(eq=False, slots=True)
class PendingCall:
    """An authoritative call that waits for its answer."""

    id: str
    spec: ToolSpec
    arguments: dict[str, Any]
    context: RunContext
    key: CallKey
    issued: float
    fingerprint: bytes | None
    outcome: str = "executed"
    decided: bool = False
    """Served by a run that was started when its call was sealed, rather than predicted."""
    run: str = ""
    client: str = ""
    """Whose wrapped tool it is, and who runs it."""
    timer: Timer | None = None
    """Its timeout."""


@dataclass(eq=False, slots=True)
class RunRecord:
    """A run that is queued or running, and for whom. A run for nobody (its caller left) still has its slot."""

    id: str
    spec: ToolSpec
    arguments: dict[str, Any]
    context: RunContext
    call: PendingCall | None = None
    speculation: Speculation | None = None
    sample: Sample | None = None
    """It looks again at what was released."""
    client: str = ""
    """Who runs it, where that is a client."""
    slotless: bool = False
    """It holds no slot: a client runs its own call when it likes, as it would without us."""
    handed_over: bool = False
    """The executor has it; it may wait there for a worker still."""
    handed_at: float = 0.0
    started: float = 0.0
    """When its function began."""
    joined: RunClass | None = None
    """The class of the speculation that it was, if a call joined it."""
    refused: bool = False
    """Its client, which knows of its end first, has not given its result to the call that joined it."""
    writing: frozenset[str] = field(default=frozenset())
    """Scopes of the write that this run has open."""

    @property
    def is_ahead(self) -> bool:
        """It was begun as no call's own."""
        return self.speculation is not None or self.joined is not None or self.sample is not None

    @property
    def tells_service_time(self) -> bool:
        """Whether it takes the time that a run ahead can hide: of what prepares calls that is its own time."""
        return not self.spec.effect.prepares or self.speculation is not None

    def serves(self, call: PendingCall, output: Output | None, fingerprint: bytes | None) -> bool:
        """Whether a joined run gave what the call could have got: it began before the call was there."""
        if output is None or fingerprint != call.fingerprint:
            return False
        return output.max_age is None or call.issued - self.started <= output.max_age
