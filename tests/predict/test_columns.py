import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.predict.columns import FIELDS, SINGLE, column_of, taken
from paste_proxy.predict.extractors import NAMES, SINGLES, Extractors
from paste_proxy.predict.ledger import Ledger
from paste_proxy.predict.memory import Memory
from paste_proxy.predict.signatures import finished_call
from paste_proxy.predict.symbols import Slot, Symbol, Symbols
from paste_proxy.predict.values import Key, key_of, value_of

ITEMS = Slot(Symbol("give_back"), "items")


def key(value: Any) -> Key:
    found = key_of(value)
    assert found is not None
    return found


def memory_of(*outputs: Any) -> Memory:
    memory = Memory(Symbols(Ledger()))
    for output in outputs:
        memory.answered(finished_call("order", {}, json.dumps(output)))
    return memory


def order(*ids: int) -> dict[str, Any]:
    return {"id": ids[0] - 1, "lines": [{"item": one, "name": f"n{one}", "price": 5} for one in ids]}


def only_lists() -> Extractors:
    return Extractors(Ledger(), frozenset({*NAMES} - {"from list"}))


def proposed(extractors: Extractors, memory: Memory) -> list[Any]:
    return [value_of(one) for one in extractors.candidates(memory, ITEMS).values]


def test_a_column_of_plain_values() -> None:
    extractors = only_lists()
    extractors.learn(memory_of(order(10, 11)), ITEMS, key([11]), "s")
    memory = memory_of(order(70), order(80, 81))
    assert proposed(extractors, memory) == [[80, 81], [70], [80], [81]]


def test_fields_of_records() -> None:
    extractors = only_lists()
    given_ = [{"item": 10, "price": 5}, {"item": 11, "price": 5}]
    extractors.learn(memory_of(), ITEMS, key(given_), "s")
    assert proposed(extractors, memory_of({"lines": [{"item": 1}]}, order(70))) == [[{"item": 70, "price": 5}]]


def test_before_a_list_was_given_none_is_made() -> None:
    extractors = only_lists()
    extractors.learn(memory_of(order(10)), ITEMS, key(10), "s")
    extractors.learn(memory_of(order(10)), ITEMS, key({"item": 10}), "s")
    assert proposed(extractors, memory_of(order(70))) == []


def test_what_is_no_column() -> None:
    lists = [order(10, 11)["lines"]]
    assert column_of(key([12]), lists) is None
    assert column_of(key([]), lists) is None
    assert column_of(key([{"no field": 1}]), lists) is None
    assert column_of(key([{"a": 1}, {"b": 1}]), lists) is None
    assert column_of(key([{f"f{letter}": 1 for letter in "abcdefghi"[: FIELDS + 1]}]), lists) is None
    assert column_of(key([10]), lists) == ("key", "", ("item",))


def test_long_lists_give_no_end_of_values() -> None:
    extractors = only_lists()
    extractors.learn(memory_of(order(10, 11)), ITEMS, key([11]), "s")
    found = proposed(extractors, memory_of(*(order(*range(n, n + 15)) for n in range(100, 400, 20))))
    assert len([one for one in found if len(one) == 1]) == SINGLES
    assert len(found) < 2 * SINGLES


RECORDS = st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 3), min_size=1), min_size=1)


@given(RECORDS, st.sampled_from([("list", "", ("a", "b")), ("list", "", ("a",)), ("key", "", ("a",))]))
def test_what_is_taken_is_of_its_column(records: list[dict[str, int]], column: Any) -> None:
    found = list(taken(column, records))
    assert len(found) <= 1 + SINGLE
    for one in found:
        if column[0] == "list":
            assert column_of(one, []) == column
        else:
            of = column_of(one, [records])
            assert of is not None
            assert of[0] == "key"
