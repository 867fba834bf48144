"""Whether a call is made again as it was: agents run a test after each edit, and try a failed fix anew.

Of a symbol's earlier calls the latest has place 0. Counts by how many there are, from all symbols to the symbol
in its context.
"""

from collections.abc import Hashable, Iterator

from paste_proxy.predict.ledger import TOTAL, Ledger
from paste_proxy.predict.memory import Memory
from paste_proxy.predict.symbols import Symbol, Written

PLACES = 8
"""Earlier calls that are told apart: nearly all repeats are of the last four (traces, Table E)."""
FRESH = -1
"""The place of a call that was not made before."""
BEFORE = 0.05
"""Share of repeats of the latest call before anything is learnt: 0-12 % in most traces."""
WEIGHT = 4.0
"""Calls that the shorter context's shares count for."""


class Repeats:
    def __init__(self, ledger: Ledger, without: frozenset[str] = frozenset()) -> None:
        self._ledger = ledger
        self._known = "repeats" not in without

    def learn(self, memory: Memory, symbol: Symbol, call: Written | None) -> bool:
        """Whether `call` is a repeat."""
        made = memory.made.get(symbol, ())
        if not made:
            return False
        place = list(reversed(made)).index(call) if call in made else FRESH
        for context in _contexts(memory, symbol, len(made)):
            self._ledger.count("repeats", context, place)
        return place != FRESH

    def likely(self, memory: Memory, symbol: Symbol) -> dict[Written, float]:
        """Of calls of `symbol`: the share that repeats each of the earlier ones."""
        made = memory.made.get(symbol, ())[-PLACES:] if self._known else []
        shares = [BEFORE / (place + 1) for place in range(len(made))]
        for context in _contexts(memory, symbol, len(memory.made.get(symbol, ()))) if made else ():
            if group := self._ledger.find("repeats", context):
                total = group[TOTAL]
                own = total / (total + WEIGHT)
                for place in range(len(shares)):
                    shares[place] = own * group.get(place, 0.0) / total + (1 - own) * shares[place]
        return dict(zip(reversed(made), shares, strict=True))


def _contexts(memory: Memory, symbol: Symbol, made: int) -> Iterator[Hashable]:
    known = min(made, 4)
    name = symbol._replace(parts=symbol.parts[:2], open=bool(symbol.argument))  # a symbol: it may hold a word
    last = memory.latest()
    yield known
    yield known, name
    yield known, name, last
    yield known, name, last, memory.heard_user
