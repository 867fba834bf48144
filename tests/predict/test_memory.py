import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.ledger import Ledger
from paste_proxy.predict.memory import (
    NAMED,
    PER_MASK,
    PER_SOURCE,
    PLACES,
    RECENT,
    REPEATS,
    SLOTS,
    SOURCES,
    VALUES,
    Memory,
)
from paste_proxy.predict.model import FinishedCall, Said
from paste_proxy.predict.signatures import Signature, finished_call
from paste_proxy.predict.symbols import Slot, Symbol, Symbols
from paste_proxy.predict.values import Key

OPEN = Symbol("open")


def memory_of(*entries: FinishedCall | Said) -> Memory:
    memory = Memory(Symbols(Ledger()))
    for entry in entries:
        if isinstance(entry, Said):
            memory.said(entry)
        else:
            memory.answered(entry)
    return memory


def call(tool: str, arguments: dict[str, Any], result: Any = "ok") -> FinishedCall:
    return finished_call(tool, arguments, result if isinstance(result, str) else json.dumps(result))


def snapshot(memory: Memory) -> dict[str, Any]:
    """All that it holds, with the order where that says something."""
    kept = {
        name: value
        for name, value in vars(memory).items()
        if name not in ("values", "by_mask", "origins", "named", "recent", "ties", "_symbols")
    }
    return {
        **{name: repr(value) if isinstance(value, list) else dict_of(value) for name, value in kept.items()},
        "values": [(key, repr(value.kept())) for key, value in memory.values.items()],
        "by_mask": {mask: list(same) for mask, same in memory.by_mask.items()},
        "origins": {source: (one.newest, list(one.values)) for source, one in memory.origins.items()},
        "named": {name: list(given) for name, given in memory.named.items()},
        "recent": list(memory.recent),
        "ties": {key: tie.counts() for key, tie in memory.ties._ties.items()},
    }


def dict_of(value: Any) -> Any:
    """A copy."""
    if isinstance(value, dict):
        return {name: dict_of(item) for name, item in value.items()}
    return value


def of_mask(memory: Memory, mask: str) -> list[Any]:
    """The newest first."""
    return [key[1] for key in reversed(memory.by_mask.get(mask, {}))]


# -- reading ----------------------------------------------------------------------------------------------


def test_the_first_value_of_the_newest_text_comes_first() -> None:
    memory = memory_of(Said("user", "B1 B2", 0), call("look", {}, "A1 then A2, then A3"))
    assert of_mask(memory, "x2") == ["A1", "A2", "A3", "B1", "B2"]


def test_values_of_json_know_their_path() -> None:
    memory = memory_of(call("search", {}, {"hits": [{"id": 7, "ok": True, "none": None}, {"id": 8}]}))
    assert of_mask(memory, "int") == [7, 8]
    [(origin, (calls, position, clock))] = memory.values["int", 8].places.items()
    assert origin is memory.origins["out", "search", ("hits", None, "id")]
    assert (calls, position, clock) == (1, 3, origin.newest)
    assert ("bool", True) not in memory.values


def test_keys_of_maps_and_short_lists_are_values() -> None:
    memory = memory_of(call("users", {}, {"by id": {"u 1": ["a", "b"], "u 2": ["c"]}}))
    assert ("str", "u 2") in memory.values
    assert ("json", '["a","b"]') in memory.values


def test_a_short_result_is_a_value_as_a_whole() -> None:
    memory = memory_of(call("who", {}, " omar davis \n"), call("page", {}, "word " * 100))
    assert memory.values["str", "omar davis"].kinds
    assert len([key for key in memory.values if " " in str(key[1])]) == 1


def test_a_number_in_a_text_is_known_as_both_kinds() -> None:
    memory = memory_of(call("look", {}, "Order 13 is there."))
    assert {("str", "13"), ("int", 13)} <= set(memory.values)


def test_who_spoke_and_what_application_it_is() -> None:
    memory = memory_of(Said("system", "You serve shop 17.", 0), Said("user", "Find Omar_7 please", 0))
    assert memory.heard_user
    assert memory.user_masks == ("Aa_0",)
    assert {"find", "omar", "please"} <= memory.user_words
    other = memory_of(Said("system", "You serve shop 18.", 0))
    assert memory.application == other.application != memory_of(Said("system", "You write.", 0)).application
    memory.answered(call("look", {}))
    assert not memory.heard_user


def test_a_call_that_was_asked_for_is_read_once() -> None:
    memory = memory_of()
    memory.ask("open", {"id": 7})
    memory.answered(call("open", {"id": 7}))
    assert memory.made == {OPEN: [("open", frozenset({("id", ("int", 7))}))]}
    assert memory.values["int", 7].used == {Slot(OPEN, "id"): 1}
    assert memory.local == {None: {OPEN: 1}}
    assert memory.signatures == [Signature("open", "ok")]
    assert (memory.calls, memory.former, memory.asked) == (1, [OPEN], [])


def test_results_may_come_in_any_order_and_with_fewer_arguments() -> None:
    memory = memory_of()
    memory.ask("open", {"id": 7})
    memory.ask("write", {"path": "a.py", "text": "x"})
    memory.answered(call("write", {"path": "a.py"}))
    memory.answered(call("open", {"id": 7}))
    assert memory.calls == 2
    assert sum(sum(counts.values()) for counts in memory.local.values()) == 2


def test_a_call_made_again_is_the_latest() -> None:
    memory = memory_of(*(call("open", {"id": n}) for n in (1, 2, 1)))
    assert [dict(made[1])["id"] for made in memory.made[OPEN]] == [("int", 2), ("int", 1)]


