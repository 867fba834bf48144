"""Where a slot's value may come from: a small closed set of extractors (the bindings of DESIGN section 4).

Each proposes values; what they are worth is learnt by `filling`. The order matters: a value that several
propose belongs to the first.
"""

from collections.abc import Hashable, Iterable, Iterator
from itertools import chain, islice
from typing import Any, NamedTuple, Protocol, TypeAlias

from paste_proxy.predict.columns import Column, column_of, taken
from paste_proxy.predict.ledger import TOTAL, WIDTH, Group, Ledger
from paste_proxy.predict.memory import Memory
from paste_proxy.predict.places import Source, Value
from paste_proxy.predict.progress import Move, move_of, moved, shifted
from paste_proxy.predict.symbols import Slot
from paste_proxy.predict.values import Key, as_number, can_be_stored, key_of, like, mask_of

OF_MASK = 8
"""Newest values of each mask: those that stand where no right value stood yet."""
MASKS = 6
RARE = 0.02
"""Share of a slot's values below which a mask is not looked for."""
SOURCES, OF_SOURCE = 6, 12
"""Places, and newest values of each."""
OTHER_KINDS = ("int", "float", "bool", "null", "json")
"""Kinds whose mask is the kind itself."""
CONSTANTS = 6
STEPS = 2
MOVES = 3
"""Learnt ones that are tried, the commonest first: a step that ends and the next begins, ends, begins."""
COLUMNS = 2
OF_LISTS, SINGLES = 6, 10
"""Lists of outputs, the newest that fit, and lists of one item that are made of them."""
DRAWN = 4096
"""Slots whose usual values are kept at hand: some agents' worth of tools, a kilobyte each."""


Pair: TypeAlias = tuple[Key, Value | None]
"""A key, and its value in sight where that is at hand."""


class Usual(NamedTuple):
    """What is known of a slot, drawn from the ledger: made anew only once the slot was learnt from again."""

    masks: Group
    """How often right values were of which mask."""
    seen: float
    """Right values."""
    kinds: frozenset[str]
    usual_masks: tuple[str, ...]
    sources: tuple[Source, ...]
    """Where right values stood, the most frequent places first."""
    steps: tuple[int, ...]
    moves: tuple[Move, ...]
    columns: tuple[Column, ...]
    constants: tuple[Key, ...]


class Found:
    """Values that may fill a slot, in order, and which extractor proposed each."""

    __slots__ = ("constants", "how", "values")

    def __init__(self) -> None:
        self.values: dict[Key, Value] = {}
        self.how: list[Hashable] = []
        """Of each its name; of an extractor that makes new values, which stand nowhere, with the place among
        them."""
        self.constants: tuple[Key, ...] = ()


class Extractor(Protocol):
    name: str

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterable[Pair]: ...


class Extractors:
    def __init__(self, ledger: Ledger, without: frozenset[str] = frozenset()) -> None:
        """`without`: names of extractors that are left out, to see what they are worth."""
        self._ledger = ledger
        self._extractors = tuple(one() for one in EVERY if one.name not in without)
        self._constants = Constant.name not in without
        self._unseen = Value(("null", None))
        """In place of all that stands nowhere: nothing is asked of one but where it stood."""
        self._drawn: dict[Slot, Usual] = {}

    def candidates(self, memory: Memory, slot: Slot) -> Found:
        found = Found()
        usual = self._usual(slot)
        if usual is None:
            return found
        kinds, last = usual.kinds, memory.last.get(slot)
        if last is not None and last[0] not in kinds:
            kinds |= {last[0]}
        values, how, known, unseen = found.values, found.how, memory.values, self._unseen
        for extractor in self._extractors:
            if not (pairs := extractor.values(memory, slot, usual)):
                continue
            name = extractor.name
            made = name in MAKERS
            for number, (key, value) in enumerate(pairs):
                # no tool takes "10" where it was always given 10
                if key not in values and key[0] in kinds:
                    values[key] = value or known.get(key, unseen)
                    how.append((name, number) if made else name)
        if self._constants:
            found.constants = usual.constants
        return found

    def learn(self, memory: Memory, slot: Slot, key: Key, session: str) -> None:
        self._ledger.count("masks", slot, mask_of(key))
        value = memory.values.get(key)
        for origin in value.places if value is not None else ():
            self._ledger.count("sources", slot, origin.source)
        if can_be_stored(key):
            self._ledger.witness("constants", slot, key, session)
        if key[0] == "json" and (column := column_of(key, reversed(memory.ties.lists))) is not None:
            self._ledger.count("columns", slot, column)
            for name in column[2]:
                self._ledger.witness("names", None, name, session)
        number, last = as_number(key), memory.last.get(slot)
        former = as_number(last) if last is not None else None
        if number is not None and former is not None and number != former:
            self._ledger.witness("steps", slot, number - former, session)
        if last is not None and (move := move_of(last, key)) is not None:
            self._ledger.witness("moves", slot, move, session)

    def _usual(self, slot: Slot) -> Usual | None:
        masks = self._ledger.find("masks", slot)
        if masks is None:
            return None
        drawn = self._drawn.get(slot)
        if drawn is None or drawn.masks is not masks or drawn.seen != masks[TOTAL]:
            drawn = self._drawn[slot] = self._draw(slot, masks)
            if len(self._drawn) > DRAWN:
                del self._drawn[next(iter(self._drawn))]
        return drawn

    def _draw(self, slot: Slot, masks: Group) -> Usual:
        sources, steps, moves, columns, constants = (
            self._ledger.find(section, slot) or {}
            for section in ("sources", "steps", "moves", "columns", "constants")
        )
        return Usual(
            masks,
            masks[TOTAL],
            frozenset(mask if mask in OTHER_KINDS else "str" for mask in masks if mask != TOTAL),
            _most(masks, MASKS, masks[TOTAL] * RARE),
            _most(sources, WIDTH, sources.get(TOTAL, 0.0) * RARE),
            _most(steps, STEPS),
            _most(moves, MOVES),
            _most(columns, COLUMNS, columns.get(TOTAL, 0.0) * RARE),
            _most(constants, CONSTANTS),
        )


