"""`joint`: leases by what the engine's memory holds, in an order that gives every session its pace.

A session's place is when it would have got as far as it has if all were served alike: its birth, and what it
was served stretched by how many wait for each that is served. So short tasks are through early, as they are
without any order, and nobody is passed by who came after that moment. Of several tenants the one goes first
whose leases hold least for its share. While all leases fit, none is refused: nothing is held.
"""

from collections import Counter
from collections.abc import Callable

from paste_proxy.schedule.asked import Asked
from paste_proxy.schedule.backends import BackendCapacity, BackendLoad
from paste_proxy.schedule.lanes import Facts, TurnLine
from paste_proxy.schedule.leases import AWAY_S, NEVER, Lease, LeaseLane
from paste_proxy.schedule.line import WaitingLine
from paste_proxy.schedule.thrash import LOW, Budget

AHEAD_TURNS = 1.5
"""Turns for whose growth a new lease leaves room, its own and that of all others: with less, leases are taken
back again and again; with more, memory lies idle. In the lab 1 to 3 are alike."""
AHEAD_SHARE = 0.2
"""That room is no more than this share of the budget: below it nothing is held, whatever is expected."""
PASS_SHARE = 0.05
"""Of the budget: what a turn may need whose session comes once, as plain chat does, to wait for no lease..."""
PASSES_SHARE = 0.1
"""...and what all of these may."""
COLD_TOKENS = 8192
"""A prompt of which more than one batch of an engine's has to be read is cold: such prompts go one by one, so
that others are read between two of them. The engine would read them one after another, too; one with several
ranks as many at once. Only such as tell when they have been read: for others the engine would wait until they
are answered."""
IDLE_SHARE = 0.5
"""Of the turns that the engine runs at once: beside no more than these there is time to read ahead."""
READ_S = 10.0
"""A cold turn that is not read after so long holds the next one up no longer: it may hang, and an engine that
needs more for one prompt has none to spare for an order either."""
DISAGREES = 3
"""Reports in a row, after which the backend is believed to have other users: one may have crossed our turns."""
SLACK, SLACK_SHARE = 2, 0.2
"""Turns beyond ours, and their share of ours, which may be a matter of the moment."""
OUTLAST = 0.2
"""Of the leases left for a tool, those of which nothing is left when it ends: from this share on there is no
budget. In the lab, where it was a half, to keep the others cost more than to keep none."""
TURNOVERS = 4
"""That is judged by leases that filled the memory so many times over: a few of each session under way. Small
sessions change little, and a slow tool is not run often."""
SLOW_RATE = 10_000.0
"""Tokens a second, where the engine's rate is not known: what a slow card reads of a large model. Of short
turns no rate can be told, and to wait for as long as for large ones would leave the engine idle for long."""
SPARED = 0.8
"""Of what limits leases, below which no prompt is read alone: there is room for all, and nothing to order."""