def test_the_last_two_values_of_an_argument_are_told() -> None:
    memory, slot = memory_of(*(call("open", {"id": n}) for n in (1, 2, 3))), Slot(OPEN, "id")
    assert (memory.before_last[slot], memory.last[slot]) == (("int", 2), ("int", 3))
    assert list(memory.named_for(slot)) == [("int", 1), ("int", 2), ("int", 3)]
    assert list(memory.named_for(Slot(Symbol("read"), "id"))) == list(memory.named_for(slot))


# -- what is supposed ---------------------------------------------------------------------------------------

WORDS = st.sampled_from(["A1", "A2", "B7", "13", "14", "src/a.py", "b.py", "x"])
ARGUMENTS = st.dictionaries(
    st.sampled_from(["id", "path", "q"]), WORDS | st.integers(13, 15) | st.lists(WORDS, max_size=2)
)
CALLS = st.tuples(st.sampled_from(["open", "read", "find"]), ARGUMENTS)
RESULTS = st.lists(WORDS, max_size=4).map(" ".join) | st.dictionaries(
    st.sampled_from("ab"), WORDS | st.integers(13, 15)
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(CALLS, RESULTS), max_size=5),
    st.lists(CALLS, max_size=3),
    st.lists(CALLS, min_size=1, max_size=4),
)
def test_settling_leaves_nothing_of_what_was_supposed(
    done: list[tuple[Any, Any]], asked: list[Any], supposed: list[Any]
) -> None:
    memory = memory_of(*(call(tool, arguments, result) for (tool, arguments), result in done))
    for tool, arguments in asked:
        memory.ask(tool, arguments)
    memory.asked = []
    before = snapshot(memory)
    for tool, arguments in supposed:
        memory.suppose(tool, arguments)
    memory.settle()
    assert snapshot(memory) == before


def test_what_is_supposed_counts_until_it_is_settled() -> None:
    memory = memory_of(call("search", {}, [{"id": 7}, {"id": 8}]))
    memory.suppose("open", {"id": 7})
    memory.suppose("open", {"id": 9})
    slot = Slot(OPEN, "id")
    assert memory.asked == [OPEN, OPEN]
    assert slot in memory.values["int", 7].used
    assert (memory.before_last[slot], memory.last[slot]) == (("int", 7), ("int", 9))
    memory.settle()
    assert memory.asked == []
    assert not memory.values["int", 7].used
    assert ("int", 9) not in memory.values


def test_a_full_memory_forgets_nothing_for_what_is_supposed() -> None:
    memory = memory_of(
        *(call("look", {}, " ".join(f"A{n:05}" for n in range(k, k + 150))) for k in range(0, 6000, 150))
    )
    assert len(memory.values) == VALUES
    before = snapshot(memory)
    memory.suppose("open", {"name": "new", "id": "A99999"})
    memory.settle()
    assert snapshot(memory) == before


# -- bounds -------------------------------------------------------------------------------------------------


def assert_bounded(memory: Memory) -> None:
    assert len(memory.values) <= VALUES
    assert all(len(same) <= PER_MASK for same in memory.by_mask.values())
    assert all(len(one.values) <= PER_SOURCE for one in memory.origins.values())
    assert sum(map(len, memory.by_mask.values())) <= VALUES
    assert all(key in memory.values for one in memory.origins.values() for key in one.values)
    assert len(memory.origins) <= SOURCES
    assert all(len(named) <= NAMED for named in memory.named.values())
    assert len(memory.recent) <= RECENT
    assert all(len(made) <= REPEATS for made in memory.made.values())
    for kept in (memory.last, memory.before_last, memory.named, memory.made, memory.local):
        assert len(kept) <= SLOTS
    assert all(len(value.places) <= PLACES and len(value.used) <= SLOTS for value in memory.values.values())
    assert all(len(counts) <= SLOTS for counts in memory.local.values())
    assert max(len(memory.signatures), len(memory.former)) <= 3
    assert len(memory.heard) <= 20_000


@pytest.mark.parametrize("tools", [1, 10_000])
def test_an_endless_session_stays_small(tools: int) -> None:
    """Of one tool, and of one whose names, arguments and fields are never the same."""
    memory = memory_of()
    for n in range(600):
        k = n % tools
        fields = {f"f{chr(97 + k % 26)}{chr(97 + k // 26)}{chr(97 + i)}": f"V{n}{i}" for i in range(20)}
        memory.said(Said("user", f"Find X{n} and 7", n))
        memory.answered(call(f"tool{k}", {f"a{k}": n, "same": "s"}, {"rows": [fields], "id": 7}))
    assert_bounded(memory)
    assert memory.calls == 600


def test_many_calls_that_are_never_answered_are_not_kept() -> None:
    memory = memory_of()
    for n in range(1000):
        memory.ask("open", {"id": n})
    assert_bounded(memory)
    assert len(memory._unanswered) <= 64


def test_keys_of_maps_that_are_content_are_not_kept() -> None:
    memory = memory_of(call("look", {}, {"x " * 5000: 1}))
    assert max(len(str(key[1])) for key in memory.values) < 5000


def test_the_longest_unseen_value_goes_first() -> None:
    memory = memory_of()
    key: Key = ("str", "A00000")
    for k in range(0, 9000, 150):
        memory.answered(call("look", {}, " ".join(f"A{n:05}" for n in range(k, k + 150)) + " A00000"))
    assert len(memory.values) == VALUES
    assert key in memory.values
    assert ("str", "A00001") not in memory.values


def test_what_a_written_text_names_is_a_value() -> None:
    memory = Memory(Symbols(Ledger()))
    memory.ask("bash", {"command": "cat > check_it.py << 'EOF'\nimport os\n" + "x = 1\n" * 400 + "late.py"})
    assert memory.origins["said", "bash", "file"] in memory.values["str", "check_it.py"].places
    assert ("str", "late.py") not in memory.values
