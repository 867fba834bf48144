"""The core: all LLM turns and tool runs pass it. No I/O, no clock: `handle(event, now) -> decisions`."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from paste_proxy.assembling import broker_of, capacity_of
from paste_proxy.broker.keys import CallKey, canonical_text
from paste_proxy.broker.speculation import PendingCall
from paste_proxy.config import Config
from paste_proxy.deadlines import Deadlines
from paste_proxy.errors import PasteError, SupersededError, UnknownToolError
from paste_proxy.events import (
    AnswerCall,
    BackendDown,
    BackendDraining,
    BackendRemoved,
    BackendTold,
    BackendUp,
    CallAbandoned,
    CallRequested,
    ClientGone,
    ClientOffered,
    ConfigChanged,
    Decision,
    Event,
    FailCall,
    FailTurn,
    HitRefused,
    ProxyStopping,
    RunBegan,
    RunEnded,
    RunProgressed,
    SessionOver,
    SpeculationSwitched,
    TimePassed,
    ToolsOffered,
    TurnBegan,
    TurnClosed,
    TurnRefused,
    TurnRequested,
    TurnSent,
    TurnStreamed,
    WarmEnded,
)
from paste_proxy.holds import Holds
from paste_proxy.offering import Offering
from paste_proxy.pacing import Pacing
from paste_proxy.placing import Placing
from paste_proxy.predict.model import Predictor
from paste_proxy.schedule.policies import lanes_of
from paste_proxy.schedule.queue import TURNS, JointQueue, is_turns, turn_lane
from paste_proxy.schedule.runs import Waiting
from paste_proxy.sessions.table import SessionTable
from paste_proxy.succession import Hold, Same
from paste_proxy.tools.arguments import decode_arguments
from paste_proxy.tools.paging import why_never
from paste_proxy.tools.ports import RunContext
from paste_proxy.tools.spec import Effect, ToolSpec
from paste_proxy.tools.table import ToolTable
from paste_proxy.turns import Turns
from paste_proxy.warming import Warming


class Caller(msgspec.Struct, frozen=True):
    """Whose call it is, as far as that is known."""

    session: str
    tool: str
    tool_call_id: str


class Core:
    """Deterministic: the same events at the same times give the same decisions."""

    def __init__(self, tools: ToolTable, config: Config, predictor: Predictor) -> None:
        self.tools = tools
        self.deadlines = Deadlines()
        self._max_turns: dict[str, int] = {}
        """By lane; 0: no limit."""
        self._config = config
        lanes = lanes_of(config.schedule.policy, self._share)
        self.queue = JointQueue(capacity_of(tools, config, self._max_turns), lanes)
        self.broker = broker_of(tools, config, self.queue, self.deadlines)
        self.turns = Turns(
            self.broker,
            predictor,
            SessionTable(config.limits.sessions, config.limits.session_idle_s),
            speculation=config.speculation,
            deadlines=self.deadlines,
            client_tools=config.client_tools,
            prefixes=config.client_prefixes,
            permits=self._permits,
        )
        self.pacing = Pacing(self.queue, config, self.broker.decide)
        self.placing = Placing(config.all_backends, self.queue, self.pacing, self.broker.decide)
        self.warming = Warming(
            config, self.pacing, self.placing.placement, self.broker.permits, self.deadlines, self.broker.decide
        )
        self._limit_turns(config)
        self.offering = Offering(tools, config.speculation, self.broker, self.queue)
        self.holds = Holds(
            self.deadlines,
            self._overdue,
            max_hold_s=config.schedule.max_hold_s,
            limit=config.limits.queued_turns,
        )
        self._callers: dict[str, Caller] = {}
        """Of the calls that wait for their answer."""
        self._handlers = self._handlers_by_event()

    def _handlers_by_event(self) -> dict[type[Any], Callable[[Any, float], None]]:
        return {
            TurnRequested: self._turn_requested,
            TurnSent: self._turn_sent,
            TurnBegan: lambda event, now: self.pacing.began(event.turn, now),
            TurnStreamed: self._turn_streamed,
            TurnRefused: self._turn_refused,
            TurnClosed: self._turn_closed,
            BackendUp: lambda event, now: self.placing.up(event.backend, event.capacity),
            BackendDown: lambda event, now: self.placing.down(event.backend, now),
            BackendDraining: lambda event, now: self.placing.drain(event.backend, on=event.on),
            ConfigChanged: self._config_changed,
            BackendRemoved: lambda event, now: self.placing.remove(event.backend, now),
            BackendTold: lambda event, now: self.placing.told(event.backend, event.load),
            CallRequested: self._call_requested,
            CallAbandoned: self._call_abandoned,
            RunBegan: lambda event, now: self.broker.began(event.run, now),
            RunProgressed: lambda event, now: self.broker.progressed(event.run, event.progress),
            ToolsOffered: lambda event, now: self.offering.tools_offered(event.source, event.specs, now),
            SpeculationSwitched: self._speculation_switched,
            WarmEnded: lambda event, now: self.warming.ended(event),
            ClientOffered: self.offering.client_offered,
            ClientGone: lambda event, now: self.offering.client_gone(event.client, now),
            HitRefused: lambda event, now: self.broker.hit_refused(event.client, event.run, now),
            ProxyStopping: lambda event, now: self._send_away(self.holds.stop()),
            TimePassed: self._time_passed,
        }

    def handle(self, event: Event, now: float) -> list[Decision]:
        if type(event) is RunEnded:  # before its own deadlines: it did end, if late
            self._run_ended(event, now)
            self.deadlines.run_due(now)
        else:
            self.deadlines.run_due(now)
            self._handlers[type(event)](event, now)
        self._fill_slots(now)
        self._settle(now)
        self.warming.settle(now)
        out = self.broker.take_decisions()
        for decision in out:
            if isinstance(decision, AnswerCall | FailCall):
                self._served(decision, now)
            elif isinstance(decision, SessionOver):
                self.warming.over(decision.session)
        return out

    @property
    def listens(self) -> bool:
        """Whether it wants to hear what replies say before and inside their calls."""
        return self.turns.expectations.listens

    def next_deadline(self) -> float | None:
        """When to send `TimePassed` at the latest, in the time of `now`."""
        moments = (self.deadlines.next(), self.turns.table.next_deadline(), self.pacing.next_deadline())
        return min((at for at in moments if at is not None), default=None)

    def _time_passed(self, _event: TimePassed, now: float) -> None:
        self.turns.expire(now)
        self.pacing.expire(now)

    # -- LLM turns ----------------------------------------------------------------------------------------

    def _turn_requested(self, event: TurnRequested, now: float) -> None:
        self.turns.expire(now)
        same = None
        if event.request is not None:
            same = Same(event.identity.tenant, event.identity.session, event.request.body_digest)
        first = self._first_of(event, same, now)
        self.turns.requested(event.turn, event.identity, event.request, now)
        session = self.turns.session_of_turn(event.turn)
        self.warming.came(event.turn, session)
        request = self.turns.request_of_turn(event.turn)
        self.pacing.requested(event.turn, session, request, event.identity, now, size=event.size)
        parent = self.turns.sessions.get(session.parent) if session is not None else None
        near = parent.home if parent is not None else self.turns.home_of(event.identity)
        arrived = first.arrived if first is not None else None
        self.placing.requested(event.turn, session, near, arrived, event.identity.priority)
        if self.queue.arrived(event.turn) is not None:
            takes_s = self.pacing.takes_s(event.turn)
            self.holds.requested(event.turn, event.attempt, same, now, first, takes_s)

    def _first_of(self, event: TurnRequested, same: Same | None, now: float) -> Hold | None:
        """The held request that this one is again, which is over now."""
        attempt = event.attempt
        if event.request is None or same is None or not (attempt.number or attempt.key):
            return None
        back = self.holds.succession.come_back(same, attempt)
        if back is not None or self.turns.awaits_again(event.identity, event.request):
            return back
        first = self.holds.succession.first_of(same, attempt)
        arrived = self.queue.arrived(first.turn) if first is not None else None
        if first is None or arrived is None:
            return None
        self.holds.superseded(first, arrived)
        self.turns.withdrawn(first.turn, now)
        error = SupersededError("the same request came again while this one was held: that one is served")
        self._send_away([(first.turn, error)])
        return first

    def _turn_refused(self, event: TurnRefused, now: float) -> None:
        self.placing.refused(event.turn, now)
        if self.queue.arrived(event.turn) is not None:
            self.holds.refused(event.turn, now)

    def _turn_sent(self, event: TurnSent, now: float) -> None:
        self.pacing.sent(event.turn, now)
        self.turns.sent(event.turn, now)

    def _turn_streamed(self, event: TurnStreamed, now: float) -> None:
        self.pacing.streamed(event.turn, event.event, now)
        self.turns.streamed(event.turn, event.event, now)

    def _turn_closed(self, event: TurnClosed, now: float) -> None:
        self.holds.closed(event.turn, now, self.queue.arrived(event.turn))
        self.placing.closed(event.turn)
        self.warming.closed(event.turn)
        self.pacing.closed(event.turn, now, complete=event.complete, final=self.turns.is_final(event.turn))
        if self.warming.on and event.complete:
            self._leaves(event.turn, now)
        self.turns.closed(event.turn, now, complete=event.complete, unread=event.unread)

    def _leaves(self, turn: str, now: float) -> None:
        session, said = self.turns.session_of_turn(turn), self.turns.calls_of_turn(turn)
        if session is not None and said is not None:
            self.warming.left(turn, session, said, now)

    def _overdue(self, turn: str, now: float) -> None:
        if self.queue.arrived(turn) is not None:
            self.holds.ledger.overdue += 1
            self._admit(self.queue.start(turn), now, overdue=True)

    def _admit(self, item: Waiting, now: float, *, overdue: bool = False) -> None:
        self.warming.preempt(item.lane.removeprefix(TURNS))
        held_s = self.holds.admitted(item.id, now)
        if held_s is not None:
            self.turns.note(item.id, now, "admitted", held_s=round(held_s, 3), overdue=overdue)
        self.placing.admitted(item, held_s)

    def _settle(self, now: float) -> None:
        """What the slots left over of the turns that came."""
        held, sent_away = self.holds.settle()
        for turn in held:
            self.turns.note(turn, now, "held")
        self._send_away(sent_away)

    def _send_away(self, refused: Iterable[tuple[str, PasteError]]) -> None:
        for turn, error in refused:
            self.placing.closed(turn)
            self.broker.decide(FailTurn(turn, error))

    # -- the configuration --------------------------------------------------------------------------------

    def _permits(self, tenant: str, tool: str) -> bool:
        return self._config.permits(tenant, tool)

    def _share(self, tenant: str) -> float:
        return self._config.share(tenant)

    def _limit_turns(self, config: Config) -> None:
        self._max_turns.clear()
        for name, backend in config.all_backends.items():
            self._max_turns[turn_lane(name)] = backend.max_turns

    def _speculation_switched(self, event: SpeculationSwitched, now: float) -> None:
        self.broker.switch(event.tool, now, on=event.on)
        self.warming.switched()

    def _config_changed(self, event: ConfigChanged, now: float) -> None:
        self._config = event.config
        self._limit_turns(event.config)
        self.queue.shares_changed()
        self.placing.configure(event.config.all_backends, now)
        self.turns.expectations.configure(event.config.speculation)
        self.broker.configure(event.config.speculation, now)
        self.holds.max_hold_s = event.config.schedule.max_hold_s
        self.pacing.configure(event.config)

    # -- tool calls ---------------------------------------------------------------------------------------

    def _call_requested(self, event: CallRequested, now: float) -> None:
        try:
            spec = self.spec(event.tool, event.identity.tenant, event.client)
            arguments = decode_arguments(spec, event.arguments)
            canonical = canonical_text(spec, arguments)
        except PasteError as error:
            self.broker.decide(FailCall(event.call, "executed", error))
            return
        session = self.turns.session_of_call(event.identity, spec.name, canonical, event.tool_call_id)
        context = RunContext(event.identity.tenant, session)
        self._callers[event.call] = Caller(session, spec.name, event.tool_call_id)
        if event.client:
            self.broker.clients.bind(session, event.client)
        key = CallKey(event.identity.tenant, session, spec.name, canonical)
        pending = PendingCall(
            event.call, spec, arguments, context, key, now, event.fingerprint, client=event.client
        )
        self.broker.call(pending, now)

    def _call_abandoned(self, event: CallAbandoned, now: float) -> None:
        self._callers.pop(event.call, None)
        self.broker.abandon(event.call, now)

    def _served(self, answer: AnswerCall | FailCall, now: float) -> None:
        """A call that failed has ended too: what still runs of it is a write of the broker's own."""
        caller = self._callers.pop(answer.call, None)
        if caller is None:
            return
        self.turns.writes.ended(caller.session, caller.tool_call_id, caller.tool)
        session = self.turns.sessions.get(caller.session)
        if session is not None and isinstance(answer, AnswerCall):
            saved = round(answer.saved_s, 3)
            session.note(now, "served", tool=caller.tool, outcome=answer.outcome, saved_s=saved)

    def spec(self, tool: str, tenant: str, client: str = "") -> ToolSpec:
        """Asked with every call, whatever ran ahead for it. Raises `UnknownToolError`, in the same words for a
        tool that is not the tenant's, or that others can't call."""
        ours = not client or self.broker.clients.offers(client, tool)
        if ours and self.tools.serves(tool, tenant, client) and self._permits(tenant, tool):
            return self.tools[tool]
        listed = (one.name for one in self.tools.listed() if self._permits(tenant, one.name))
        known = ", ".join(sorted(listed)) or "none"
        raise UnknownToolError(f"there is no tool {tool!r}; known: {known}", param=tool)

    def standing(self, tenant: str, spec: ToolSpec) -> str:
        """Why a client's tool can't run ahead; "" where it may."""
        if not self.tools.is_leased(spec.name) or not self.tools.is_of(spec.name, tenant):
            return "another tool has this name, or two clients say different things of it"
        if spec.effect is Effect.NEVER:
            return why_never(spec)
        return "" if self.broker.permits.lists(spec.name) else "speculation.allow does not list it"

    def _run_ended(self, event: RunEnded, now: float) -> None:
        staged = self.broker.run_ended(event, now)
        if staged is not None:
            self.turns.staged(staged, now)

    # -- slots --------------------------------------------------------------------------------------------

    def _fill_slots(self, now: float) -> None:
        """Start what may start; where authoritative work finds no slot, pre-empt speculation and look again."""
        while self.queue.moved:
            for item in self.queue.startable():
                if is_turns(item.lane):
                    self._admit(item, now)
                else:
                    self.broker.start(item, now)
            if not any(self.broker.preempt(starved, now) for starved in self.queue.starved()):
                return
