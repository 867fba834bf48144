"""Turns on their way: each waits in its backend's lane of the joint queue, or moves where that can't serve."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

import msgspec

from paste_proxy.errors import BackendUnreachableError
from paste_proxy.events import AccountOverruled, AdmitTurn, Decision, FailTurn
from paste_proxy.pacing import Pacing
from paste_proxy.schedule.asked import Place
from paste_proxy.schedule.backends import BackendCapacity, BackendLoad
from paste_proxy.schedule.placement import Placement
from paste_proxy.schedule.priorities import in_band
from paste_proxy.schedule.queue import JointQueue, turn_lane
from paste_proxy.schedule.runs import Waiting
from paste_proxy.sessions.state import SessionState


@dataclass(eq=False, slots=True)
class _Turn:
    session: SessionState | None
    priority: int = 0
    """As its client hints."""
    backend: str = ""
    waits: bool = False
    runs: bool = False
    refused: set[str] = field(default_factory=set)
    """Backends that did not take it."""


class Counts(msgspec.Struct):
    """Of one backend, since the start."""

    turns: int = 0
    """Sent to it, or begun to be."""
    refused: int = 0
    """Of those, such that it did not take."""
    retries: int = 0
    """Turns that another refused before."""
    spills: int = 0
    """New sessions whose first choice had too much to do."""


class Placing:
    def __init__(
        self,
        backends: Iterable[str],
        queue: JointQueue,
        pacing: Pacing,
        decide: Callable[[Decision], None],
    ) -> None:
        self.placement = Placement(backends, self._load)
        self._queue = queue
        self._pacing = pacing
        self._decide = decide
        self._turns: dict[str, _Turn] = {}
        self._at: dict[str, int] = {}
        """Turns that wait or run, by backend."""
        self._others: dict[str, int] = {}
        """Turns at each backend that are none of ours, as it says."""
        self.counts: dict[str, Counts] = {backend: Counts() for backend in backends}

    # -- turns --------------------------------------------------------------------------------------------

    def requested(
        self,
        turn: str,
        session: SessionState | None,
        near: str | None = None,
        arrived: Place | None = None,
        priority: int = 0,
    ) -> None:
        """`near`: the backend of a session that began alike, if any. `arrived`: the place in the queue's order
        that it takes over. `priority`: as its client hints."""
        self._turns[turn] = _Turn(session, priority)
        self._place(turn, near, arrived)

    def admitted(self, item: Waiting, held_s: float | None = None) -> None:
        placed = self._turns[item.id]
        placed.waits, placed.runs = False, True
        self._of(placed.backend).turns += 1
        band = self.placement.capacity(placed.backend).priority
        priority = in_band(band, placed.priority) if band is not None else None
        session = placed.session.id if placed.session is not None else ""
        self._decide(AdmitTurn(item.id, placed.backend, priority, held_s, session))

    def refused(self, turn: str, now: float) -> None:
        placed = self._turns.get(turn)
        if placed is None or not placed.runs:
            return
        placed.refused.add(placed.backend)
        self._of(placed.backend).refused += 1
        self._leave(turn, placed)
        self._pacing.moved(turn, now)
        self._place(turn)

    def closed(self, turn: str) -> None:
        placed = self._turns.pop(turn, None)
        if placed is not None:
            self._leave(turn, placed)

    def _place(self, turn: str, near: str | None = None, arrived: Place | None = None) -> None:
        placed = self._turns[turn]
        session = placed.session
        home = session.home if session is not None else None
        chosen = self.placement.choose(_name(session), home, near, placed.refused)
        if chosen is None:
            self._decide(FailTurn(turn, BackendUnreachableError("no backend is left that could take the turn")))
            return
        if session is not None:
            session.home = chosen.backend
        if placed.refused:
            self._of(chosen.backend).retries += 1
        self._of(chosen.backend).spills += chosen.spilled
        placed.backend, placed.waits = chosen.backend, True
        self._at[chosen.backend] = self._at.get(chosen.backend, 0) + 1
        asked = self._pacing.asked(turn, chosen.backend, arrived)
        self._queue.ask(asked, turn_lane(chosen.backend))

    def _leave(self, turn: str, placed: _Turn) -> None:
        if placed.waits:
            self._queue.remove(turn)
        elif placed.runs:
            self._queue.release(turn)
        else:
            return
        placed.waits = placed.runs = False
        self._at[placed.backend] -= 1

    def _of(self, backend: str) -> Counts:
        return self.counts.setdefault(backend, Counts())

    def live(self, backend: str) -> int:
        """Turns that wait for it or run there."""
        return self._at.get(backend, 0)

    def _load(self, backend: str) -> float:
        return self._at.get(backend, 0) + self._others.get(backend, 0)

    # -- backends -----------------------------------------------------------------------------------------

    def up(self, backend: str, capacity: BackendCapacity) -> None:
        self.placement.up(backend, capacity)
        self._pacing.up(backend, capacity)

    def down(self, backend: str, now: float) -> None:
        self.placement.down(backend)
        self._pacing.down(backend)
        if self.placement.any_up:
            self._move_waiting(backend, now)

    def drain(self, backend: str, *, on: bool) -> None:
        self.placement.drain(backend, on=on)

    def configure(self, backends: Collection[str], now: float) -> None:
        """These are all that there are from now on."""
        for backend in backends:
            if backend not in self.placement.known:
                self.placement.up(backend, BackendCapacity())
                self.counts[backend] = Counts()
        for backend in list(self.placement.known):
            if backend not in backends:
                self.remove(backend, now)

    def remove(self, backend: str, now: float) -> None:
        """What runs there comes to its end; what waits goes elsewhere."""
        self.placement.remove(backend)
        self._others.pop(backend, None)
        self.counts.pop(backend, None)
        self._move_waiting(backend, now)
        self._pacing.removed(backend)

    def told(self, backend: str, load: BackendLoad | None) -> None:
        overrules = self._pacing.told(backend, load)
        if overrules is not None:
            self._decide(AccountOverruled(backend, overrules))
        if load is None:
            self._others.pop(backend, None)
            return
        self._others[backend] = max(0, load.running + load.waiting - self._queue.under_way(turn_lane(backend)))

    def _move_waiting(self, backend: str, now: float) -> None:
        """What waits for it goes elsewhere."""
        for turn, placed in list(self._turns.items()):
            if placed.waits and placed.backend == backend:
                arrived = self._queue.arrived(turn)
                self._leave(turn, placed)
                self._pacing.moved(turn, now)
                self._place(turn, arrived=arrived)


def _name(session: SessionState | None) -> str:
    """What leads it to a backend: the client's own name, so that it leads there after a restart, too."""
    if session is None:
        return ""
    return f"{session.tenant}/{session.name}" if session.name else session.id