class JointLane(LeaseLane):
    def __init__(self, limit: Callable[[], int], *, share: Callable[[str], float], hint_s: float) -> None:
        """`share`: of a tenant. `hint_s`: seconds that a step of a client's priority is worth."""
        super().__init__(self._pace, limit)
        self._share = share
        self._hint_s = hint_s
        self._lines: WaitingLine[TurnLine] = WaitingLine()
        """Who waits for a lease, by tenant: the one whose leases hold least for its share is first."""
        self._line_of: dict[str, TurnLine] = {}
        """Of these, by turn."""
        self._held: Counter[str] = Counter()
        """Tokens of leases, by tenant."""
        self._tokens = 0
        self._growth = 0
        """Of all leases."""
        self._cold: TurnLine = WaitingLine()
        """Ready, but to be read one by one."""
        self._reading: dict[str, float] = {}
        """The cold turns that are being read, and until when the next one waits for each."""
        self._budget = Budget()
        self._outlasted = 0.0
        """The share, of late, of leases that were left for a tool for longer than they are kept."""
        self._idle_from = NEVER
        """All that went to the engine since has been answered."""
        self._parked = 0
        self._doubts = 0
        """Reports of the backend, in a row, that don't fit our account."""
        self._overruled = False

    # -- the order ----------------------------------------------------------------------------------------

    def _pace(self, asked: Asked) -> float:
        leased = max(1, len(self._leases))
        stretch = (leased + len(self._line_of)) / leased
        return asked.born + stretch * asked.served_s - self._hint_s * asked.priority

    def _level(self, tenant: str) -> float:
        return self._held[tenant] / self._share(tenant)

    def shares_changed(self) -> None:
        for tenant in self._lines.entries:
            self._lines.move(tenant, self._level(tenant))

    def _wait(self, asked: Asked) -> None:
        line = self._lines.find(asked.tenant)
        if line is None:
            line = WaitingLine()
            self._lines.add(asked.tenant, line, self._level(asked.tenant))
        self._join(line, asked)
        self._line_of[asked.id] = line

    def _first_waiting(self) -> Asked | None:
        line = self._lines.head()
        return line.head() if line is not None else None

    def _stop_waiting(self, asked: Asked) -> None:
        line = self._line_of.pop(asked.id)
        line.remove(asked.id)
        if not line.entries:
            self._lines.remove(asked.tenant)

    def _find_waiting(self, turn: str) -> Asked | None:
        line = self._line_of.get(turn)
        return line.find(turn) if line is not None else None

    def _ready_line(self, turn: str) -> TurnLine | None:
        return self._cold if turn in self._cold.entries else super()._ready_line(turn)

    # -- turns --------------------------------------------------------------------------------------------

    def _passes(self, asked: Asked) -> bool:
        if not asked.session:
            return True
        if asked.returns or self._limit_tokens is None:
            return not asked.returns
        small = asked.context <= PASS_SHARE * self._limit_tokens
        return small and self._passing_tokens + asked.context <= PASSES_SHARE * self._limit_tokens

    def _line_of_ready(self, asked: Asked) -> TurnLine:
        if asked.cold <= COLD_TOKENS or not asked.streams:
            return self._ready
        limit = self._limit_tokens
        full = limit is not None and self._tokens + self._passing_tokens > SPARED * limit
        return self._cold if full else self._ready

    def _came_back(self, lease: Lease, asked: Asked) -> None:
        self._resize(lease, asked.context, asked.growth)
        if self._has_to_go(lease):
            self._end(lease)
            self._parked += 1
            self._wait(asked)
        else:
            super()._came_back(lease, asked)

    def _has_to_go(self, lease: Lease) -> bool:
        """Leases have grown beyond what they may: of the sessions that have no turn under way the one loses its
        lease whose tenant has most for its share, and of those the youngest, which has least to lose."""
        most = None if self._limit_tokens is None else self._budget.grown
        if most is None or lease.turns or len(self._leases) == 1:
            return False
        if self._tokens + self._passing_tokens <= most:
            return False
        away = (one for one in self._leases.values() if not one.turns)
        return max(away, key=lambda one: (self._level(one.tenant), one.born, one.session)) is lease

    def _some_ready(self) -> bool:
        """The first cold one joins the others when a rank has none to read."""
        while self._cold.entries and len(self._reading) < self.capacity.ranks:
            cold = self._cold.take()
            self._reading[cold.id] = NEVER
            self._join(self._ready, cold)
        return super()._some_ready()

    def sent(self, turn: str, now: float) -> None:
        self._idle_from = NEVER
        if turn in self._reading:
            self._reading[turn] = now + READ_S

    def read(self, turn: str) -> None:
        self._reading.pop(turn, None)

    def expire(self, now: float) -> bool:
        slow = [turn for turn, until in self._reading.items() if until <= now]
        for turn in slow:
            del self._reading[turn]
        ended = super().expire(now)
        return self._give_way(now) or ended or bool(slow)

    def next_deadline(self) -> float | None:
        read_by = min(self._reading.values(), default=NEVER) if self._cold.entries else NEVER
        leases = self._soonest if self.waiting else NEVER
        soonest = min(leases, read_by, self._gives_way_at())
        return soonest if soonest != NEVER else None

    def _left(self, asked: Asked) -> None:
        self.read(asked.id)
        super()._left(asked)

    # -- leases -------------------------------------------------------------------------------------------

    def knows(self, capacity: BackendCapacity) -> None:
        super().knows(capacity)
        self._budget.knows(capacity.kv_tokens)

    def paused(self, session: str, away_s: float, now: float, *, calls: bool) -> None:
        lease, memory = self._leases.get(session), self.capacity.kv_tokens
        if calls and away_s and lease is not None and memory:
            weight = min(1.0, lease.tokens / (TURNOVERS * memory))
            self._outlasted += weight * ((away_s > self._worth_s()) - self._outlasted)
        super().paused(session, away_s, now, calls=calls)
        self._rests(now)

    def over(self, session: str, now: float) -> None:
        super().over(session, now)
        self._rests(now)

    def _rests(self, now: float) -> None:
        if not self._under_way:
            self._idle_from = min(self._idle_from, now)

    def _gives_way_at(self) -> float:
        """An engine with nothing to do has waited, for sessions that are away, for as long as it takes to read
        what whoever waits would drive out: to wait for longer costs more than to read that again."""
        head = self._first_waiting() if not self._under_way else None
        if head is None:
            return NEVER
        return self._idle_from + head.context / (self.prefill_rate or SLOW_RATE)

    def _give_way(self, now: float) -> bool:
        """Those go first that are away for longest: the engine drives their memory out first, too."""
        head = self._first_waiting()
        if head is None or now < self._gives_way_at():
            return False
        for lease in sorted(self._leases.values(), key=lambda one: one.until):
            if not lease.turns and not self._fits(head):
                self._end(lease)
        return True

    @property
    def _limit_tokens(self) -> float | None:
        """None, too, where the engine reads its whole memory again while sessions are away: then it holds more
        of them in turn than it could hold at once, and to keep one waiting would keep it idle."""
        return None if self._overruled or self._outlasted > OUTLAST else self._budget.tokens

    def _fits(self, asked: Asked) -> bool:
        limit = self._limit_tokens
        if limit is None:
            return True
        room = limit - self._tokens - self._passing_tokens - asked.context
        return AHEAD_TURNS * (self._growth + asked.growth) <= room or AHEAD_SHARE * limit <= room

    def _end(self, lease: Lease) -> None:
        super()._end(lease)
        self._resize(lease, 0, 0)
        if not self._held[lease.tenant]:
            del self._held[lease.tenant]

    def _resize(self, lease: Lease, tokens: int, growth: int) -> None:
        tenant = lease.tenant
        self._held[tenant] += tokens - lease.tokens
        self._tokens += tokens - lease.tokens
        self._growth += growth - lease.growth
        lease.tokens, lease.growth = tokens, growth
        if tenant in self._lines.entries:
            self._lines.move(tenant, self._level(tenant))

    def _worth_s(self) -> float:
        """To read the whole memory again takes so long: a session that is away for longer holds more of it,
        meanwhile, than it would cost all to read the session's part again."""
        memory, rate = self.capacity.kv_tokens, self.prefill_rate
        return memory / rate if memory and rate else AWAY_S

    def has_slack(self, session: str, tokens: int) -> bool:
        """What is read again drives nothing out that a lease holds."""
        at_once = self._limit() or self.capacity.running
        safe = None if self._overruled else self._budget.safe
        if self.waiting or self.under_way >= IDLE_SHARE * at_once or safe is None:
            return False
        beside = 0 if session in self._leases else tokens
        used = self._tokens + self._passing_tokens + beside
        return used <= safe and self._budget.thrash < LOW

    # -- what the backend says ----------------------------------------------------------------------------

    def used(self, turn: str, prompt: int, output: int, lost: int | None, now: float) -> None:
        asked = self._under_way.get(turn)
        lease = self._leases.get(asked.session) if asked is not None else None
        if lease is None:
            return
        self._resize(lease, prompt + output, lease.growth)
        if lost is not None:
            self._budget.used(prompt, lost if lease.kept else 0)
            sizes = [one.tokens for one in self._leases.values()] if self._budget.is_due(now) else []
            self._budget.adjust(sizes, now, holds=bool(self._lines.entries))

    def told(self, load: BackendLoad | None) -> None:
        """It may serve others beside us: then what we know of its memory is not all. Where it tells nothing,
        our account is all there is."""
        if load is None:
            self._doubts, self._overruled = 0, False
            return
        ours = self.under_way
        beyond = load.running + load.waiting - ours
        doubts = beyond > max(SLACK, SLACK_SHARE * ours)
        if doubts == self._overruled:
            self._doubts = 0
            return
        self._doubts += 1
        if self._doubts >= DISAGREES:
            self._overruled, self._doubts = doubts, 0

    @property
    def waiting(self) -> int:
        return len(self._line_of) + len(self._ready.entries) + len(self._cold.entries)

    @property
    def facts(self) -> Facts:
        limit = self._limit_tokens
        return Facts(
            waiting=self.waiting,
            under_way=self.under_way,
            leased=len(self._leases),
            leased_tokens=self._tokens,
            budget=round(limit) if limit is not None else 0,
            thrash=self._budget.thrash,
            parked=self._parked,
            overruled=self._overruled,
        )
