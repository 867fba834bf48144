"""What is learnt, as numbers by section, key and label: counts that decay, and weights. Bounded.

All parts of the predictor write here and nowhere else, so what they learn has one size, one way of forgetting
and one form on disk. A *group* is the labels of one section and key. A tenant's ledger stands on one that all
tenants share (`tables`): a group that it has not written itself is read there, and copied when it is written.
"""

import heapq
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

GroupKey: TypeAlias = tuple[str, Hashable]
Group: TypeAlias = dict[Any, float]

LIMIT = 400_000
"""Labels of all groups together, some 300 bytes each with their keys (docs/design.md, memory)."""
TOTAL = ""
"""The label under which a group of counts keeps their sum."""
HORIZON = 512
"""A group's sum above which its counts are halved: an agent that changed is believed after so many turns."""
WIDTH = 256
"""Labels per group of counts; the least one makes room for a new one."""
KNOWN = 1024
"""Labels per group without a sum: words of a shell's commands, of which agents use some hundreds in common."""
FAINT = 0.5
"""A count below is forgotten: one sighting, two halvings ago."""
WITNESSES = 5
"""Tasks in which a word or constant must have come before it is learnt (docs/design.md, privacy)."""
PRIVATE = ("words", "constants", "steps", "moves")
"""Sections that hold values of sessions: each tenant has its own, and they are in no export."""
SHARED = "shared"
"""The section that holds for all tools: it is never forgotten."""


class SavedGroup(msgspec.Struct, frozen=True, array_like=True):
    section: str
    key: Any
    labels: list[tuple[Any, float]]


class Changes(msgspec.Struct, frozen=True):
    """What a store must do to have the ledger's state again."""

    saved: tuple[SavedGroup, ...] = ()
    dropped: tuple[GroupKey, ...] = ()
    tenant: str = ""
    """Whose they are; empty: everybody's."""
    gone: bool = False
    """Nothing that the tenant had is kept."""


Savable: TypeAlias = Callable[["Ledger", GroupKey, Group], SavedGroup | None]


