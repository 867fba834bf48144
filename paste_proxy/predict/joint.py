"""Which values of a call go together: those of one record, or that were given together before.

Arguments are filled one by one; that alone takes the origin of one flight and the destination of another. Of
two values of a call a few *relations* are known, and those that hold are one label. What a label is worth, for
these two arguments and for any two, is learnt log-linearly: a slot's chances are weighed by how its values
relate to what fills the slots before it. A label is a number: no value is learnt.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

import msgspec

from paste_proxy.predict.adagrad import Weights
from paste_proxy.predict.ledger import SHARED, Ledger
from paste_proxy.predict.memory import Memory
from paste_proxy.predict.places import Value
from paste_proxy.predict.symbols import Argument, Slot, Symbol
from paste_proxy.predict.ties import Tie
from paste_proxy.predict.values import Key, key_of

WEIGHED = 16
"""Values of a slot, the likeliest first: what comes behind them is hardly ever lifted among the first."""
STEP = 0.3
"""AdaGrad's step, and what of it weights make that all arguments share, as where values are ranked."""
SHARED_STEP = 0.1
CLEAR = 2e-3
"""Errors below teach nothing."""
BOUND = 6.0
"""On a weight, so that no factor is above 400."""

EQUAL, RECORD, WITHIN, TOGETHER, LATEST, NEXT, BEFORE, MORE, AS_FAR = (1 << place for place in range(9))
"""Relations: the same value; fields of one object of an output; a field of an object within the other's; given
to one call; to the latest one; behind it in a text; before it; a higher number; as far from it as in the last
call of the symbol."""
NO_TEXTS = ("out", "key", "list", "arg")
"""Kinds of places that are no text."""

Pair: TypeAlias = tuple[Argument, Argument]
Chance: TypeAlias = tuple[float, Key]
Standing: TypeAlias = tuple[Key, Tie | None, int, int]
"""What is known of a value: what it is tied to, in which text it stands, at which place."""
Filled: TypeAlias = Mapping[Argument, Key]


class Joint:
    def __init__(self, ledger: Ledger, without: frozenset[str] = frozenset()) -> None:
        self._ledger = ledger
        self._known = "joint" not in without

    def knows(self, symbol: Symbol) -> bool:
        """Whether anything was learnt of its arguments."""
        return self._known and self._ledger.find("joint", symbol) is not None

    def of(self, memory: Memory, symbol: Symbol) -> "Weighing":
        return Weighing(self._ledger, memory, symbol)

    def learn(
        self, memory: Memory, symbol: Symbol, chances: Mapping[Argument, Sequence[Chance]], right: Filled
    ) -> None:
        """`right` filled the slots of `symbol`, in their order; `chances`: what each slot was filled with."""
        own = Weights(self._ledger, "joint", "joint squares", symbol)
        shared = Weights(self._ledger.common, SHARED, "shared joint squares", "joint")
        before: dict[Argument, Key] = {}
        for argument, key in right.items():
            if before and argument in chances:
                weighing = self.of(memory, symbol)
                for chance, candidate in weighing.weighed(argument, chances[argument], before):
                    error = chance - (candidate == key)
                    if abs(error) > CLEAR:
                        labels = weighing.labels(argument, candidate, before)
                        own.move([(*pair, label) for pair, label in labels.items()], error, STEP, {})
                        shared.move(list(set(labels.values())), error, SHARED_STEP, {})
            before[argument] = key


