"""What is to be seen of each value that may fill a slot, in small numbers; and the features that these are.

Hundreds of values are looked at in a decision and few are learnt from, so features, which are what is kept, are
made for those alone. Features are shapes: where the value stood, its place among the unused items there, how
it was used before; none is a value, but for learnt constants.
"""

from collections.abc import Hashable
from typing import TypeAlias

from paste_proxy.predict.memory import Memory
from paste_proxy.predict.places import Origin, Place, Value
from paste_proxy.predict.symbols import Slot
from paste_proxy.predict.values import Key, bucket

Features: TypeAlias = tuple[list[Hashable], list[Hashable]]
"""Of the slot, and shared."""

Aspects: TypeAlias = tuple[int, Origin | None, int, int, int, int, int, int, int, int]
"""Of a value how it was used as this argument (0: never, 2: last, 1: before that), where it stood, and a number
for each feature's weight, see `worth`; `NOTHING` where it has no such feature."""

NOTHING = -1
AGE = 32
"""Numbers of a source's ages begin there, behind those of ranks."""
_RANKS = (1, 2, 3, 4, 5, 5, 5, 5)
_FAR = 6
"""Ranks beyond those."""
_AGES = tuple(map(bucket, range(17)))
_OLD = bucket(17)


def aspects_of(memory: Memory, slot: Slot, values: list[Value]) -> list[Aspects]:
    """More (masks, how often it was used, the extractor's own) were tried, and gave nothing on the traces."""
    last = memory.last.get(slot)
    before = memory.values.get(last) if last is not None else None
    latest = before.used.get(slot) if before is not None else None
    behind = before.places if before is not None else {}
    calls, clock = memory.calls, memory.clock
    found: list[Aspects] = []
    for value, rank in zip(values, _ranks(slot, values), strict=True):
        use = value.used.get(slot) if value.used else None
        used, again = 0, NOTHING
        if use is not None:
            used, again = 2 if use == latest else 1, bucket((clock - use) // 2)
        origin, often = value.stood, value.count
        often = often if often < 4 else 4
        kinds = value.kinds * 3 + used
        if origin is None:
            nothing = NOTHING
            found.append((used, None, kinds, often, nothing, nothing, nothing, nothing, again, nothing))
            continue
        call, _, text = at = value.at
        age, number = calls - call, origin.number
        age = (_AGES[age] if age < 17 else _OLD) * 2 + (text == origin.newest)
        follows = rank + 7 * _follows(behind[origin], at) if origin in behind else rank
        found.append(
            (
                used,
                origin,
                kinds,
                often,
                number + rank * 3 + used,
                number + AGE + age,
                number + used,
                follows,
                again,
                (origin.kind * 14 + age) * 7 + rank,
            )
        )
    return found


def _ranks(slot: Slot, values: list[Value]) -> list[int]:
    """Of each value that was not used as this argument yet: its place among such values of its text, from 1 on;
    0 of the others."""
    texts: dict[tuple[Origin, int], list[tuple[int, int]]] = {}
    for number, value in enumerate(values):
        origin = value.stood
        if origin is not None and not (value.used and slot in value.used):
            _, position, clock = value.at
            text = origin, clock
            if text in texts:
                texts[text].append((position, number))
            else:
                texts[text] = [(position, number)]
    ranks = [0] * len(values)
    for items in texts.values():
        if len(items) > 1:
            items.sort()
        for rank, (_, number) in enumerate(items):
            ranks[number] = _RANKS[rank] if rank < 8 else _FAR
    return ranks


def _follows(before: Place, at: Place) -> int:
    """1: it stands behind the value used last, in the same text; 2: before it; 0: elsewhere."""
    if before[2] != at[2]:
        return 0
    return 1 if at[1] > before[1] else 2


def features_of(aspects: Aspects, how: Hashable, after: Hashable, *, sibling: bool) -> Features:
    """`how`: which extractor found it; `after`: what was asked for last, and whether the user spoke since;
    `sibling`: whether that call was of the same turn and symbol."""
    used, origin, kinds, often, _, age, _, follows, again, _ = aspects
    mine: list[Hashable] = [("kinds", kinds // 3, used), ("often", often)]
    ours: list[Hashable] = [("how", how, used)]
    if origin is not None:
        source, rank, follows = origin.source, follows % 7 - 1, follows // 7
        age, fresh = divmod(age - origin.number - AGE, 2)
        mine += [
            ("stood", source, rank, used),
            ("age", source, age, bool(fresh)),
            ("after", after, source, used),
            ("next", follows, rank),
        ]
        ours += [("age", source[0], age, bool(fresh), rank), ("next", follows, rank, sibling)]
    else:
        mine.append(("how", how, used))
    if again != NOTHING:
        mine.append(("again", again))
    return mine, ours


def constant(key: Key, after: Hashable) -> list[Hashable]:
    """Of the slot, if the value is one of its constants."""
    return [("constant", key), ("constant", key, after)]


def none_of(values: int, after: Hashable, *, again: bool) -> Features:
    """Of there being no right one among so many. `again`: whether the slot was filled before."""
    none: list[Hashable] = ["none", ("none", min(values, 3)), ("none", again)]
    return [*none, ("none after", after)], none
