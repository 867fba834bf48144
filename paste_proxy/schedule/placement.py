"""Which backend a session's turns go to: where its KV cache is, else where its name leads, if there is room.

Rendezvous hashing: every backend is scored with the session's name, and the first by score is its choice. So a
backend that comes takes its share of the sessions from all others, and none moves between those. A new session
goes on to its next choice where the first is loaded much above its share (bounded loads).
"""

import math
from collections.abc import Callable, Collection, Iterable
from hashlib import blake2b

import msgspec

from paste_proxy.schedule.backends import BackendCapacity

SPILL = 1.25
"""Times its share of all turns, above which a backend gets no new session. A quarter of slack keeps nine of ten
sessions at their first choice, and no backend waits long beside an idle one."""


class _Known(msgspec.Struct):
    up: bool = True
    """Until the contrary is known: the first request says it soon enough."""
    draining: bool = False
    capacity: BackendCapacity = BackendCapacity()


class Placed(msgspec.Struct, frozen=True):
    backend: str
    spilled: bool = False
    """Its first choice has too much to do."""


class Placement:
    def __init__(self, backends: Iterable[str], load: Callable[[str], float]) -> None:
        """`load`: turns that a backend has or is to have."""
        self._known = {backend: _Known() for backend in backends}
        self._load = load

    # -- backends -----------------------------------------------------------------------------------------

    @property
    def known(self) -> Collection[str]:
        return self._known.keys()

    @property
    def any_up(self) -> bool:
        return any(known.up for known in self._known.values())

    def capacity(self, backend: str) -> BackendCapacity:
        known = self._known.get(backend)
        return known.capacity if known is not None else BackendCapacity()

    def up(self, backend: str, capacity: BackendCapacity) -> None:
        known = self._known.setdefault(backend, _Known())
        known.up, known.capacity = True, capacity

    def down(self, backend: str) -> None:
        if backend in self._known:
            self._known[backend].up = False

    def drain(self, backend: str, *, on: bool) -> None:
        """While it drains, no session comes to it; those that are there stay."""
        if backend in self._known:
            self._known[backend].draining = on

    def remove(self, backend: str) -> None:
        self._known.pop(backend, None)

    def serves(self, backend: str) -> bool:
        known = self._known.get(backend)
        return known is not None and known.up

    # -- sessions -----------------------------------------------------------------------------------------

    def choose(
        self, session: str, home: str | None, near: str | None = None, but: Collection[str] = ()
    ) -> Placed | None:
        """Where the session's next turn goes; None where nobody is left.

        `session`: its name, "" for none. `home`: where its KV cache is. `near`: where that of a session is that
        began alike. `but`: those that refused the turn.
        """
        usable = [backend for backend in self._serving() if backend not in but]
        if home in usable:
            return Placed(home)
        usable = [backend for backend in usable if not self._known[backend].draining] or usable
        if len(usable) < 2:
            return Placed(usable[0]) if usable else None
        ranked = sorted(usable, key=lambda backend: _rank(backend, session, near))
        if not session:
            return Placed(min(ranked, key=lambda backend: self._load(backend) / self._weight(backend)))
        fits = self._within_bound(ranked)
        return Placed(fits, spilled=fits != ranked[0])

    def _serving(self) -> list[str]:
        """Those that are up; all where none is, since then a try costs nobody anything."""
        return [backend for backend, known in self._known.items() if known.up] or list(self._known)

    def _within_bound(self, ranked: list[str]) -> str:
        loads = {backend: self._load(backend) for backend in ranked}
        weights = {backend: self._weight(backend) for backend in ranked}
        each = SPILL * (sum(loads.values()) + 1) / sum(weights.values())
        fits = (one for one in ranked if loads[one] + 1 <= math.ceil(each * weights[one]))
        return next(fits, ranked[0])

    def _weight(self, backend: str) -> float:
        """Its share, where all say what they have room for."""
        capacities = [known.capacity for known in self._known.values()]
        if all(capacity.running for capacity in capacities):
            return self._known[backend].capacity.running
        if all(capacity.kv_tokens for capacity in capacities):
            return self._known[backend].capacity.kv_tokens
        return 1


def _rank(backend: str, session: str, near: str | None) -> tuple[bool, int]:
    """The lowest is the first choice. The same in every process: `hash` of a string is not."""
    digest = blake2b(session.encode(), digest_size=8, person=_person(backend)).digest()
    return backend != near, int.from_bytes(digest)


def _person(backend: str) -> bytes:
    """A backend's name in the 16 bytes that BLAKE2 mixes in."""
    return blake2b(backend.encode(), digest_size=16).digest()
