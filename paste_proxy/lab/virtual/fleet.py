"""Engines in virtual time: a request goes to its session's engine, and hears when its marks are reached."""

import zlib
from collections.abc import Callable, Sequence

from paste_proxy.lab.engine.model import EngineModel
from paste_proxy.lab.engine.requests import Began, EngineRequest, Reached
from paste_proxy.lab.engine.spec import EngineSpec
from paste_proxy.lab.virtual.time import Timer, VirtualTime

Told = Callable[[Began | Reached], None]


class Fleet:
    """One or more equal engines; a session keeps to one, as a router with affinity has it."""

    def __init__(self, spec: EngineSpec, count: int, time: VirtualTime) -> None:
        self.engines: Sequence[EngineModel] = [EngineModel(spec) for _ in range(count)]
        self._time = time
        self._timers: list[tuple[float, Timer] | None] = [None] * count
        """Of each engine's next event."""
        self._told: dict[str, Told] = {}
        self._place: dict[str, int] = {}

    def place(self, session: str) -> int:
        """Which of the engines a session keeps to."""
        return zlib.crc32(session.encode()) % len(self.engines)

    def submit(self, session: str, request: EngineRequest, told: Told) -> None:
        """`told` hears of every mark, in order."""
        place = self.place(session)
        self._told[request.rid] = told
        self._place[request.rid] = place
        self.engines[place].submit(request, self._time.now)
        self._go_on(place)

    def abort(self, rid: str) -> None:
        place = self._place.pop(rid, None)
        if place is not None:
            del self._told[rid]
            self.engines[place].abort(rid, self._time.now)
            self._go_on(place)

    def close_session(self, session: str) -> None:
        self.engines[self.place(session)].close_session(session)

    def _go_on(self, place: int) -> None:
        """Pass on what has happened, and wait for what comes next."""
        for event in self.engines[place].advance(self._time.now):
            told = self._told.get(event.rid)
            if told is None:
                continue
            if type(event) is Reached and event.last:
                del self._told[event.rid], self._place[event.rid]
            told(event)
        self._wait(place)

    def _wait(self, place: int) -> None:
        moment, waited = self.engines[place].next_event(), self._timers[place]
        if waited is not None:
            if waited[0] == moment:
                return
            waited[1].cancel()
        if moment is None:
            self._timers[place] = None
        else:
            self._timers[place] = (moment, self._time.at(moment, lambda: self._due(place)))

    def _due(self, place: int) -> None:
        self._timers[place] = None
        self._go_on(place)