class BySource:
    """What stands where right values of this argument stood before: at a JSON path of a tool's outputs, in a
    text of a tool or the user with a certain mask, as an argument of another tool. The newest text first, in
    its order: the next unused item of a list is one of them."""

    name = "source"

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterable[Pair]:
        present = [
            origin for source in usual.sources if (origin := memory.origins.get(source)) and origin.values
        ]
        return chain.from_iterable(
            [islice(reversed(one.values.items()), OF_SOURCE) for one in present[:SOURCES]]
        )


class ByMask:
    """Values in sight that look as this argument's values do: fields of outputs, items of lists, addresses,
    paths and identifiers in texts of tools, the user and the model, newest first. The next unused item of a
    list is one of them."""

    name = "mask"

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterable[Pair]:
        found = [same for mask in usual.usual_masks if (same := memory.by_mask.get(mask)) is not None]
        return chain.from_iterable([islice(reversed(same.items()), OF_MASK) for same in found])


class SameName:
    """What was given as an argument of the same name, of any tool."""

    name = "same name"

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterable[Pair]:
        return islice(reversed(memory.named_for(slot).items()), 6)


class Recent:
    """What was given as any argument lately."""

    name = "recent"

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterable[Pair]:
        masks = usual.masks
        recent = islice(reversed(memory.recent), 8)
        return [(key, None) for key in recent if (mask_of(key) if key[0] == "str" else key[0]) in masks]


class Joined:
    """A file that was named without its folder, in the folder of a path used before: listings name files so."""

    name = "joined"

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterable[Pair]:
        return ((key, None) for key in self._joined(memory)) if "path" in usual.masks else ()

    def _joined(self, memory: Memory) -> Iterator[Key]:
        folders = dict.fromkeys(_folder(key[1]) for key in reversed(memory.recent) if _is_path(key))
        names = list(islice(reversed(memory.by_mask.get("file", {})), 6))
        relative = [
            key for key in islice(reversed(memory.by_mask.get("path", {})), 12) if key[1][:1] not in "/h"
        ]
        for folder in islice(folders, 2):
            yield from (("str", f"{folder}/{name}") for _, name in names)
            for _, path in relative:
                head, found, _ = folder.partition("/" + path.split("/", 1)[0])
                if found and head:
                    yield "str", f"{head}/{path}"


class ListOfOne:
    """A list whose only item was used or seen before."""

    name = "list of one"

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterable[Pair]:
        if "json" not in usual.masks:
            return ()
        last = [key for key in islice(reversed(memory.recent), 4) if key[0] != "json"]
        return [(one, None) for key in last if (one := key_of([key[1]])) is not None]


class Step:
    """A number that goes on from the last one: by the same step, or by a usual one (the next page, window)."""

    name = "step"

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterable[Pair]:
        last = memory.last.get(slot)
        number = as_number(last) if last is not None else None
        if last is None or number is None:
            return ()
        before = memory.before_last.get(slot)
        former = as_number(before) if before is not None else None
        numbers = [number + step for step in usual.steps]
        if former is not None and former != number:
            numbers.insert(0, 2 * number - former)
        return [(like(last, one), None) for one in numbers]


class MovedOn:
    """The list of records that was given last, one move on: as the session's last one was, as is usual, or with
    each item in the state of the one above."""

    name = "moved on"

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterable[Pair]:
        last = memory.last.get(slot)
        if last is None or last[0] != "json":
            return ()
        before = memory.before_last.get(slot)
        latest = move_of(before, last) if before is not None else None
        moves = usual.moves if latest is None else (latest, *usual.moves)
        lists = (*(moved(last, move) for move in moves), shifted(last))
        return [(one, None) for one in lists if one is not None]


class FromList:
    """What an output listed, as a call is given it: fields of the records or one column, all of them or one."""

    name = "from list"

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterable[Pair]:
        if not usual.columns:
            return ()
        lists = reversed(memory.ties.lists)
        found = (list(taken(column, records)) for records in lists for column in usual.columns)
        fitting = list(islice(filter(None, found), OF_LISTS))
        single = islice(chain.from_iterable(keys[1:] for keys in fitting), SINGLES)
        return [(key, None) for key in (*(keys[0] for keys in fitting), *single)]


class Constant:
    """A value that came in five sessions of the tenant."""

    name = "constant"

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterable[Pair]:
        return [(key, None) for key in usual.constants]


def _most(counts: Group, most: int, least: float = 0.0) -> tuple[Any, ...]:
    """Labels with the highest counts."""
    usual = [label for label, count in counts.items() if label != TOTAL and count >= least]
    return tuple(sorted(usual, key=counts.__getitem__, reverse=True)[:most])


def _is_path(key: Key) -> bool:
    return mask_of(key) in ("path", "folder") and "://" not in key[1]


def _folder(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[0] if "." in path.rsplit("/", 1)[-1] else path.rstrip("/")


EVERY: tuple[type[Extractor], ...] = (
    BySource,
    ByMask,
    SameName,
    Recent,
    Joined,
    ListOfOne,
    Step,
    MovedOn,
    FromList,
    Constant,
)
NAMES = tuple(one.name for one in EVERY)
MAKERS = (Step.name, MovedOn.name, FromList.name)
"""Those whose values stand nowhere: they are told apart by their order."""
