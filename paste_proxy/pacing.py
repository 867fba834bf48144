"""What the joint queue knows of turns: how large they are, how long they take, whether their session returns.

Stands between the core's events and the lanes of `schedule/`; learns from what replies and requests say.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping

import msgspec

from paste_proxy.config import Config
from paste_proxy.endings import Endings
from paste_proxy.events import Decision, Identity
from paste_proxy.grammar.events import CallSealed, ContentText, GrammarEvent, TurnEnded, Usage, UsageReported
from paste_proxy.grammar.requests import ChatRequest
from paste_proxy.paced import Paced, PacedTurn, Served
from paste_proxy.schedule.asked import Asked, Place
from paste_proxy.schedule.backends import BackendCapacity, BackendLoad
from paste_proxy.schedule.estimates import TOKENS_PER_CHARACTER, Applications
from paste_proxy.schedule.lanes import Facts, Lane
from paste_proxy.schedule.queue import JointQueue, turn_lane
from paste_proxy.sessions.state import SessionState


class Prefix(msgspec.Struct, frozen=True):
    """What a session's next request begins with, in tokens and seconds, by our own account."""

    tokens: int
    gone: int
    """Of those, what is not in the backend's memory any more."""
    read_s: float
    """What it takes to read all; 0: nobody knows."""
    away_s: float
    """How long the session is expected to be away, from the end of its last turn on; 0: nobody knows."""


