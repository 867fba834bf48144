"""Leases: a session that has one keeps its place, and its part of the engine's memory, through its tool runs.

Turns of sessions with a lease go at once; the others wait for one, in the order of their keys. A lease ends
with its session, or when the session stays away for longer than its memory is worth.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from paste_proxy.schedule.asked import Asked
from paste_proxy.schedule.backends import BackendCapacity
from paste_proxy.schedule.lanes import Facts, Key, Lane, TurnLine, places
from paste_proxy.schedule.line import WaitingLine

AWAY_S = 30.0
"""How long a lease is kept through a tool run, where nothing better is known: a card with 100 GB of KV memory
reads in half a minute what it can hold, so whoever is away for longer had better read it again."""
NEVER = float("inf")


@dataclass(eq=False, slots=True)
class Lease:
    session: str
    tenant: str
    born: float
    tokens: int = 0
    """In memory, or to be there when the turn under way has been read."""
    growth: int = 0
    """See `Asked`."""
    turns: int = 0
    """Of its session, ready or under way."""
    kept: bool = False
    """Since the turn before: what that left in memory should be there."""
    until: float = NEVER


class LeaseLane(Lane, ABC):
    """`_fits` says whether one more may have a lease; the rest is the same for all limits."""

    def __init__(self, key: Key, limit: Callable[[], int]) -> None:
        super().__init__(key, limit)
        self._leases: dict[str, Lease] = {}
        self._ready: TurnLine = WaitingLine()
        """Turns that need no lease, or have it."""
        self._passing: dict[str, int] = {}
        """Turns without a lease, ready or under way, and..."""
        self._passing_tokens = 0
        """...what they need."""
        self._soonest = NEVER
        """No lease ends by itself before."""

    @abstractmethod
    def _fits(self, asked: Asked) -> bool: ...

    def _passes(self, asked: Asked) -> bool:
        """It needs no lease."""
        return not asked.session

    # -- turns --------------------------------------------------------------------------------------------

    def add(self, asked: Asked) -> None:
        lease = self._leases.get(asked.session)
        if lease is not None:
            self._came_back(lease, asked)
        elif self._passes(asked):
            self._make_ready(asked)
        else:
            self._wait(asked)

    def _came_back(self, lease: Lease, asked: Asked) -> None:
        lease.kept = True
        self._make_ready(asked)

    def _make_ready(self, asked: Asked) -> None:
        lease = self._leases.get(asked.session)
        if lease is not None:
            lease.turns, lease.until = lease.turns + 1, NEVER
        else:
            self._passing[asked.id] = asked.context
            self._passing_tokens += asked.context
        self._join(self._line_of_ready(asked), asked)

    def _line_of_ready(self, asked: Asked) -> TurnLine:
        return self._ready

    def _wait(self, asked: Asked) -> None:
        self._join(self._line, asked)

    def remove(self, turn: str) -> None:
        asked = self._find_waiting(turn)
        if asked is not None:
            self._stop_waiting(asked)
        elif (ready := self._ready_line(turn)) is not None:
            self._left(ready.remove(turn))

    def find(self, turn: str) -> Asked | None:
        ready = self._ready_line(turn)
        return ready.find(turn) if ready is not None else self._find_waiting(turn)

    def start(self, turn: str) -> None:
        """Without a lease, if it has none: one turn costs a session's prompt, a lease too many costs all others
        theirs."""
        asked = self._find_waiting(turn)
        if asked is not None:
            self._stop_waiting(asked)
            self._make_ready(asked)
        ready = self._ready_line(turn)
        if ready is not None:
            self._under_way[turn] = ready.remove(turn)

    def release(self, turn: str) -> None:
        self._left(self._under_way.pop(turn))

    def _left(self, asked: Asked) -> None:
        """It is not ready or under way any more."""
        if asked.id not in self._passing:
            self._leases[asked.session].turns -= 1
        else:
            self._passing_tokens -= self._passing.pop(asked.id)

    def next(self) -> Asked | None:
        if not self._has_room():
            return None
        while not self._some_ready():
            asked = self._grant_next()
            if asked is None:
                return None
            line = self._line_of_ready(asked)
            if line is self._ready:
                break  # it is the first there
            self._join(line, asked)
        else:
            asked = self._ready.take()
        self._under_way[asked.id] = asked
        return asked

    def _some_ready(self) -> bool:
        return bool(self._ready.entries) and not (self._passing and self._would_pass())

    def _would_pass(self) -> bool:
        """Who is ready first needs no lease, and another, who came before, waits for one and may have it."""
        ready, head = self._ready.head(), self._first_waiting()
        if ready is None or head is None or ready.id not in self._passing or ready.place < head.place:
            return False
        return not self._leases or head.session in self._leases or self._fits(head)

    def _grant_next(self) -> Asked | None:
        """A lease for the first that waits for one, if it fits. Where nobody has a lease it fits."""
        head = self._first_waiting()
        if head is None:
            return None
        lease = self._leases.get(head.session)  # another turn of its session may have got it
        if lease is None:
            if self._leases and not self._fits(head):
                return None
            lease = self._grant(head)
        lease.turns, lease.until = lease.turns + 1, NEVER
        self._stop_waiting(head)
        return head

    def _first_waiting(self) -> Asked | None:
        return self._line.head()

    def _find_waiting(self, turn: str) -> Asked | None:
        return self._line.find(turn)

    def _stop_waiting(self, asked: Asked) -> None:
        self._line.remove(asked.id)

    def _ready_line(self, turn: str) -> TurnLine | None:
        """The one of those ready in which it is."""
        return self._ready if turn in self._ready.entries else None

    # -- leases -------------------------------------------------------------------------------------------

    def knows(self, capacity: BackendCapacity) -> None:
        super().knows(capacity)
        self._places = places(capacity)

    def _grant(self, asked: Asked) -> Lease:
        lease = self._leases[asked.session] = Lease(asked.session, asked.tenant, asked.born)
        self._resize(lease, asked.context, asked.growth)
        return lease

    def _resize(self, lease: Lease, tokens: int, growth: int) -> None:
        lease.tokens, lease.growth = tokens, growth

    def _end(self, lease: Lease) -> None:
        del self._leases[lease.session]

    def paused(self, session: str, away_s: float, now: float, *, calls: bool) -> None:
        lease = self._leases.get(session)
        if lease is None or lease.turns:
            return
        if away_s > self._worth_s():
            self._end(lease)
        else:
            lease.until = now + self._worth_s()
            self._soonest = min(self._soonest, lease.until)

    def _worth_s(self) -> float:
        """How long a lease is kept for a session that is away."""
        return AWAY_S

    def over(self, session: str, now: float) -> None:
        lease = self._leases.get(session)
        if lease is not None and not lease.turns:
            self._end(lease)

    def lost(self) -> None:
        for lease in list(self._leases.values()):
            if lease.turns:
                lease.kept = False
            else:
                self._end(lease)

    def expire(self, now: float) -> bool:
        if now < self._soonest:
            return False
        away = [lease for lease in self._leases.values() if lease.until <= now]
        for lease in away:
            self._end(lease)
        self._soonest = min((lease.until for lease in self._leases.values()), default=NEVER)
        return bool(away)

    def next_deadline(self) -> float | None:
        """While nobody waits, it makes no difference when a lease ends."""
        return self._soonest if self._soonest != NEVER and self.waiting else None

    @property
    def waiting(self) -> int:
        return len(self._line.entries) + len(self._ready.entries)

    @property
    def facts(self) -> Facts:
        return Facts(self.waiting, self.under_way, len(self._leases))


class SemaphoreLane(LeaseLane):
    """So many sessions at a time: what operators put before an engine, for comparison."""

    def __init__(self, key: Key, limit: Callable[[], int], *, places: int) -> None:
        super().__init__(key, limit)
        self._sessions = places

    def _fits(self, asked: Asked) -> bool:
        return len(self._leases) < self._sessions
