"""Where a slot's value may come from: a small closed set of extractors (the bindings of DESIGN section 4).

Each proposes values; what they are worth is learnt by `filling`. The order matters: a value that several
propose belongs to the first.
"""

from collections.abc import Hashable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple, Protocol

from paste_proxy.predict.ledger import TOTAL, WIDTH, Group, Ledger
from paste_proxy.predict.memory import Memory, Source, Value
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
DRAWN = 4096
"""Slots whose usual values are kept at hand: some agents' worth of tools, a kilobyte each."""


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
    constants: tuple[Key, ...]


class Found:
    """Values that may fill a slot, in order, and which extractor proposed each."""

    __slots__ = ("constants", "how", "values")

    def __init__(self) -> None:
        self.values: dict[Key, Value] = {}
        self.how: dict[Key, Hashable] = {}
        """Its name; of an extractor that makes new values, which stand nowhere, with the place among them."""
        self.constants: tuple[Key, ...] = ()


class Extractor(Protocol):
    name: str

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterable[Key]: ...


class Extractors:
    def __init__(self, ledger: Ledger, without: frozenset[str] = frozenset()) -> None:
        """`without`: names of extractors that are left out, to see what they are worth."""
        self._ledger = ledger
        self._extractors = tuple(one() for one in EVERY if one.name not in without)
        self._constants = Constant.name not in without
        self._drawn: dict[Slot, Usual] = {}

    def candidates(self, memory: Memory, slot: Slot) -> Found:
        found = Found()
        usual = self._usual(slot)
        if usual is None:
            return found
        kinds, last = usual.kinds, memory.last.get(slot)
        if last is not None and last[0] not in kinds:
            kinds |= {last[0]}
        values, how, known = found.values, found.how, memory.values
        for extractor in self._extractors:
            name = extractor.name
            made = name in MAKERS
            for number, key in enumerate(extractor.values(memory, slot, usual)):
                # no tool takes "10" where it was always given 10
                if key not in values and key[0] in kinds:
                    values[key] = known.get(key) or Value(key)
                    how[key] = (name, number) if made else name
        if self._constants:
            found.constants = usual.constants
        return found

    def learn(self, memory: Memory, slot: Slot, key: Key, session: str) -> None:
        self._ledger.count("masks", slot, mask_of(key))
        value = memory.values.get(key)
        for source in value.places if value is not None else ():
            self._ledger.count("sources", slot, source)
        if can_be_stored(key):
            self._ledger.witness("constants", slot, key, session)
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
        sources, steps, moves, constants = (
            self._ledger.find(section, slot) or {} for section in ("sources", "steps", "moves", "constants")
        )
        return Usual(
            masks,
            masks[TOTAL],
            frozenset(mask if mask in OTHER_KINDS else "str" for mask in masks if mask != TOTAL),
            _most(masks, MASKS, masks[TOTAL] * RARE),
            _most(sources, WIDTH, sources.get(TOTAL, 0.0) * RARE),
            _most(steps, STEPS),
            _most(moves, MOVES),
            _most(constants, CONSTANTS),
        )


class BySource:
    """What stands where right values of this argument stood before: at a JSON path of a tool's outputs, in a
    text of a tool or the user with a certain mask, as an argument of another tool. The newest text first, in
    its order: the next unused item of a list is one of them."""

    name = "source"

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterator[Key]:
        present = (source for source in usual.sources if source in memory.by_source)
        for source in islice(present, SOURCES):
            yield from islice(reversed(memory.by_source[source]), OF_SOURCE)


class ByMask:
    """Values in sight that look as this argument's values do: fields of outputs, items of lists, addresses,
    paths and identifiers in texts of tools, the user and the model, newest first. The next unused item of a
    list is one of them."""

    name = "mask"

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterator[Key]:
        for mask in usual.usual_masks:
            if (same := memory.by_mask.get(mask)) is not None:
                yield from islice(reversed(same), OF_MASK)


class SameName:
    """What was given as an argument of the same name, of any tool."""

    name = "same name"

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterator[Key]:
        yield from islice(reversed(list(memory.named_for(slot))), 6)


class Recent:
    """What was given as any argument lately."""

    name = "recent"

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterator[Key]:
        yield from (key for key in islice(reversed(memory.recent), 8) if mask_of(key) in usual.masks)


class Joined:
    """A file that was named without its folder, in the folder of a path used before: listings name files so."""

    name = "joined"

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterator[Key]:
        if "path" not in usual.masks:
            return
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

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterator[Key]:
        if "json" not in usual.masks:
            return
        for key in islice(reversed(memory.recent), 4):
            if key[0] != "json" and (one := key_of([key[1]])) is not None:
                yield one


class Step:
    """A number that goes on from the last one: by the same step, or by a usual one (the next page, window)."""

    name = "step"

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterator[Key]:
        last = memory.last.get(slot)
        number = as_number(last) if last is not None else None
        if last is None or number is None:
            return
        before = memory.before_last.get(slot)
        former = as_number(before) if before is not None else None
        if former is not None and former != number:
            yield like(last, 2 * number - former)
        yield from (like(last, number + step) for step in usual.steps)


class MovedOn:
    """The list of records that was given last, one move on: as the session's last one was, as is usual, or with
    each item in the state of the one above."""

    name = "moved on"

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterator[Key]:
        last = memory.last.get(slot)
        if last is None or last[0] != "json":
            return
        before = memory.before_last.get(slot)
        latest = move_of(before, last) if before is not None else None
        moves = usual.moves if latest is None else (latest, *usual.moves)
        lists = (*(moved(last, move) for move in moves), shifted(last))
        yield from (one for one in lists if one is not None)


class Constant:
    """A value that came in five sessions of the tenant."""

    name = "constant"

    def values(self, memory: Memory, slot: Slot, usual: Usual) -> Iterable[Key]:
        return usual.constants


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
    Constant,
)
NAMES = tuple(one.name for one in EVERY)
MAKERS = (Step.name, MovedOn.name)
"""Those whose values stand nowhere: they are told apart by their order."""
