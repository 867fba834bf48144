"""Lists of records that go on: a plan whose next step begins, a form whose next field is filled.

Agents that keep a plan give it anew as a whole after each step, with one or two of its items changed. A *move*
is that change without the items: in which field, from which value to which, and how far apart the items stand.
It is taken from what the session's list did last, from its column, and from other sessions of the tenant.
"""

from functools import lru_cache
from itertools import islice
from typing import Any, TypeAlias

import msgspec

from paste_proxy.predict.values import Key, key_of

Move: TypeAlias = tuple[tuple[int, str, Key, Key], ...]
"""Of each changed item: its distance from the first one, the field, its value before and after. They are keys:
False and 0 are different states, and tuples of them would be equal."""

CHANGES = 3
"""Items of one move: a step that ends and one that begins, and one more."""
ITEMS = 64
"""A longer list is data."""
STATE = 32
"""Characters of a value that is a state rather than content."""


@lru_cache(maxsize=256)
def move_of(before: Key, after: Key) -> Move | None:
    """What changed in a list; None where that is no move."""
    old, new = _records(before), _records(after)
    if old is None or new is None or len(old) != len(new):
        return None
    changed = [place for place, (one, other) in enumerate(zip(old, new, strict=True)) if one != other]
    if not 0 < len(changed) <= CHANGES:
        return None
    move = []
    for place in changed:
        fields = [name for name in old[place] if old[place][name] != new[place].get(name)]
        if len(fields) != 1 or old[place].keys() != new[place].keys():
            return None
        was, becomes = _state(old[place][fields[0]]), _state(new[place][fields[0]])
        if was is None or becomes is None:
            return None
        move.append((place - changed[0], fields[0], was, becomes))
    return tuple(move)


@lru_cache(maxsize=512)
def moved(key: Key, move: Move) -> Key | None:
    """The list after a move, at the first place where it can be made."""
    records = _records(key) or ()
    for start in range(len(records) - move[-1][0]):
        if all(_state(records[start + place].get(field)) == was for place, field, was, _ in move):
            changes = {start + place: {field: becomes[1]} for place, field, _, becomes in move}
            return key_of([{**record, **changes.get(place, {})} for place, record in enumerate(records)])
    return None


@lru_cache(maxsize=256)
def shifted(key: Key) -> Key | None:
    """Each item gets the state of the item above, in the one field where items share their values."""
    records = _records(key) or ()
    if len(records) < 2:
        return None
    for field in records[0]:
        column = [record.get(field) for record in records]
        kinds = set(map(_state, column))
        if None not in kinds and 1 < len(kinds) <= CHANGES and len(kinds) < len(column):
            below = [column[0], *islice(column, len(column) - 1)]
            return key_of([{**record, field: state} for record, state in zip(records, below, strict=True)])
    return None


@lru_cache(maxsize=256)
def _records(key: Key) -> list[dict[str, Any]] | None:
    if key[0] != "json" or not key[1].startswith("[{"):
        return None
    value = msgspec.json.decode(key[1])
    return value if len(value) <= ITEMS and all(type(item) is dict for item in value) else None


def _state(value: Any) -> Key | None:
    """None for what is no state."""
    is_state = type(value) in (bool, int) or (type(value) is str and len(value) <= STATE)
    return key_of(value) if is_state else None
