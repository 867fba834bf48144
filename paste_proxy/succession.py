"""Which request stands for which: an SDK whose request was held asks again, and is the same client.

Equal bytes are not enough, since two sessions may begin alike. The second request must say that it is one: by
the number of its attempt, which follows on the first's, or by the same `Idempotency-Key`. A client that has
left is found first. Of several that wait, each may be another client, whom nobody may send away: none is taken.
"""

from dataclasses import dataclass, field

import msgspec

from paste_proxy.deadlines import Deadlines, Timer
from paste_proxy.events import Attempt
from paste_proxy.schedule.asked import Place

PLACE_KEPT_S = 10.0
"""How long the place of a client that left waits for it: SDKs ask again after 8 s at most."""


class Same(msgspec.Struct, frozen=True):
    """What two requests have in common of which one may be the other again."""

    tenant: str
    session: str
    """The name that the client gives it."""
    body: bytes
    """Its digest."""


@dataclass(eq=False, slots=True)
class Hold:
    """A turn under way that may have to wait, or the place of one whose client has left."""

    turn: str
    came: float
    deadline: float
    attempt: Attempt
    same: Same | None
    waits: bool = True
    arrived: Place = field(default_factory=Place)
    """The place that it had in the queue's order when its client left or came again."""
    timer: Timer | None = None
    """Of its deadline, once it is known that it waits; or of its place's end."""


class Succession:
    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._waiting: dict[Same, dict[str, Hold]] = {}
        """By turn, oldest first, as those below: many may be the same in a load test."""
        self._left: dict[Same, dict[str, Hold]] = {}

    def __len__(self) -> int:
        """Turns that wait and places that are kept, of which each may have a successor."""
        return sum(map(len, (*self._waiting.values(), *self._left.values())))

    def waits(self, hold: Hold) -> None:
        if hold.same is not None:
            self._waiting.setdefault(hold.same, {})[hold.turn] = hold

    def waits_no_longer(self, hold: Hold) -> None:
        _take(self._waiting, hold)

    def left(self, hold: Hold, now: float) -> None:
        """Its client has left, and may come back for its place."""
        if hold.same is not None:
            self._left.setdefault(hold.same, {})[hold.turn] = hold
            hold.timer = self._deadlines.at(now + PLACE_KEPT_S, lambda _now: _take(self._left, hold))

    def come_back(self, same: Same, attempt: Attempt) -> Hold | None:
        """The place of a client that had left and is here again with this request."""
        hold = next((one for one in self._left.get(same, {}).values() if _follows(attempt, one.attempt)), None)
        if hold is not None:
            self._deadlines.cancel(hold.timer)
            _take(self._left, hold)
        return hold

    def first_of(self, same: Same, attempt: Attempt) -> Hold | None:
        """The one that waits, and that this request is again."""
        firsts = [one for one in self._waiting.get(same, {}).values() if _follows(attempt, one.attempt)]
        return firsts[0] if len(firsts) == 1 or (firsts and attempt.key) else None


def _follows(second: Attempt, first: Attempt) -> bool:
    if second.key or first.key:
        return second.key == first.key
    return second.number == first.number + 1


def _take(holds: dict[Same, dict[str, Hold]], hold: Hold) -> None:
    if hold.same is None or (alike := holds.get(hold.same)) is None:
        return
    alike.pop(hold.turn, None)
    if not alike:
        del holds[hold.same]
