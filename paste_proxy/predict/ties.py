"""Which values of a session belong together: fields of one object of an output, and what one call was given.

Objects and calls are numbered; a value has the numbers of those that it is in.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from itertools import islice
from typing import Any

from paste_proxy.predict.shapes import is_record
from paste_proxy.predict.values import Key, key_of

TIED = 1024
"""Values kept, the newest: half a megabyte, some 6 MB at worst."""
NUMBERS = 16
"""Objects, and calls, of one value, the newest; at most twice as many: what is in more tells nothing apart."""
LISTS = 32
"""Of records, LISTED at most, that are kept as they are: what is listed last is followed."""
LISTED = 16
FIELDS, SHORT = 16, 64
"""Fields kept of each of these records, and characters of each: a megabyte in all."""
NODES = 512
"""Values looked at per output, as in `shapes`."""
OUTER = 2
"""Objects around a field's own that are told: an order around its items, and a customer around those."""


class Tie:
    """What one value belongs to."""

    __slots__ = ("around", "calls", "records")

    def __init__(self) -> None:
        self.records: set[int] = set()
        """Objects that it is a field of; `around`: those that hold these."""
        self.around: set[int] = set()
        self.calls: set[int] = set()

    def twin(self) -> "Tie":
        tie = Tie()
        tie.records, tie.around, tie.calls = set(self.records), set(self.around), set(self.calls)
        return tie

    def counts(self) -> tuple[int, int, int]:
        return len(self.records), len(self.around), len(self.calls)


class Ties:
    def __init__(self) -> None:
        self._ties: OrderedDict[Key, Tie] = OrderedDict()
        self.lists: deque[list[dict[str, Any]]] = deque(maxlen=LISTS)
        """Of records, the latest last."""
        self._numbers = 0
        self._supposed: list[tuple[int, list[Key]]] = []
        self.latest_call = 0
        self._settled = 0
        """The latest call that was not supposed."""

    def twin(self) -> "Ties":
        """A copy, of ties in which nothing is supposed."""
        ties = Ties()
        ties._ties = OrderedDict((key, tie.twin()) for key, tie in self._ties.items())
        ties._numbers, ties.latest_call, ties._settled = self._numbers, self.latest_call, self._settled
        return ties

    def find(self, key: Key) -> Tie | None:
        return self._ties.get(key)

    def read(self, value: Any) -> None:
        """An output."""
        stack: list[tuple[Any, tuple[int, ...]]] = [(value, ())]
        for _ in range(NODES):
            if not stack:
                return
            node, around = stack.pop()
            if type(node) is dict and is_record(node):
                self._numbers += 1
                self._fields(node, self._numbers, around)
                around = (self._numbers, *around[:OUTER])
            elif type(node) is list and 0 < len(node) <= LISTED and all(type(one) is dict for one in node):
                self.lists.append([_short(record) for record in node])
            items = node.values() if type(node) is dict else node
            nested = [(item, around) for item in islice(items, NODES) if type(item) in (dict, list)]
            stack += reversed(nested)

    def _fields(self, node: dict[str, Any], number: int, around: tuple[int, ...]) -> None:
        for item in node.values():
            if type(item) in (str, int, float) and (key := key_of(item)) is not None:
                tie = self._tie(key)
                _note(tie.records, number)
                for outer in around:
                    _note(tie.around, outer)

    def call(self, keys: Iterable[Key | None]) -> None:
        """What a call was given."""
        self.latest_call = self._settled = self._give([key for key in keys if key is not None])

    def suppose(self, keys: Iterable[Key | None]) -> None:
        """As `call`, until `settle` takes it back."""
        given = [key for key in keys if key is not None]
        self.latest_call = self._give(given, lasting=False)
        if given:
            self._supposed.append((self.latest_call, given))

    def settle(self) -> None:
        self.latest_call = self._settled
        for number, keys in self._supposed:
            for key in keys:
                if (tie := self._ties.get(key)) is not None:
                    tie.calls.discard(number)
                    if tie.counts() == (0, 0, 0):
                        del self._ties[key]
        self._supposed = []

    def _give(self, keys: Iterable[Key], *, lasting: bool = True) -> int:
        self._numbers += 1
        for key in keys:
            _note(self._tie(key, lasting=lasting).calls, self._numbers)
        return self._numbers

    def _tie(self, key: Key, *, lasting: bool = True) -> Tie:
        """For what may not last, nothing is forgotten."""
        tie = self._ties.get(key)
        if tie is None:
            tie = self._ties[key] = Tie()
        if lasting:
            self._ties.move_to_end(key)
            while len(self._ties) > TIED:
                self._ties.popitem(last=False)
        return tie


def _short(record: dict[str, Any]) -> dict[str, Any]:
    """Its first fields that may be references to something."""
    fields = (one for one in record.items() if type(one[1]) in (int, float) or _is_short(one[1]))
    return dict(islice(fields, FIELDS))


def _is_short(item: Any) -> bool:
    return type(item) is str and len(item) <= SHORT


def _note(kept: set[int], number: int) -> None:
    kept.add(number)
    if len(kept) > 2 * NUMBERS:
        kept.intersection_update(sorted(kept)[-NUMBERS:])
