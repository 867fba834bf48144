from typing import Any

from paste_proxy.predict.ties import LISTS, NUMBERS, TIED, Ties
from paste_proxy.predict.values import Key, key_of


def key(value: Any) -> Key:
    found = key_of(value)
    assert found is not None
    return found


def read(*outputs: Any) -> Ties:
    ties = Ties()
    for output in outputs:
        ties.read(output)
    return ties


def share(ties: Ties, one: Any, other: Any, what: str = "records", whose: str = "") -> bool:
    first, second = ties.find(key(one)), ties.find(key(other))
    if first is None or second is None:
        return False
    return bool(getattr(first, what) & getattr(second, whose or what))


FLIGHTS = {"id": "R1", "legs": [{"from": "SFO", "to": "ORD"}, {"from": "ORD", "to": "JFK"}]}


def test_fields_of_one_object_are_of_one_record() -> None:
    ties = read(FLIGHTS)
    assert share(ties, "SFO", "ORD")
    assert share(ties, "JFK", "ORD")
    assert not share(ties, "SFO", "JFK")
    assert not share(ties, "R1", "SFO")


def test_an_object_is_around_those_in_it() -> None:
    ties = read(FLIGHTS)
    assert share(ties, "R1", "SFO", "records", "around")
    assert not share(ties, "SFO", "R1", "records", "around")


def test_objects_of_different_outputs_are_different() -> None:
    ties = read({"a": "x1", "b": "y1"}, {"a": "x1", "b": "y2"}, {"a": "x2", "b": "y2"})
    assert share(ties, "x1", "y1")
    assert share(ties, "x1", "y2")
    assert not share(ties, "x2", "y1")


def test_the_items_of_a_map_are_records() -> None:
    ties = read({"variants": {"1001": {"size": "S", "price": 1.5}, "1002": {"size": "M", "price": 2.5}}})
    assert share(ties, "S", 1.5)
    assert not share(ties, "S", 2.5)


def test_true_is_not_the_number_one() -> None:
    assert read({"flag": True, "name": "a1"}).find(("int", 1)) is None


def test_a_call_ties_what_it_was_given() -> None:
    ties = Ties()
    ties.call([key("a"), key(1), None])
    ties.call([key("a"), key(2)])
    assert share(ties, "a", 1, "calls")
    assert share(ties, "a", 2, "calls")
    assert not share(ties, 1, 2, "calls")
    tie = ties.find(key(2))
    assert tie is not None
    assert ties.latest_call in tie.calls


def test_what_was_supposed_is_taken_back() -> None:
    ties = Ties()
    ties.call([key("a"), key(1)])
    latest = ties.latest_call
    ties.suppose([key("a"), key(2)])
    ties.suppose([])
    assert share(ties, "a", 2, "calls")
    assert ties.latest_call != latest
    ties.settle()
    assert not share(ties, "a", 2, "calls")
    assert share(ties, "a", 1, "calls")
    assert ties.latest_call == latest


def test_it_is_bounded() -> None:
    ties = read(*({"name": "same", "id": number} for number in range(3 * TIED)))
    same = ties.find(key("same"))
    assert same is not None
    assert NUMBERS <= len(same.records) <= 2 * NUMBERS
    assert ties.find(key(0)) is None
    assert share(ties, "same", 3 * TIED - 1)


def test_deep_and_wide_outputs_end() -> None:
    deep: Any = {"end": "x1"}
    for _ in range(5000):
        deep = {"next": [deep]}
    ties = read(deep)
    assert ties.find(key("x1")) is None
    ties.read({"rows": [{"id": number} for number in range(5000)]})
    assert ties.find(key(0)) is not None
    assert ties.find(key(4999)) is None


def test_of_listed_records_what_is_short_is_kept() -> None:
    record = {"id": 7, "name": "n", "text": "x" * 9999, "more": [1], "yes": True}
    ties = read(*([{**record, "id": number}] for number in range(99)))
    assert len(ties.lists) == LISTS
    assert ties.lists[-1] == [{"id": 98, "name": "n"}]
