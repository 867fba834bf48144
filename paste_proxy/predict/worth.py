"""Learnt weights at hand by the small numbers of `aspects`: a feature is made, and looked up, once for all the
values that have it, in this decision and in those to come."""

from collections.abc import Hashable, Iterable
from itertools import repeat
from typing import Any, TypeAlias

from paste_proxy.predict.aspects import AGE, Features, aspects_of, constant, features_of, none_of
from paste_proxy.predict.extractors import Found
from paste_proxy.predict.ledger import Group
from paste_proxy.predict.memory import Memory
from paste_proxy.predict.places import KINDS, number_of
from paste_proxy.predict.symbols import Slot

Weights: TypeAlias = dict[Any, float]
"""By the number in a value's aspects."""


class Own:
    """Of one slot."""

    __slots__ = ("_after", "again", "follows", "group", "how", "kinds", "often", "stood")

    def __init__(self, group: Group) -> None:
        self.group = group
        self.kinds: Weights = {}
        self.often: Weights = {}
        self.stood: Weights = {}
        """By source and rank, and by source and age."""
        self.follows: Weights = {}
        self.again: Weights = {}
        self.how: Weights = {}
        self._after: dict[Hashable, Weights] = {}
        self.learnt(group)

    def after(self, after: Hashable) -> Weights:
        """By source, after what was asked for last."""
        return self._after.get(after, {})

    def learnt(self, features: Iterable[Any]) -> None:
        """Their weights have moved."""
        for feature in features:
            kind, weight = feature[0], self.group[feature]
            if kind == "stood":
                self.stood[number_of(feature[1]) + (feature[2] + 1) * 3 + feature[3]] = weight
            elif kind == "age":
                self.stood[number_of(feature[1]) + AGE + feature[2] * 2 + feature[3]] = weight
            elif kind == "after":
                self._after.setdefault(feature[1], {})[number_of(feature[2]) + feature[3]] = weight
            elif kind == "next":
                self.follows[feature[1] * 7 + feature[2] + 1] = weight
            elif kind == "how":
                self.how[feature[1:]] = weight
            elif kind == "kinds":
                self.kinds[feature[1] * 3 + feature[2]] = weight
            elif kind == "often":
                self.often[feature[1]] = weight
            elif kind == "again":
                self.again[feature[1]] = weight


class Shared:
    """Of all slots."""

    __slots__ = ("age", "follows", "group", "how")

    def __init__(self, group: Group) -> None:
        self.group = group
        self.how: Weights = {}
        self.age: Weights = {}
        self.follows: tuple[Weights, Weights] = {}, {}
        """Beside no call of the tool in the same turn, and beside one."""
        self.learnt(group)

    def learnt(self, features: Iterable[Any]) -> None:
        """Their weights have moved."""
        for feature in features:
            kind, weight = feature[0], self.group[feature]
            if kind == "age":
                _, source, age, fresh, rank = feature
                self.age[(KINDS[source] * 14 + age * 2 + fresh) * 7 + rank + 1] = weight
            elif kind == "next":
                _, follows, rank, sibling = feature
                self.follows[sibling][follows * 7 + rank + 1] = weight
            elif kind == "how":
                self.how[feature[1:]] = weight


class Looked:
    """At the values that may fill a slot."""

    __slots__ = ("_after", "_again", "_aspects", "_sibling", "found")

    def __init__(self, memory: Memory, slot: Slot, after: Hashable, found: Found) -> None:
        """`after`: what was asked for last, and whether the user spoke since."""
        self.found = found
        self._aspects = aspects_of(memory, slot, list(found.values.values()))
        self._after = after
        self._sibling = bool(memory.asked) and memory.asked[-1] == slot.symbol
        self._again = slot in memory.last

    def features(self, number: int) -> Features:
        """Of a value; behind the last one, of none of them."""
        if number == len(self._aspects):
            return none_of(number, self._after, again=self._again)
        aspects, how = self._aspects[number], self.found.how[number]
        mine, ours = features_of(aspects, how, self._after, sibling=self._sibling)
        if self.found.constants and (key := list(self.found.values)[number]) in self.found.constants:
            mine += constant(key, self._after)
        return mine, ours

    def worth(self, own: Own, shared: Shared) -> list[float]:
        """The sum of each value's weights, and of those of none of them."""
        mine, ours = self._sums(own, shared)
        if self.found.constants:
            self._add_constants(mine, own.group)
        features = self.features(len(self._aspects))
        zero = repeat(0.0)
        for sums, group, several in zip((mine, ours), (own.group, shared.group), features, strict=True):
            sums.append(sum(map(group.get, several, zero)))
        return [one + other for one, other in zip(mine, ours, strict=True)]

    def _sums(self, own: Own, shared: Shared) -> tuple[list[float], list[float]]:
        """Of the slot, and shared; in the order of the features, so that nothing hangs on how they are kept."""
        if not self._aspects:
            return [], []
        used, origins, kinds, often, rank, age, behind, follows, again, age_of_all = zip(
            *self._aspects, strict=True
        )
        how, zero, stood = list(zip(self.found.how, used, strict=True)), repeat(0.0), own.stood.get
        alone = [None if origin is not None else one for origin, one in zip(origins, how, strict=True)]
        mine = zip(
            map(own.kinds.get, kinds, zero),
            map(own.often.get, often, zero),
            map(stood, rank, zero),
            map(stood, age, zero),
            map(own.after(self._after).get, behind, zero),
            map(own.follows.get, follows, zero),
            map(own.how.get, alone, zero),
            map(own.again.get, again, zero),
            strict=True,
        )
        ours = zip(
            map(shared.how.get, how, zero),
            map(shared.age.get, age_of_all, zero),
            map(shared.follows[self._sibling].get, follows, zero),
            strict=True,
        )
        return [a + b + c + d + e + f + g + h for a, b, c, d, e, f, g, h in mine], [
            a + b + c for a, b, c in ours
        ]

    def _add_constants(self, mine: list[float], group: Group) -> None:
        constants = self.found.constants
        for number, key in enumerate(self.found.values):
            if key in constants:
                for feature in constant(key, self._after):
                    mine[number] += group.get(feature, 0.0)
