import json
from typing import Any

from paste_proxy.predict.extractors import NAMES, OF_MASK, Extractors, Found
from paste_proxy.predict.ledger import WITNESSES, Ledger
from paste_proxy.predict.memory import Memory
from paste_proxy.predict.model import Said
from paste_proxy.predict.signatures import finished_call
from paste_proxy.predict.symbols import Slot, Symbol, Symbols
from paste_proxy.predict.values import Key, key_of

ID = Slot(Symbol("open"), "id")
PATH = Slot(Symbol("read"), "path")


def memory_of(*calls: tuple[str, dict[str, Any], Any], said: str = "") -> Memory:
    memory = Memory(Symbols(Ledger()))
    if said:
        memory.said(Said("user", said, 0))
    for tool, arguments, result in calls:
        memory.answered(
            finished_call(tool, arguments, result if isinstance(result, str) else json.dumps(result))
        )
    return memory


def taught(*values: Any, slot: Slot = ID, memory: Memory | None = None, only: str = "") -> Extractors:
    """These filled the slot, each in a session of its own."""
    extractors = Extractors(Ledger(), frozenset(set(NAMES) - {only} if only else ()))
    for number, value in enumerate(values):
        extractors.learn(memory or memory_of(), slot, key(value), str(number))
    return extractors


def key(value: Any) -> Key:
    found = key_of(value)
    assert found is not None
    return found


def values(found: Found) -> list[Any]:
    return [one[1] for one in found.values]


def test_an_argument_that_never_was_filled_has_no_candidates() -> None:
    found = Extractors(Ledger()).candidates(memory_of(("search", {}, [{"id": 7}])), ID)
    assert values(found) == []


def test_every_extractor_has_a_name_of_its_own_and_can_be_left_out() -> None:
    assert len(set(NAMES)) == len(NAMES) == 10
    assert Extractors(Ledger(), frozenset(NAMES))._extractors == ()


def test_values_that_look_like_the_ones_before_newest_first() -> None:
    memory = memory_of(("look", {}, "old B11"), ("look", {}, "A11 then A22, not A-3"), said="Order C99")
    assert values(taught("Q77", only="mask").candidates(memory, ID)) == ["A11", "A22", "B11", "C99"]


def test_of_a_mask_the_newest_are_looked_at() -> None:
    memory = memory_of(("look", {}, " ".join(f"A{n}" for n in range(100, 150))))
    assert len(values(taught("Q777", only="mask").candidates(memory, ID))) == OF_MASK


def test_rare_masks_are_not_looked_for() -> None:
    memory = memory_of(("look", {}, "B11 then c-d"))
    assert values(taught(*["Q77"] * 9, "a-b", only="mask").candidates(memory, ID)) == ["B11", "c-d"]
    assert values(taught(*["Q77"] * 99, "a-b", only="mask").candidates(memory, ID)) == ["B11"]


def test_what_is_learnt_counts_at_once() -> None:
    memory = memory_of(("look", {}, "B11 then c-d"))
    extractors = taught("Q77", only="mask")
    assert values(extractors.candidates(memory, ID)) == ["B11"]
    extractors.learn(memory, ID, key("a-b"), "later")
    assert values(extractors.candidates(memory, ID)) == ["B11", "c-d"]


def test_values_that_stand_where_right_ones_stood() -> None:
    learnt = memory_of(("search", {}, {"hits": [{"id": 7, "other": 8}]}))
    extractors = taught(7, memory=learnt, only="source")
    memory = memory_of(("search", {}, {"hits": [{"id": 70, "other": 80}, {"id": 71, "other": 81}]}))
    found = extractors.candidates(memory, ID)
    assert values(found) == [70, 71]
    assert found.how == ["source", "source"]


def test_what_an_argument_of_the_same_name_was() -> None:
    memory = memory_of(("find", {"id": "u-1", "q": "x"}, "ok"), ("get", {"id": "u-2"}, "ok"))
    assert values(taught("a-9", only="same name").candidates(memory, ID)) == ["u-2", "u-1"]


def test_what_any_argument_was_if_it_looks_alike() -> None:
    memory = memory_of(("find", {"who": "u-1", "n": 4}, "ok"))
    assert values(taught("a-9", only="recent").candidates(memory, ID)) == ["u-1"]


def test_a_file_is_sought_in_the_folder_of_a_path() -> None:
    memory = memory_of(
        ("read", {"path": "/repo/src/a.py"}, "import b"), ("list", {}, "here is b.py and src/sub/c.py")
    )
    found = values(taught("x/y.py", slot=PATH, only="joined").candidates(memory, PATH))
    assert found == ["/repo/src/b.py", "/repo/src/sub/c.py"]


def test_a_list_of_the_one_that_was_used() -> None:
    memory = memory_of(("get", {"item": "i-7"}, "ok"))
    assert values(taught(["i-1"], only="list of one").candidates(memory, ID)) == ['["i-7"]']


def test_a_number_goes_on_by_the_same_step_and_by_usual_ones() -> None:
    extractors = Extractors(Ledger(), frozenset(set(NAMES) - {"step"}))
    for session in range(WITNESSES):
        extractors.learn(memory_of(("open", {"id": 1}, "ok")), ID, key(11), str(session))
    assert values(extractors.candidates(memory_of(("open", {"id": 5}, "ok")), ID)) == [15]
    steps = memory_of(("open", {"id": "5"}, "ok"), ("open", {"id": "8"}, "ok"))
    assert values(extractors.candidates(steps, ID)) == ["11", "18"]


def test_a_constant_is_known_after_enough_sessions() -> None:
    few, enough = (taught(*["en"] * count, only="constant") for count in (WITNESSES - 1, WITNESSES))
    assert values(few.candidates(memory_of(), ID)) == []
    found = enough.candidates(memory_of(), ID)
    assert values(found) == ["en"]
    assert found.constants == (("str", "en"),)


def test_a_constant_that_stands_in_sight_too_is_still_known_as_one() -> None:
    found = taught(*["E-1"] * WITNESSES).candidates(memory_of(("look", {}, "E-1")), ID)
    assert found.how == ["mask"]
    assert found.constants == (("str", "E-1"),)


def test_what_json_can_not_hold_never_is_a_constant() -> None:
    extractors = taught(*["\ud800"] * 9, *[float("inf")] * 9)
    assert extractors._ledger.find("constants", ID) is None
