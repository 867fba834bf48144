"""Turns that the joint queue holds back: how long each may wait, and how many.

A turn is held for a part of its client's patience at most, whatever the policy says: a client that gives up
got nothing for its wait, and asks again. When it does, it goes on from the place that it had (`succession`).
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from paste_proxy.deadlines import Deadlines
from paste_proxy.errors import PasteError, ProxyStoppingError, TurnsBusyError
from paste_proxy.events import Attempt
from paste_proxy.schedule.asked import Place
from paste_proxy.succession import Hold, Same, Succession

UNSAID_PATIENCE_S = 300.0
"""Of clients that don't say how long they wait: `fetch` of Node.js and aiohttp give up then, others later."""
REPLY_S, REPLY_SHARE, MOST_SHARE = 60.0, 0.1, 0.5
"""What of a client's patience is left to the engine: a reply that is not streamed must be whole then. So much,
that share, or twice what the turn is expected to take, whichever is most; but no more than half. A turn that is
sent before it has a place in memory costs all others theirs, so the wait is as long as it can be."""
BUCKETS = (0.0, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Seconds, from not held at all to more than SDKs wait by themselves."""


def longest_hold_s(patience_s: float, takes_s: float) -> float:
    """`patience_s`: as the client says; 0: it says nothing, and half of what is guessed is all one dares."""
    if not patience_s:
        return MOST_SHARE * UNSAID_PATIENCE_S
    reply_s = max(REPLY_S, REPLY_SHARE * patience_s, 2 * takes_s)
    return patience_s - min(reply_s, MOST_SHARE * patience_s)


@dataclass(slots=True)
class HoldLedger:
    """Counts since the start."""

    admitted: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    """Turns by how long they were held: one number for each of `BUCKETS`, and one for what is above."""
    held_s: float = 0.0
    overdue: int = 0
    """Admitted because they could be held no longer."""
    superseded: int = 0
    """Whose client asked again."""
    withdrawn: int = 0
    """Whose client left."""
    refused: int = 0
    """For which there was no place to wait in, or no time since the proxy stops."""


class Holds:
    """Knows turns from request to end. `settle` says, once slots are filled, what becomes of new ones."""

    def __init__(
        self, deadlines: Deadlines, overdue: Callable[[str, float], None], *, max_hold_s: float, limit: int
    ) -> None:
        """`overdue` admits a turn for which there is no slot yet; `limit` turns may wait."""
        self.ledger = HoldLedger()
        self.succession = Succession(deadlines)
        self.held = 0
        """Turns that wait now."""
        self._deadlines = deadlines
        self._overdue = overdue
        self.max_hold_s = max_hold_s
        self._limit = limit
        self._stopping = False
        self._turns: dict[str, Hold] = {}
        self._fresh: list[Hold] = []
        """Those that came with the event under way: perhaps they need not wait."""

    # -- turns --------------------------------------------------------------------------------------------

    def requested(
        self,
        turn: str,
        attempt: Attempt,
        same: Same | None,
        now: float,
        first: Hold | None = None,
        takes_s: float = 0.0,
    ) -> None:
        """`first`: the request that this one is again. How long it was held counts for both. `takes_s`: what
        the engine is expected to need for it; 0: nobody knows."""
        deadline = now + min(self.max_hold_s, longest_hold_s(attempt.patience_s, takes_s))
        if first is not None:
            deadline = min(first.deadline, deadline)
        hold = self._turns[turn] = Hold(turn, now, deadline, attempt, same)
        self.succession.waits(hold)
        self._fresh.append(hold)

    def refused(self, turn: str, now: float) -> None:
        """Its backend did not take it, and it waits for another: a hold more, with the same deadline."""
        hold = self._turns.get(turn)
        if hold is not None and not hold.waits:
            hold.waits, hold.came = True, now
            self.succession.waits(hold)
            self._fresh.append(hold)

    def settle(self) -> tuple[list[str], list[tuple[str, PasteError]]]:
        """The turns that are held from now on, and those that may not wait."""
        held: list[str] = []
        sent_away: list[tuple[str, PasteError]] = []
        fresh, self._fresh = self._fresh, []
        for hold in fresh:
            if not hold.waits:
                continue
            error = self._may_not_wait()
            if error is None:
                self.held += 1
                hold.timer = self._deadlines.at(hold.deadline, partial(self._overdue, hold.turn))
                held.append(hold.turn)
            else:
                self.ledger.refused += 1
                self._waits_no_longer(hold)
                sent_away.append((hold.turn, error))
        return held, sent_away

    def _may_not_wait(self) -> PasteError | None:
        if self._stopping:
            return ProxyStoppingError("the proxy stops, and the backend is busy: ask again")
        if self.held < self._limit:
            return None
        return TurnsBusyError(
            f"{self.held} turns wait for the backend already (limits.queued_turns): ask again later",
            param="limits.queued_turns",
        )

    def admitted(self, turn: str, now: float) -> float | None:
        """How long it was held; None where it was not."""
        hold = self._turns.get(turn)
        if hold is None or not hold.waits:
            return None
        was_held = hold.timer is not None
        held_s = now - hold.came if was_held else 0.0
        self._waits_no_longer(hold)
        self.ledger.admitted[bisect_left(BUCKETS, held_s)] += 1
        self.ledger.held_s += held_s
        return held_s if was_held else None

    def closed(self, turn: str, now: float, arrived: Place | None) -> None:
        """`arrived`: its place in the queue, where it waits there and its client has left."""
        hold = self._turns.pop(turn, None)
        if hold is None or not hold.waits:
            return
        self._waits_no_longer(hold)
        if arrived is not None:
            self.ledger.withdrawn += 1
            hold.arrived = arrived
            self.succession.left(hold, now)

    def superseded(self, hold: Hold, arrived: Place) -> None:
        """Another request stands for it from now on."""
        self.ledger.superseded += 1
        hold.arrived = arrived
        self._waits_no_longer(hold)

    def stop(self) -> list[tuple[str, PasteError]]:
        """Nothing is held any more. The turns that were, with what to tell their clients."""
        self._stopping = True
        self._fresh = [hold for hold in self._turns.values() if hold.waits]
        for hold in self._fresh:
            self._end_hold(hold)
        return self.settle()[1]

    def _waits_no_longer(self, hold: Hold) -> None:
        hold.waits = False
        self.succession.waits_no_longer(hold)
        self._end_hold(hold)

    def _end_hold(self, hold: Hold) -> None:
        if hold.timer is not None:
            self._deadlines.cancel(hold.timer)
            hold.timer = None
            self.held -= 1