class Weighing:
    """The slots of one symbol, in one state of a session."""

    def __init__(self, ledger: Ledger, memory: Memory, symbol: Symbol) -> None:
        self._own = ledger.find("joint", symbol) or {}
        self._shared = ledger.common.find(SHARED, "joint") or {}
        self._memory = memory
        self._symbol = symbol
        self._stand: dict[Argument, list[Standing]] = {}
        self._factors: dict[tuple[Argument, Key, Argument], list[float]] = {}

    def weighed(self, argument: Argument, values: Sequence[Chance], filled: Filled) -> list[Chance]:
        """`values` of a slot, always the same, with chances that go with what fills others."""
        weights = [chance for chance, _ in values]
        rest = max(0.0, 1 - sum(weights))
        for other, key in filled.items():
            at = other, key, argument
            factors = self._factors.get(at)
            if factors is None:
                factors = self._factors[at] = self._weights(argument, values, other, key)
            weights = [weight * factor for weight, factor in zip(weights, factors, strict=True)]
        whole = sum(weights) + rest
        return (
            [(weight / whole, key) for weight, (_, key) in zip(weights, values, strict=True)] if whole else []
        )

    def _weights(self, argument: Argument, values: Sequence[Chance], other: Argument, key: Key) -> list[float]:
        pair, table, factors = _pair(other, argument), dict[int, float](), []
        for label in self._labels(other, key, argument, [candidate for _, candidate in values]):
            if label not in table:
                weight = self._own.get((*pair, label), 0.0) + self._shared.get(label, 0.0)
                table[label] = math.exp(min(BOUND, max(-BOUND, weight)))
            factors.append(table[label])
        return factors

    def labels(self, argument: Argument, candidate: Key, filled: Filled) -> dict[Pair, int]:
        """How a value relates to what fills others."""
        return {
            _pair(other, argument): self._labels(other, key, argument, [candidate])[0]
            for other, key in filled.items()
        }

    def _labels(self, other: Argument, key: Key, argument: Argument, candidates: Sequence[Key]) -> list[int]:
        latest, labels = self._memory.ties.latest_call, []
        [(_, one, text, position)] = self._found([key])
        for candidate, two, its_text, its_position in self._standing(argument, candidates):
            label = 0
            if candidate == key:
                label = EQUAL
            elif one is not None and two is not None:
                label = _tied(one, two, latest)
            if not label and text == its_text >= 0 and -2 < its_position - position < 2:
                label = NEXT if its_position > position else BEFORE
            if key[0] == candidate[0] == "int":
                label += self._distance(other, key, argument, candidate)
            labels.append(label)
        return labels

    def _standing(self, argument: Argument, candidates: Sequence[Key]) -> list[Standing]:
        """Found once for all values that the candidates of a slot may go with."""
        if len(candidates) == 1:
            return self._found(candidates)
        found = self._stand.get(argument)
        if found is None:
            found = self._stand[argument] = self._found(candidates)
        return found

    def _found(self, keys: Sequence[Key]) -> list[Standing]:
        tie, values = self._memory.ties.find, self._memory.values
        return [(key, tie(_first(key)), *_in_text(values.get(key))) for key in keys]

    def _distance(self, other: Argument, key: Key, argument: Argument, candidate: Key) -> int:
        """Of two numbers."""
        last, far = self._memory.last, int(candidate[1]) - int(key[1])
        former, latter = last.get(Slot(self._symbol, other)), last.get(Slot(self._symbol, argument))
        numbers = former is not None and latter is not None and former[0] == latter[0] == "int"
        as_far = former is not None and latter is not None and numbers and latter[1] - former[1] == far
        return MORE * (far > 0) + AS_FAR * as_far


def _tied(one: Tie, two: Tie, latest_call: int) -> int:
    label = 0
    if not one.records.isdisjoint(two.records):
        label = RECORD
    elif not (one.records.isdisjoint(two.around) and one.around.isdisjoint(two.records)):
        label = WITHIN
    if not one.calls.isdisjoint(two.calls):
        label += TOGETHER
        if latest_call in one.calls and latest_call in two.calls:
            label += LATEST
    return label


def _in_text(value: Value | None) -> tuple[int, int]:
    """Which text a value stands in, and at which place; -1 where it stands in none."""
    if value is None or value.stood is None or value.stood.source[0] in NO_TEXTS:
        return -1, 0
    _, position, clock = value.at
    return clock, position


def _first(key: Key) -> Key:
    """Of a list its first value, or that of its first record: where that is, the list is."""
    return _first_of(key) if key[0] == "json" else key


@lru_cache(maxsize=1024)
def _first_of(key: Key) -> Key:
    node = msgspec.json.decode(key[1])
    for _ in range(2):
        if type(node) is list and node:
            node = node[0]
        elif type(node) is dict and node:
            node = next(iter(node.values()))
    return key_of(node) or key


def _pair(one: Argument, other: Argument) -> Pair:
    return (one, other) if str(one) < str(other) else (other, one)