class Pacing:
    def __init__(self, queue: JointQueue, config: Config, decide: Callable[[Decision], None]) -> None:
        self.endings = Endings(config.limits.sessions, decide, learns=_learns(config))
        self._queue = queue
        self._arrivals = 0
        self._limit = config.limits.sessions
        self._applications = Applications()
        self._sessions: OrderedDict[str, Paced] = OrderedDict()
        self._turns: dict[str, PacedTurn] = {}
        self._backends: dict[str, Served] = {}

    def configure(self, config: Config) -> None:
        """What of it may change; what was learnt of ends stays, it is the same either way."""
        self.endings.learns = _learns(config)

    # -- before a turn goes -------------------------------------------------------------------------------

    def requested(
        self,
        turn: str,
        state: SessionState | None,
        request: ChatRequest | None,
        identity: Identity,
        now: float,
        *,
        size: int = 0,
    ) -> None:
        """Of an unreadable request nothing more is known than whose it is, and its `size` in bytes: an engine
        may read what we can't."""
        self._arrivals += 1
        place = Place(now, self._arrivals)
        if state is None or request is None:
            context = round(size * TOKENS_PER_CHARACTER)
            self._turns[turn] = PacedTurn("", identity.tenant, place, identity.priority, context, 0, first=True)
            return
        characters = _characters(request)
        session = self._sessions.get(state.id)
        first = session is None
        if session is None:
            tools = [tool.name for tool in request.tools]
            application = self._applications.of(state.tenant, request.model, tools)
            session = self._sessions[state.id] = Paced(application, now)
            self._goes_on_from(state.parent, now)
            if len(self._sessions) > self._limit:
                self._sessions.popitem(last=False)
        self._sessions.move_to_end(state.id)
        session.newest = turn
        self._came(state.id, session, now, first=first)
        fresh = characters - session.characters
        whole = first or fresh < 0  # else its history was cut, so that all of it is new
        ratio = session.application.opening_ratio if whole else session.application.fresh_ratio
        context = round(characters * ratio.value if whole else session.tokens + fresh * ratio.value)
        session.characters = characters
        self._turns[turn] = PacedTurn(
            session=state.id,
            tenant=state.tenant,
            place=place,
            priority=identity.priority,
            context=context,
            fresh=characters if whole else fresh,
            first=whole,
            streams=request.stream,
        )

    def _goes_on_from(self, parent: str, now: float) -> None:
        """What is in memory of one is the beginning of the other, too."""
        one = self._sessions.get(parent)
        if one is not None:
            self.endings.came(parent, one.application, now)

    def _came(self, name: str, session: Paced, now: float, *, first: bool) -> None:
        application = session.application
        self.endings.came(name, application, now)
        application.came(first=first)
        if first or not session.ended:
            return
        application.was_away(session.called, now - session.ended)
        if not session.called:
            application.went_on()

    def asked(self, turn: str, backend: str, arrived: Place | None = None) -> Asked:
        """As it waits for that backend. `arrived`: the place of another, which it takes over."""
        one = self._turns[turn]
        one.place = one.place if arrived is None else arrived
        known = one.backend = self._backend(backend)
        one.lane = self._queue.turns(turn_lane(backend))
        session = self._sessions.get(one.session)
        if session is None:
            place, born = one.place, one.place.at
            return Asked(
                turn, tenant=one.tenant, place=place, born=born, context=one.context, priority=one.priority
            )
        application = session.application
        one.held = known.memory.holds(one.session)
        one.takes_s = known.rates.seconds(one.context - one.held, application.output.value)
        shared = min(one.context, round(application.shared.value))
        cold = max(0, one.context - max(one.held, shared)) if known.memory.tokens else 0
        return Asked(
            turn,
            session=one.session,
            tenant=one.tenant,
            place=one.place,
            born=session.born,
            served_s=session.served_s,
            context=one.context - shared,
            cold=cold,
            streams=one.streams,
            growth=application.growth,
            seconds=one.takes_s,
            gain_s=application.mean_away_s,
            returns=application.returns,
            priority=one.priority,
        )

    def takes_s(self, turn: str) -> float:
        """What its backend is expected to need for it; 0: nobody knows."""
        return self._turns[turn].takes_s

    def moved(self, turn: str, now: float) -> None:
        """Its backend did not take it: its session goes elsewhere."""
        one = self._turns[turn]
        one.sent = 0.0
        if one.lane is not None and one.backend is not None:
            one.lane.over(one.session, now)
            one.backend.memory.drop(one.session)

    # -- while it is under way ----------------------------------------------------------------------------

    def sent(self, turn: str, now: float) -> None:
        one = self._turns.get(turn)
        if one is not None and one.backend is not None:
            one.sent = now
            one.backend.memory.touched(one.session)
            if one.lane is not None:
                one.lane.sent(turn, now)

    def began(self, turn: str, now: float) -> None:
        """The reply's first bytes are there."""
        one = self._turns.get(turn)
        if one is not None and one.lane is not None:
            one.read = now
            one.lane.read(turn)
            self._queue.moved = True

    def streamed(self, turn: str, event: GrammarEvent, now: float) -> None:
        one = self._turns.get(turn)
        if one is None:
            return
        match event:
            case ContentText(text):
                one.written += len(text)
            case CallSealed():
                one.called = event.name
            case TurnEnded():
                one.ended = True
            case UsageReported(usage):
                one.usage = usage
                self._used(turn, one, usage, now)

    def _used(self, turn: str, one: PacedTurn, usage: Usage, now: float) -> None:
        session, backend, lane = self._sessions.get(one.session), one.backend, one.lane
        if session is None or backend is None or lane is None or not usage.prompt_tokens:
            return
        backend.says_cached |= usage.cached_tokens > 0
        application, prompt = session.application, usage.prompt_tokens
        if one.fresh > 0:
            fresh = prompt - (0 if one.first else session.tokens)
            ratio = application.opening_ratio if one.first else application.fresh_ratio
            ratio.add(max(0, fresh) / one.fresh)
            if not one.first:
                application.fresh.add(max(0, fresh))
        if one.streams:
            if backend.says_cached or one.first:
                backend.rates.read(prompt - usage.cached_tokens, one.sent, one.read)
            backend.rates.wrote(usage.completion_tokens, now - one.read)
        application.output.add(usage.completion_tokens)
        lane.prefill_rate = backend.rates.prefill
        lost = self._lost(one, session, backend, usage)
        if one.first and backend.says_cached:
            application.shared.add(usage.cached_tokens)
        own = max(0, prompt - round(application.shared.value))
        lane.used(turn, own, usage.completion_tokens, lost, now)

    @staticmethod
    def _lost(one: PacedTurn, session: Paced, backend: Served, usage: Usage) -> int | None:
        """Of what had been in memory with the session's last prompt, what was read again."""
        before = min(session.prompt, usage.prompt_tokens)
        if backend.says_cached:
            return max(0, before - usage.cached_tokens)
        return max(0, before - one.held) if backend.memory.tokens else None

    # -- when it is over ----------------------------------------------------------------------------------

    def closed(self, turn: str, now: float, *, complete: bool, final: bool = False) -> None:
        """After its slot was given back."""
        one = self._turns.pop(turn, None)
        if one is None or one.lane is None or one.backend is None:
            return
        lane, backend = one.lane, one.backend
        self._queue.moved = True
        session = self._sessions.get(one.session)
        if session is None:  # so many came meanwhile that it was forgotten
            lane.over(one.session, now)
            return
        if not one.sent:
            lane.paused(one.session, 0.0, now, calls=False)
            return
        self._note(one, session, backend, now)
        if final:
            self._over(one.session, lane, backend, now, told=True)
            return
        away_s = 0.0
        if complete and one.ended:
            application = session.application
            session.called, away_s = one.called, application.away_s(one.called)
            if not one.called:
                application.ended()
                told = session.newest == turn and self.endings.ended(one.session, application, now)
                if not application.goes_on:
                    self._over(one.session, lane, backend, now, told=told)
                    return
        lane.paused(one.session, away_s, now, calls=bool(one.called))

    @staticmethod
    def _over(session: str, lane: Lane, backend: Served, now: float, *, told: bool) -> None:
        """`told`: a backend that lets go of it is, so that its part there goes before others'."""
        lane.over(session, now)
        if told and backend.lets_go:
            backend.memory.drop(session)

    @staticmethod
    def _note(one: PacedTurn, session: Paced, backend: Served, now: float) -> None:
        usage = one.usage
        prompt = usage.prompt_tokens if usage is not None else 0
        output = usage.completion_tokens if usage is not None else one.written // 4
        session.prompt = prompt or one.context
        session.tokens = session.prompt + output
        session.served_s += now - one.sent
        session.ended = now
        backend.memory.used(one.session, session.tokens)

    # -- while a session is away --------------------------------------------------------------------------

    def prefix(self, session: str, backend: str) -> Prefix | None:
        """None where it has none, or where nobody knows what the backend's memory holds."""
        known, one = self._backends.get(backend), self._sessions.get(session)
        if one is None or known is None or not known.memory.tokens:
            return None
        shared = round(one.application.shared.value)
        gone = max(0, one.tokens - max(known.memory.holds(session), shared))
        read_s = one.tokens / known.rates.prefill if known.rates.prefill else 0.0
        return Prefix(one.tokens, gone, read_s, one.application.away_s(one.called))

    def has_slack(self, session: str, backend: str, tokens: int) -> bool:
        lane = self._lane(backend)
        return lane is not None and lane.has_slack(session, tokens)

    def waits(self, backend: str) -> bool:
        """Turns are held that will go there."""
        lane = self._lane(backend)
        return lane is not None and lane.waiting > 0

    def warmed(self, session: str, backend: str, tokens: int) -> None:
        """So many tokens of the session are in the backend's memory now."""
        known = self._backends.get(backend)
        if known is not None:
            known.memory.used(session, tokens)

    def cached(self, turn: str) -> int | None:
        """Of the turn's prompt, as its backend counts; None where it does not."""
        one = self._turns.get(turn)
        if one is None or one.usage is None or one.backend is None or not one.backend.says_cached:
            return None
        return one.usage.cached_tokens

    # -- backends -----------------------------------------------------------------------------------------

    def up(self, backend: str, capacity: BackendCapacity) -> None:
        known = self._backend(backend)
        known.memory.tokens, known.lets_go = capacity.kv_tokens, capacity.lets_go
        self._queue.turns(turn_lane(backend)).knows(capacity)
        self._queue.moved = True

    def told(self, backend: str, load: BackendLoad | None) -> bool | None:
        """Whether its word overrules our account from now on, or does no longer; None: as before."""
        lane = self._queue.turns(turn_lane(backend))
        before = lane.facts.overruled
        lane.told(load)
        self._queue.moved = True
        after = lane.facts.overruled
        return after if after != before else None

    def down(self, backend: str) -> None:
        """When it is back, it may be another process: what it had in memory is nobody's any more."""
        self._backend(backend).memory.clear()
        self._queue.turns(turn_lane(backend)).lost()
        self._queue.moved = True

    def removed(self, backend: str) -> None:
        """After all that waited for it has left."""
        self._backends.pop(backend, None)
        self._queue.retire(turn_lane(backend))

    def expire(self, now: float) -> None:
        for lane in self._queue.turn_lanes.values():
            self._queue.moved |= lane.expire(now)

    def next_deadline(self) -> float | None:
        moments = (lane.next_deadline() for lane in self._queue.turn_lanes.values())
        return min((at for at in moments if at is not None), default=None)

    @property
    def facts(self) -> Mapping[str, Facts]:
        """By lane."""
        return {name: lane.facts for name, lane in self._queue.turn_lanes.items()}

    def facts_of(self, backend: str) -> Facts:
        lane = self._lane(backend)
        return lane.facts if lane is not None else Facts(0, 0)

    def _lane(self, backend: str) -> Lane | None:
        """None where there is no such backend, or no longer: to ask after one must not bring it back."""
        return self._queue.turn_lanes.get(turn_lane(backend))

    def _backend(self, name: str) -> Served:
        found = self._backends.get(name)
        if found is None:
            found = self._backends[name] = Served()
        return found


def _characters(request: ChatRequest) -> int:
    """Of all that its messages say."""
    texts = sum(len(message.text) for message in request.messages)
    return texts + sum(len(call.arguments) for message in request.messages for call in message.calls)


def _learns(config: Config) -> bool:
    return config.schedule.close_sessions == "learnt"
