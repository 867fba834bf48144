import json
import random
from typing import Any

import pytest

from paste_proxy.predict.joint import Joint
from paste_proxy.predict.ledger import Ledger
from paste_proxy.predict.memory import Memory
from paste_proxy.predict.model import Said
from paste_proxy.predict.signatures import finished_call
from paste_proxy.predict.symbols import Argument, Symbol, Symbols
from paste_proxy.predict.values import Key, key_of

FLY = Symbol("fly")


def key(value: Any) -> Key:
    found = key_of(value)
    assert found is not None
    return found


def memory_of(output: Any = None, said: str = "") -> Memory:
    memory = Memory(Symbols(Ledger()))
    if output is not None:
        memory.answered(finished_call("look", {}, json.dumps(output)))
    if said:
        memory.said(Said("user", said, memory.calls))
    return memory


def even(*values: Any) -> list[tuple[float, Key]]:
    return [(0.9 / len(values), key(value)) for value in values]


def best(joint: Joint, memory: Memory, before: dict[str, Any], *values: Any) -> Any:
    filled: dict[Argument, Key] = {name: key(value) for name, value in before.items()}
    weighed = joint.of(memory, FLY).weighed("to", even(*values), filled)
    return max(weighed)[1][1]


def legs(number: int) -> list[dict[str, str]]:
    return [{"from": f"A{number}", "to": f"B{number}"}, {"from": f"C{number}", "to": f"D{number}"}]


def test_without_lessons_chances_stay_as_they_are() -> None:
    joint = Joint(Ledger())
    assert not joint.knows(FLY)
    weighed = joint.of(memory_of(legs(1)), FLY).weighed("to", even("B1", "D1"), {"from": key("A1")})
    assert [one for _, one in weighed] == [key("B1"), key("D1")]
    assert [chance for chance, _ in weighed] == pytest.approx([0.45, 0.45])


def learnt(without: frozenset[str] = frozenset()) -> Joint:
    joint = Joint(Ledger(), without)
    for number in range(20):
        memory, ends = memory_of(legs(number)), even(f"B{number}", f"D{number}")
        for place in "AB", "CD":
            right: dict[Argument, Key] = {"from": key(f"{place[0]}{number}"), "to": key(f"{place[1]}{number}")}
            joint.learn(memory, FLY, {"to": ends}, right)
    return joint


def test_fields_of_one_object_go_together() -> None:
    joint, memory = learnt(), memory_of(legs(99))
    assert joint.knows(FLY)
    assert best(joint, memory, {"from": "A99"}, "B99", "D99") == "B99"
    assert best(joint, memory, {"from": "C99"}, "B99", "D99") == "D99"


def test_it_can_be_left_out() -> None:
    assert not learnt(frozenset({"joint"})).knows(FLY)


def test_the_second_one_of_two_neighbours_in_a_text_is_told_from_the_first() -> None:
    joint = Joint(Ledger())
    for number in range(20):
        memory = memory_of(said=f"I am Ann{number} Bell{number} of Co{number}")
        right: dict[Argument, Key] = {"from": key(f"Ann{number}"), "to": key(f"Bell{number}")}
        joint.learn(memory, FLY, {"to": even(f"Co{number}", f"Bell{number}")}, right)
    memory = memory_of(said="Here is Zoe Young of London")
    assert best(joint, memory, {"from": "Zoe"}, "London", "Young", "Here") == "Young"


def test_what_was_given_together_goes_together() -> None:
    joint = Joint(Ledger())

    def asked(number: int) -> Memory:
        memory = memory_of()
        memory.ask("get", {"user": f"u{number}", "project": f"p{number}"})
        memory.ask("get", {"user": f"v{number}", "project": f"q{number}"})
        return memory

    for number in range(20):
        right: dict[Argument, Key] = {"from": key(f"u{number}"), "to": key(f"p{number}")}
        joint.learn(asked(number), FLY, {"to": even(f"q{number}", f"p{number}")}, right)
    assert best(joint, asked(99), {"from": "u99"}, "q99", "p99") == "p99"
    assert best(joint, asked(99), {"from": "v99"}, "q99", "p99") == "q99"


def test_a_window_as_wide_as_the_last_one() -> None:
    joint = Joint(Ledger())
    for start in range(1, 21):
        memory = memory_of()
        memory.ask("fly", {"from": start, "to": start + 10 * start})
        right: dict[Argument, Key] = {"from": key(start + 500), "to": key(start + 500 + 10 * start)}
        joint.learn(memory, FLY, {"to": even(start + 501, start + 500 + 10 * start, start)}, right)
    memory = memory_of()
    memory.ask("fly", {"from": 7, "to": 40})
    assert best(joint, memory, {"from": 100}, 133, 134, 40) == 133


def orders(number: int) -> list[dict[str, Any]]:
    return [
        {"order": one, "items": [{"item": item}]} for one, item in ((f"o{number}", f"i{number}"), ("x", "y"))
    ]


def test_a_list_stands_where_its_first_item_does() -> None:
    joint = Joint(Ledger())
    for number in range(20):
        output = [
            {"order": f"o{number}", "items": [{"item": f"i{number}"}]},
            {"order": "x", "items": [{"item": "y"}]},
        ]
        right: dict[Argument, Key] = {"from": key(f"o{number}"), "to": key([f"i{number}"])}
        joint.learn(memory_of(output), FLY, {"to": even(["y"], [f"i{number}"], [])}, right)
    assert best(joint, memory_of(orders(99)), {"from": "o99"}, ["y"], ["i99"], [{}]) == '["i99"]'


def test_chances_stay_chances() -> None:
    rng = random.Random(1)
    joint = Joint(Ledger())
    words: list[Any] = [f"w{place}" for place in range(6)]
    pool = [*words, 1, 2, 3, [1], [{"a": "w1"}]]
    for number in range(300):
        memory = memory_of([{"a": rng.choice(pool), "b": rng.choice(pool)} for _ in range(4)])
        names: list[Argument] = rng.sample(["a", "b", "c", 3], 3)
        right = {name: key(rng.choice(pool)) for name in names}
        slots = {name: even(*pool[: number % 9]) if number % 9 else [] for name in names}
        joint.learn(memory, FLY, slots, right)
        weighed = joint.of(memory, FLY).weighed(names[0], even(*pool), {names[1]: right[names[1]]})
        assert [one for _, one in weighed] == [key(one) for one in pool]
        assert 0 <= sum(chance for chance, _ in weighed) <= 1 + 1e-9