class Ledger:
    """`limit` bounds the labels of all groups together; the group that was written longest ago goes first."""

    def __init__(self, limit: int = LIMIT, common: "Ledger | None" = None) -> None:
        self._limit = limit
        self._groups: dict[GroupKey, Group] = {}
        self.common = self if common is None else common
        """What holds for all tools is written there: it tells nobody's values."""
        self._prior: Mapping[GroupKey, Group] = {} if common is None else common._groups
        self._size = 0
        self._changed: dict[GroupKey, None] = {}
        self._witnesses: dict[int, set[str]] = {}
        """By a digest: until enough sessions had a value it is not kept."""

    def __len__(self) -> int:
        return self._size

    @property
    def waiting(self) -> int:
        """Values that too few sessions had yet."""
        return len(self._witnesses)

    def find(self, section: str, key: Hashable) -> Group | None:
        """To be read, not written."""
        group = self._groups.get((section, key))
        return self._prior.get((section, key)) if group is None and self._prior else group

    def count(self, section: str, key: Hashable, label: Hashable, amount: float = 1.0) -> None:
        group = self._group((section, key))
        self._put(group, label, group.get(label, 0.0) + amount)
        self._put(group, TOTAL, group.get(TOTAL, 0.0) + amount)
        if group[TOTAL] > HORIZON:
            self._halve((section, key), group)

    def set(self, section: str, key: Hashable, label: Hashable, value: float) -> None:
        self._put(self._group((section, key)), label, value)

    def admit(self, section: str, key: Hashable, labels: Sequence[Hashable], value: float) -> None:
        """Set new labels of a group without a sum. Room is made for all of them at once: to look for the least
        one again and again takes a third of a second for a thousand."""
        group, labels = self._group((section, key)), labels[:KNOWN]
        least = heapq.nsmallest(len(group) + len(labels) - KNOWN, group, key=lambda one: abs(group[one]))
        for label in least:
            del group[label]
        group.update(dict.fromkeys(labels, value))
        self._size += len(labels) - len(least)
        self._forget(group)

    def update(self, section: str, key: Hashable, values: Mapping[Hashable, float]) -> None:
        group = self._group((section, key))
        before = len(group)
        group.update(values)
        self._size += len(group) - before
        if self._size > self._limit:
            self._forget(group)

    def replace(self, section: str, key: Hashable, group: Group) -> None:
        """The whole group anew."""
        self._size += len(group) - len(self._group((section, key)))
        self._groups[section, key] = group
        self._forget(group)

    def witness(self, section: str, key: Hashable, label: Hashable, session: str) -> None:
        """`label` came in `session`. Told of from `WITNESSES` sessions on, with how often it came since."""
        group = self.find(section, key)
        if group is not None and label in group:
            self.set(section, key, label, group[label] + 1)
            return
        digest = hash((section, key, repr(label)))  # as numbers, -1 and -2 have one hash
        seen = self._witnesses.setdefault(digest, set())
        seen.add(session)
        if len(seen) >= WITNESSES:
            del self._witnesses[digest]
            self.set(section, key, label, float(WITNESSES))
        self.forget_waiting(self._limit // 8)

    def forget_waiting(self, most: int) -> None:
        while len(self._witnesses) > most:
            del self._witnesses[next(iter(self._witnesses))]

    def shrink(self, size: int) -> None:
        """Forget the oldest groups until that many labels are left."""
        self._forget({}, size)

    def _group(self, key: GroupKey) -> Group:
        group = self._groups.pop(key, None)
        if group is None:
            group = dict(self._prior.get(key, ()))
            self._size += len(group)
        self._groups[key] = group
        self._changed.pop(key, None)
        self._changed[key] = None
        return group

    def _put(self, group: Group, label: Hashable, value: float) -> None:
        if label not in group:
            if len(group) >= (WIDTH if TOTAL in group else KNOWN):
                del group[min((one for one in group if one != TOTAL), key=lambda one: abs(group[one]))]
                self._size -= 1
            self._size += 1
            if self._size > self._limit:
                self._forget(group)
        group[label] = value

    def _forget(self, keep: Group, limit: int | None = None) -> None:
        while self._size > (self._limit if limit is None else limit):
            oldest = next(
                (key for key, group in self._groups.items() if key[0] != SHARED and group is not keep), None
            )
            if oldest is None:
                return
            self._size -= len(self._groups.pop(oldest))
            self._changed[oldest] = None

    def _halve(self, key: GroupKey, group: Group) -> None:
        kept = {label: value / 2 for label, value in group.items() if value / 2 >= FAINT}
        self._size -= len(group) - len(kept)
        self._groups[key] = kept

    # -- keeping ------------------------------------------------------------------------------------------

    def take_changes(self, savable: Savable, most: int = sys.maxsize) -> Changes:
        """What changed since the last time, the oldest first, for a store; to be handed to `put_back` if it
        can't be saved. `savable` says what of a group may be stored (`privacy.savable`). What is beyond `most`
        labels or so is left for the next time, so that a loop need not stand still."""
        changed = self._part(most)
        saved = (savable(self, key, self._groups[key]) for key in changed if key in self._groups)
        return Changes(
            tuple(one for one in saved if one is not None),
            tuple(key for key in changed if key not in self._groups),
        )

    def _part(self, most: int) -> list[GroupKey]:
        """Of the changed groups those that changed first."""
        taken: list[GroupKey] = []
        for key in list(self._changed):
            if most <= 0:
                break
            most -= len(self._groups.get(key, ())) + 1
            taken.append(key)
            del self._changed[key]
        return taken

    def save_again(self) -> None:
        """All of it is to be told by `take_changes`, as if it had changed."""
        self._changed = dict.fromkeys(self._groups)

    @property
    def unsaved(self) -> bool:
        """Whether there are changes that nobody took."""
        return bool(self._changed)

    def put_back(self, changes: Changes) -> None:
        """Have the groups of `changes` saved again next time."""
        failed = [*((saved.section, frozen(saved.key)) for saved in changes.saved), *changes.dropped]
        self._changed = {**{key: None for key in failed if key not in self._changed}, **self._changed}

    def load(self, groups: Iterable[SavedGroup]) -> None:
        """Add what was stored: to be called once, on an empty ledger. Raises `TypeError` for no labels."""
        for saved in groups:
            group = {frozen(label): value for label, value in saved.labels}
            self._groups[saved.section, frozen(saved.key)] = group
            self._size += len(group)
        self._changed = {}
        self._forget({})

    def groups(self) -> Iterator[tuple[GroupKey, Group]]:
        """In the order of their age."""
        return iter(self._groups.items())


def frozen(value: Any) -> Any:
    """A decoded JSON value as it was before: lists are tuples."""
    return tuple(map(frozen, value)) if isinstance(value, list | tuple) else value
