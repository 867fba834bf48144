import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.extractors import Extractors
from paste_proxy.predict.filling import Filled, Filling
from paste_proxy.predict.ledger import SHARED, Ledger
from paste_proxy.predict.memory import Memory
from paste_proxy.predict.signatures import finished_call
from paste_proxy.predict.symbols import Slot, Symbol, Symbols
from paste_proxy.predict.values import Key, key_of

ID = Slot(Symbol("open"), "id")
AFTER = ("search", False)


class Learner:
    """Fills one slot, and is told what was right."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.extractors = Extractors(self.ledger)
        self.filling = Filling(self.ledger, self.extractors)
        self._session = 0

    def fill(self, memory: Memory) -> Filled:
        return self.filling.fill(memory, ID, AFTER)

    def learn(self, memory: Memory, right: Any) -> None:
        key = key_of(right)
        assert key is not None
        self._session += 1
        self.filling.learn(ID, self.fill(memory), key)
        self.extractors.learn(memory, ID, key, str(self._session))

    def best(self, memory: Memory) -> Any:
        return self.fill(memory).best(1)[0][1][1]


def memory_of(*calls: tuple[str, dict[str, Any], Any]) -> Memory:
    memory = Memory(Symbols(Ledger()))
    for tool, arguments, result in calls:
        memory.answered(
            finished_call(tool, arguments, result if isinstance(result, str) else json.dumps(result))
        )
    return memory


def searched(number: int, *opened: int) -> Memory:
    """Ids whose order says nothing but their place; some were opened."""
    ids = [number * 10 + (place * 7) % 10 for place in range(5)]
    hits = [{"id": one, "seen": one + 1000} for one in ids]
    return memory_of(("search", {}, {"hits": hits}), *(("open", {"id": ids[place]}, "ok") for place in opened))


def test_without_a_candidate_none_of_them_is_certain() -> None:
    filled = Learner().fill(memory_of())
    assert filled.keys == []
    assert filled.chances == [1.0]
    assert filled.best(3) == []


def test_the_place_in_the_list_is_learnt() -> None:
    learner = Learner()
    for number in range(30):
        learner.learn(searched(number), number * 10 + 7)
    assert learner.best(searched(99)) == 997
    assert learner.fill(searched(99)).best(1)[0][0] > 0.8


def test_the_next_unused_item_is_learnt() -> None:
    learner = Learner()
    for number in range(30):
        learner.learn(searched(number), number * 10)
        learner.learn(searched(number, 0), number * 10 + 7)
        learner.learn(searched(number, 0, 1), number * 10 + 4)
    assert learner.best(searched(99)) == 990
    assert learner.best(searched(99, 0)) == 997
    assert learner.best(searched(99, 0, 1)) == 994
    assert learner.best(searched(99, 0, 1, 2)) == 991


def test_where_nothing_is_right_none_of_them_is_likely() -> None:
    learner = Learner()
    for number in range(40):
        learner.learn(searched(number), 5000 + number * 3)
    assert learner.fill(searched(99)).chances[-1] > 0.8


def test_learning_makes_the_right_value_likelier() -> None:
    learner = Learner()
    learner.learn(searched(1), 17)
    before = {key: chance for chance, key in learner.fill(searched(99)).best(9)}
    learner.learn(searched(2), 27)
    after = {key: chance for chance, key in learner.fill(searched(99)).best(9)}
    assert after["int", 997] > before["int", 997]


def told_apart(learner: Learner, filled: Filled) -> list[float]:
    """The chances as the kept weights of the candidates' features give them, one by one."""
    assert filled.looked is not None
    own, shared = learner.ledger.find("weights", ID) or {}, learner.ledger.find(SHARED, "weights") or {}
    powers = []
    for number in range(len(filled.keys) + 1):
        mine, ours = filled.looked.features(number)
        powers.append(
            math.exp(sum(own.get(one, 0.0) for one in mine) + sum(shared.get(one, 0.0) for one in ours))
        )
    return [power / sum(powers) for power in powers]


NUMBERS = st.integers(0, 9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.lists(NUMBERS, max_size=6), NUMBERS, st.booleans()), max_size=12))
def test_weights_at_hand_are_those_that_are_kept(lessons: list[tuple[list[int], int, bool]]) -> None:
    """Whether they were at hand when they were learnt, or came to hand later."""
    learner = Learner()
    for numbers, right, opened in lessons:
        memory = memory_of(
            ("search", {}, [{"id": one} for one in numbers]),
            *([("open", {"id": right}, "ok")] if opened else ()),
        )
        filled = learner.fill(memory)
        assert filled.chances == pytest.approx(told_apart(learner, filled))
        learner.learn(memory, right)
        fresh = Filling(learner.ledger, learner.extractors).fill(memory, ID, AFTER)
        assert fresh.chances == learner.fill(memory).chances == pytest.approx(told_apart(learner, fresh))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.lists(NUMBERS, max_size=6), NUMBERS), max_size=12), st.lists(NUMBERS, max_size=8))
def test_chances_are_shares_of_one(lessons: list[tuple[list[int], int]], seen: list[int]) -> None:
    learner = Learner()
    for numbers, right in lessons:
        learner.learn(memory_of(("search", {}, [{"id": one} for one in numbers])), right)
    filled = learner.fill(memory_of(("search", {}, [{"id": one} for one in seen])))
    assert all(0 <= chance <= 1 for chance in filled.chances)
    assert math.isclose(sum(filled.chances), 1)
    assert len(filled.chances) == len(filled.keys) + 1
    assert len(set(filled.keys)) == len(filled.keys)
    best = filled.best(3)
    assert best == sorted(best, key=lambda item: -item[0])


def test_no_feature_is_a_value() -> None:
    """But of constants, which many sessions had."""
    learner = Learner()
    for number in range(3):
        learner.learn(searched(1000 + number, 0), (1000 + number) * 10 + 7)
    numbers = {
        found for key, group in learner.ledger.groups() if key[0] != "calibration" for found in inner(group)
    }
    assert not [number for number in numbers if number > 1000]


def inner(value: Any) -> list[int]:
    """The integers in its labels."""
    if isinstance(value, dict | tuple):
        return [number for item in value for number in inner(item)]
    return [value] if type(value) is int else []


def test_a_value_of_any_size_is_taken() -> None:
    learner, big = Learner(), 10**25
    key: Key = ("int", big)
    memory = memory_of(("search", {}, [{"id": big}]))
    learner.learn(memory, big)
    assert key in learner.fill(memory).keys
