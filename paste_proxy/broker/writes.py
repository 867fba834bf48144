"""The writes that models were seen to ask for: open from the call's name until its result is in the history, or
until the gateway has answered it, if it was the gateway that ran it; or until its time is over, since an agent
that has ended tells no results, and would stop everybody.

A write is known by its turn and its place in it, since engines may give several calls the same id, or none. Ids
mean something within one conversation only: some engines count them from 0 in each.
"""

from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import TypeAlias

import msgspec
from msgspec.structs import replace

from paste_proxy.broker.index import discard
from paste_proxy.broker.scopes import Epochs
from paste_proxy.deadlines import Deadlines, Timer

Place: TypeAlias = tuple[str, int]
"""Turn, and ordinal of the call in it."""


class OpenWrite(msgspec.Struct, frozen=True):
    session: str
    call_id: str
    scopes: frozenset[str]
    tool: str = ""
    """The tool of the gateway that it asks for; empty where the agent runs it itself."""
    lasts: float = 600.0
    """Seconds after its turn's end, when it counts as over."""
    over: bool = False
    """It has lasted too long, and counts no more. If its result comes after all, it was a write until then."""


class OpenWrites:
    """What begins is told to the caller, who voids what read it; what ends goes to the epochs directly."""

    def __init__(self, epochs: Epochs, deadlines: Deadlines) -> None:
        self._epochs = epochs
        self._deadlines = deadlines
        self._timers: dict[Place, Timer] = {}
        self._open: dict[Place, OpenWrite] = {}
        self._of_session: dict[str, set[Place]] = {}
        self._of_id: dict[tuple[str, str], set[Place]] = {}
        """By session and call id."""

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, place: Place, write: OpenWrite) -> bool:
        """False if it is open already; its id may come later than it."""
        known = self._open.get(place)
        if known is not None and (known.call_id or not write.call_id):
            return False
        if known is not None:
            discard(self._of_id, (known.session, known.call_id), place)
            write = replace(known, call_id=write.call_id)
        self._open[place] = write
        self._of_session.setdefault(write.session, set()).add(place)
        self._of_id.setdefault((write.session, write.call_id), set()).add(place)
        return known is None

    def close(self, place: Place) -> None:
        """It has ended, or was none."""
        self._close([place] if place in self._open else [])

    def ended(self, session: str, call_id: str, tool: str) -> None:
        """The gateway has answered the session's call: nothing is written any more, whether its agent ever
        says so or not. It stays known until its history tells of it. Of calls with one id, one was answered."""
        for place in self._of_id.get((session, call_id), ()) if call_id else ():
            write = self._open[place]
            if write.scopes and write.tool == tool:
                self._end(place, write)
                self._open[place] = replace(write, scopes=frozenset())
                return

    def answered(self, line: Iterable[str], call_id: str) -> bool:
        """A result with this id stands in a history. `line`: the sessions whose history that is, nearest first;
        the first that has such a write open is meant. False if none has."""
        if not call_id:
            return False
        found = (self._of_id.get((session, call_id)) for session in line)
        return self._close(list(next(filter(None, found), ())))

    def left(self, session: str, waiting: Iterable[str], turn: str) -> None:
        """The session asks again: of its writes, only those in `waiting` may still come back. Those without an
        id have: a client that runs calls it read out of text tells their results in its next request."""
        waiting = set(waiting)
        places = self._of_session.get(session, ())
        self._close(
            [
                place
                for place in places
                if place[0] != turn
                and (not self._open[place].call_id or self._open[place].call_id not in waiting)
            ]
        )

    def alike(self, sessions: Iterable[str]) -> bool:
        """Do all of them have the same writes open?"""
        kinds = [
            Counter(replace(self._open[place], session="") for place in self._of_session.get(session, ()))
            for session in sessions
        ]
        return all(one == kinds[0] for one in kinds)

    def turn_over(self, session: str, turn: str, now: float) -> None:
        """The agent has all of the reply, and runs what it asks for now."""
        for place in self._of_session.get(session, ()):
            if place[0] == turn:
                at = now + self._open[place].lasts
                self._timers[place] = self._deadlines.at(at, partial(self._lapse, place))

    def _lapse(self, place: Place, _now: float) -> None:
        write = self._open[place]
        self._end(place, write)
        self._open[place] = replace(write, over=True)

    def _end(self, place: Place, write: OpenWrite) -> None:
        self._deadlines.cancel(self._timers.pop(place, None))
        if write.over:
            self._epochs.bump(write.scopes)
        else:
            self._epochs.end_write(write.scopes)

    def forget(self, session: str) -> None:
        self._close(list(self._of_session.get(session, ())))

    def _close(self, places: list[Place]) -> bool:
        for place in places:
            write = self._open.pop(place)
            discard(self._of_session, write.session, place)
            discard(self._of_id, (write.session, write.call_id), place)
            self._end(place, write)
        return bool(places)
