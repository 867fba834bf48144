"""Lists that are taken from a list of an output: some fields of its records, or one column; all items, or one.

An order's items are given back by their ids, a journey's flights are booked anew by number and date: the list
that a call is given stands nowhere, but its items are records that an output listed. A *column* is which fields
were taken, and whether as records or as plain values.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import msgspec

from paste_proxy.predict.shapes import is_field
from paste_proxy.predict.values import Key, key_of

Records: TypeAlias = Sequence[dict[str, Any]]
Column: TypeAlias = tuple[str, str, tuple[str, ...]]
"""Written as a place of an output is, so that its fields' names are judged as theirs: `list` for records or
`key` for plain values, nothing, and the fields."""

FIELDS = 8
"""Of a record that is still a reference to something."""
SINGLE = 6
"""Items of one list that are given alone: as many as the longest usual ones have."""


def column_of(key: Key, lists: Iterable[Records]) -> Column | None:
    """Which column a given list is; None where it is none."""
    items = msgspec.json.decode(key[1]) if key[0] == "json" and key[1].startswith("[") else []
    if not items:
        return None
    if all(type(item) is dict and item.keys() == items[0].keys() for item in items):
        fields = tuple(sorted(items[0]))
        return ("list", "", fields) if len(fields) <= FIELDS and all(map(is_field, fields)) else None
    for records in lists:
        for name in records[0]:
            if is_field(name) and any(record.get(name) == items[0] for record in records):
                return "key", "", (name,)
    return None


def taken(column: Column, records: Records) -> Iterator[Key]:
    """The whole column first, then its items alone."""
    kind, _, fields = column
    if not all(name in record for record in records for name in fields):
        return
    items = [
        record[fields[0]] if kind == "key" else {name: record[name] for name in fields} for record in records
    ]
    lists = [items, *([item] for item in items[:SINGLE])] if len(items) > 1 else [items]
    yield from (key for one in lists if (key := key_of(one)) is not None)
