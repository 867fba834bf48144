"""The turns of one backend: those that wait, in an order, and those that are under way.

`Lane` holds back no more than its limit says, `PacedLane` what the engine could only queue. What holds
sessions rather than turns is in `leases.py`.
"""

import sys
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from paste_proxy.schedule.asked import Asked
from paste_proxy.schedule.backends import BackendCapacity, BackendLoad
from paste_proxy.schedule.line import WaitingLine

Key: TypeAlias = Callable[[Asked], float]
"""Lowest first, then as they came. It never changes while a turn waits: ageing that is linear in time is the
same for all, so that what a turn costs plus when it was asked orders them as their ages would."""
TurnLine: TypeAlias = WaitingLine[Asked]

ENGINE_QUEUE = 2
"""Turns that wait in the engine beside those that it runs: it never idles between two, and the order of all
others is still ours."""
MANY = sys.maxsize
"""Places, where there is no limit."""
FILL = 0.93
"""Of the engine's memory, what turns under way may fill: the rest is for what they write (PASTE's authors)."""


def places(capacity: BackendCapacity) -> int:
    """As far as it is known how many turns the engine runs at once."""
    return capacity.running + ENGINE_QUEUE if capacity.running else MANY


class Facts(msgspec.Struct, frozen=True):
    """What a lane is like now, for metrics and reports."""

    waiting: int
    under_way: int
    leased: int = 0
    """Sessions that have a lease, and..."""
    leased_tokens: int = 0
    budget: int = 0
    """...what they may hold together; 0: no limit."""
    thrash: float = 0.0
    """Share of the prompts' tokens that had been in memory, and were computed again though leased."""
    parked: int = 0
    """Leases that were lost to other sessions, ever."""
    overruled: bool = False
    """The backend tells of more than we send: the account is not to be relied on, and nothing is held."""


class Lane:
    """`next` gives what may go now, and counts it as under way; `release` ends that."""

    def __init__(self, key: Key, limit: Callable[[], int]) -> None:
        """`limit`: turns under way at once, 0 for any number. Asked anew each time: settings change."""
        self.capacity = BackendCapacity()
        self.prefill_rate = 0.0
        """Tokens a second that the engine was seen to read; 0: nobody knows."""
        self._key = key
        self._limit = limit
        self._places = MANY
        """Turns under way that the engine does not only queue, where we hold those."""
        self._line: TurnLine = WaitingLine()
        self._under_way: dict[str, Asked] = {}

    # -- turns --------------------------------------------------------------------------------------------

    def add(self, asked: Asked) -> None:
        self._join(self._line, asked)

    def _join(self, line: TurnLine, asked: Asked) -> None:
        line.add(asked.id, asked, self._key(asked), asked.place.number)

    def remove(self, turn: str) -> None:
        """It does not want to go any more."""
        self._line.remove(turn)

    def next(self) -> Asked | None:
        if not self._has_room():
            return None
        head = self._line.head()
        if head is None or not self._fits(head):
            return None
        self._under_way[head.id] = head
        self._line.take()
        return head

    def find(self, turn: str) -> Asked | None:
        """If it waits."""
        return self._line.find(turn)

    def start(self, turn: str) -> None:
        """The waiting turn goes now, whatever the limits are."""
        self._under_way[turn] = self._line.remove(turn)

    def release(self, turn: str) -> None:
        del self._under_way[turn]

    @property
    def waiting(self) -> int:
        return len(self._line.entries)

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    @property
    def facts(self) -> Facts:
        return Facts(self.waiting, self.under_way)

    def knows(self, capacity: BackendCapacity) -> None:
        """What the backend has room for."""
        self.capacity = capacity

    def shares_changed(self) -> None:
        """Tenants have other shares from now on, those that wait among them."""

    # -- what becomes of them -----------------------------------------------------------------------------

    def sent(self, turn: str, now: float) -> None:
        """It is on its way to the backend."""

    def read(self, turn: str) -> None:
        """The first of the reply is there: the engine has read the prompt."""

    def used(self, turn: str, prompt: int, output: int, lost: int | None, now: float) -> None:
        """What the backend has counted, `prompt` as `Asked.context`; `lost` of it had been in its memory, None:
        nobody knows."""

    def paused(self, session: str, away_s: float, now: float, *, calls: bool) -> None:
        """The session's turn is over, and it will come again in about so long. `calls`: a tool runs meanwhile,
        else its user thinks."""

    def over(self, session: str, now: float) -> None:
        """It will hardly come again."""

    def told(self, load: BackendLoad | None) -> None:
        """What the backend says of itself; None: nothing any more."""

    def lost(self) -> None:
        """What the backend had in memory may be gone: nobody has a claim on it any more."""

    def has_slack(self, session: str, tokens: int) -> bool:
        """The engine has time and memory left for so many tokens of the session, and nobody to give them to.
        Where no account is kept of both, it has none."""
        return False

    def expire(self, now: float) -> bool:
        """Whether something may go now that could not before."""
        return False

    def next_deadline(self) -> float | None:
        return None

    # -- limits -------------------------------------------------------------------------------------------

    def _fits(self, asked: Asked) -> bool:
        return True

    def _has_room(self) -> bool:
        under_way, limit = len(self._under_way), self._limit()
        return under_way < self._places and (not limit or under_way < limit)


class PacedLane(Lane):
    """Holds what the engine could only queue, so that the order is the policy's: what it runs at once and what
    fits its memory, as far as they are known."""

    def __init__(self, key: Key, limit: Callable[[], int]) -> None:
        super().__init__(key, limit)
        self._tokens = 0
        """Of the prompts under way."""

    def next(self) -> Asked | None:
        asked = super().next()
        self._tokens += asked.context if asked is not None else 0
        return asked

    def start(self, turn: str) -> None:
        super().start(turn)
        self._tokens += self._under_way[turn].context

    def release(self, turn: str) -> None:
        self._tokens -= self._under_way[turn].context
        super().release(turn)

    def knows(self, capacity: BackendCapacity) -> None:
        super().knows(capacity)
        self._places = places(capacity)

    def _fits(self, asked: Asked) -> bool:
        memory = self.capacity.kv_tokens
        return not memory or not self._under_way or self._tokens + asked.context <= FILL * memory
