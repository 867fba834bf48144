"""Where a slot's value may come from: a small closed set of extractors (the bindings of DESIGN section 4).

Each proposes values; what they are worth is learnt by `filling`. The order matters: a value that several
propose belongs to the first.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol

from paste_proxy.predict.ledger import TOTAL, Ledger
from paste_proxy.predict.memory import Memory, Value
from paste_proxy.predict.symbols import Slot
from paste_proxy.predict.values import Key, as_number, can_be_stored, key_of, like, mask_of

OF_MASK = 8
"""Newest values of each mask: those that stand where no right value stood yet."""
MASKS = 6
RARE = 0.02
"""Share of a slot's values below which a mask is not looked for."""
SOURCES, OF_SOURCE = 6, 16
"""Places, and newest values of each."""
OTHER_KINDS = ("int", "float", "bool", "null", "json")
"""Kinds whose mask is the kind itself."""
CONSTANTS = 6
STEPS = 2


class Found:
    """Values that may fill a slot, in order, and which extractor proposed each."""

    __slots__ = ("constants", "how", "values")

    def __init__(self) -> None:
        self.values: dict[Key, Value] = {}
        self.how: dict[Key, str] = {}
        self.constants: set[Key] = set()


class Extractor(Protocol):
    name: str

    def values(self, memory: Memory, slot: Slot) -> Iterable[Key]: ...


class Extractors:
    def __init__(self, ledger: Ledger, without: frozenset[str] = frozenset()) -> None:
        """`without`: names of extractors that are left out, to see what they are worth."""
        self._ledger = ledger
        every: tuple[Extractor, ...] = (
            BySource(ledger),
            ByMask(ledger),
            SameName(),
            Recent(ledger),
            Joined(ledger),
            ListOfOne(ledger),
            Step(ledger),
            Constant(ledger),
        )
        self._extractors = tuple(one for one in every if one.name not in without)

    def candidates(self, memory: Memory, slot: Slot) -> Found:
        found = Found()
        masks = self._ledger.find("masks", slot)
        if masks is None:
            return found
        kinds = {mask if mask in OTHER_KINDS else "str" for mask in masks if mask != TOTAL}
        if (last := memory.last.get(slot)) is not None:
            kinds.add(last[0])
        for extractor in self._extractors:
            for key in extractor.values(memory, slot):
                if key[0] not in kinds:
                    continue  # no tool takes "10" where it was always given 10
                if key not in found.values:
                    found.values[key] = memory.values.get(key) or Value(key)
                    found.how[key] = extractor.name
                if extractor.name == Constant.name:
                    found.constants.add(key)
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


class BySource:
    """What stands where right values of this argument stood before: at a JSON path of a tool's outputs, in a
    text of a tool or the user with a certain mask, as an argument of another tool. The newest text first, in
    its order: the next unused item of a list is one of them."""

    name = "source"

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def values(self, memory: Memory, slot: Slot) -> Iterator[Key]:
        counts = self._ledger.find("sources", slot)
        if counts is None:
            return
        least = counts[TOTAL] * RARE
        usual = (source for source in counts if source in memory.by_source and counts[source] >= least)
        for source in sorted(usual, key=lambda source: -counts[source])[:SOURCES]:
            yield from islice(reversed(memory.by_source[source]), OF_SOURCE)


class ByMask:
    """Values in sight that look as this argument's values do: fields of outputs, items of lists, addresses,
    paths and identifiers in texts of tools, the user and the model, newest first. The next unused item of a
    list is one of them."""

    name = "mask"

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def values(self, memory: Memory, slot: Slot) -> Iterator[Key]:
        for mask in usual_masks(self._ledger, slot):
            if (same := memory.by_mask.get(mask)) is not None:
                yield from islice(reversed(same), OF_MASK)


class SameName:
    """What was given as an argument of the same name, of any tool."""

    name = "same name"

    def values(self, memory: Memory, slot: Slot) -> Iterator[Key]:
        yield from islice(reversed(list(memory.named_for(slot))), 6)


class Recent:
    """What was given as any argument lately."""

    name = "recent"

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def values(self, memory: Memory, slot: Slot) -> Iterator[Key]:
        masks = self._ledger.find("masks", slot) or {}
        yield from (key for key in islice(reversed(memory.recent), 8) if mask_of(key) in masks)


class Joined:
    """A file that was named without its folder, in the folder of a path used before: listings name files so."""

    name = "joined"

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def values(self, memory: Memory, slot: Slot) -> Iterator[Key]:
        if "path" not in (self._ledger.find("masks", slot) or ()):
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

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def values(self, memory: Memory, slot: Slot) -> Iterator[Key]:
        if "json" not in (self._ledger.find("masks", slot) or ()):
            return
        for key in islice(reversed(memory.recent), 4):
            if key[0] != "json" and (one := key_of([key[1]])) is not None:
                yield one


class Step:
    """A number that goes on from the last one: by the same step, or by a usual one (the next page, window)."""

    name = "step"

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def values(self, memory: Memory, slot: Slot) -> Iterator[Key]:
        last = memory.last.get(slot)
        number = as_number(last) if last is not None else None
        if last is None or number is None:
            return
        before = memory.before_last.get(slot)
        former = as_number(before) if before is not None else None
        if former is not None and former != number:
            yield like(last, 2 * number - former)
        steps = self._ledger.find("steps", slot) or {}
        usual = sorted(steps, key=lambda step: -steps[step])[:STEPS]
        yield from (like(last, number + step) for step in usual)


class Constant:
    """A value that came in five sessions of the tenant."""

    name = "constant"

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def values(self, memory: Memory, slot: Slot) -> Iterator[Key]:
        known = self._ledger.find("constants", slot) or {}
        yield from sorted(known, key=lambda key: -known[key])[:CONSTANTS]


def usual_masks(ledger: Ledger, slot: Slot) -> list[str]:
    masks = ledger.find("masks", slot) or {}
    least = masks.get(TOTAL, 0.0) * RARE
    usual = (mask for mask in masks if mask != TOTAL and masks[mask] >= least)
    return sorted(usual, key=lambda mask: -masks[mask])[:MASKS]


def _is_path(key: Key) -> bool:
    return mask_of(key) in ("path", "folder") and "://" not in key[1]


def _folder(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[0] if "." in path.rsplit("/", 1)[-1] else path.rstrip("/")


NAMES = tuple(one.name for one in (BySource, ByMask, SameName, Recent, Joined, ListOfOne, Step, Constant))
