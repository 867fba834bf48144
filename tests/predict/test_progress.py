from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.extractors import NAMES, Extractors
from paste_proxy.predict.ledger import WITNESSES, Ledger
from paste_proxy.predict.memory import Memory
from paste_proxy.predict.progress import CHANGES, ITEMS, STATE, move_of, moved
from paste_proxy.predict.symbols import Slot, Symbol, Symbols
from paste_proxy.predict.values import Key, key_of, value_of

PLAN = Slot(Symbol("plan"), "steps")


def plan(states: str, **more: Any) -> list[dict[str, Any]]:
    """A letter for each item's state."""
    return [{"what": f"step {number}", "state": state, **more} for number, state in enumerate(states)]


def key(value: Any) -> Key:
    found = key_of(value)
    assert found is not None
    return found


def memory_of(*lists: Any) -> Memory:
    """That were given one after the other."""
    memory = Memory(Symbols(Ledger()))
    for one in lists:
        memory.ask("plan", {"steps": one})
    return memory


def only() -> Extractors:
    return Extractors(Ledger(), frozenset({*NAMES} - {"moved on"}))


def proposed(extractors: Extractors, *lists: Any) -> list[str]:
    """Their states."""
    extractors.learn(memory_of(), PLAN, key([]), "another")
    found = extractors.candidates(memory_of(*lists), PLAN)
    return ["".join(item["state"] for item in value_of(one)) for one in found.values]


def taught(*moves: tuple[str, str], sessions: int = WITNESSES) -> Extractors:
    extractors = only()
    for session in range(sessions):
        for before, after in moves:
            extractors.learn(memory_of(plan(before)), PLAN, key(plan(after)), str(session))
    return extractors


def test_the_next_step_is_begun_as_the_last_one_was() -> None:
    assert proposed(only(), plan("dapp"), plan("ddap"))[0] == "ddda"


def test_each_item_gets_the_state_of_the_one_above() -> None:
    assert proposed(only(), plan("ddapp")) == ["dddap"]
    assert proposed(only(), plan("dddda")) == ["ddddd"]


def test_a_move_of_many_sessions_is_made_in_a_new_list() -> None:
    assert proposed(taught(("appp", "dapp")), plan("ap"))[0] == "da"
    assert proposed(taught(("appp", "dapp"), sessions=WITNESSES - 1), plan("ap")) == []


def test_the_commonest_move_that_can_be_made_comes_first() -> None:
    extractors = taught(("ap", "da"), ("da", "dd"))
    extractors.learn(memory_of(plan("dap")), PLAN, key(plan("dda")), "x")
    assert proposed(extractors, plan("dap"))[:2] == ["dda", "ddp"]
    assert proposed(extractors, plan("dda"))[0] == "ddd"


def test_what_is_no_list_of_records_does_not_move_on() -> None:
    for one in ("text", 3, ["a", "b"], {"state": "a"}, plan("ap") * ITEMS, []):
        assert proposed(only(), one) == []
    assert proposed(only()) == []


def test_a_change_of_content_of_many_items_or_of_the_fields_is_no_move() -> None:
    before = plan("a" * 8)
    assert move_of(key(before), key(before)) is None
    assert move_of(key(before), key(before[1:])) is None
    assert move_of(key(before), key(plan("d" * (CHANGES + 1) + "a" * (7 - CHANGES)))) is None
    assert move_of(key(before), key([{**before[0], "state": "d" * (STATE + 1)}, *before[1:]])) is None
    assert move_of(key(before), key([{**before[0], "new": 1}, *before[1:]])) is None
    assert move_of(key(before), key([{"what": "x", "state": "d"}, *before[1:]])) is None


def test_a_state_is_of_a_type() -> None:
    one, other = ([{"id": 1, "done": done}, {"id": 2, "done": 0}] for done in (False, True))
    move = ((0, "done", ("bool", False), ("bool", True)),)
    assert move_of(key(one), key(other)) == move
    assert moved(key(other), move) is None


def test_moves_of_equal_states_of_different_types_are_different() -> None:
    flags, numbers = ([{"on": off}, {"on": off}] for off in (False, 0))
    flag, number = (move_of(key(one), key([{"on": on}, one[1]])) for one, on in ((flags, True), (numbers, 1)))
    assert flag is not None
    assert number is not None
    assert moved(key(flags), number) is None
    assert moved(key(flags), flag) == key([{"on": True}, {"on": False}])


def test_the_extractors_learn_moves_and_propose_them() -> None:
    extractors = Extractors(Ledger())
    for session in range(WITNESSES):
        extractors.learn(memory_of(plan("app")), PLAN, key(plan("dap")), str(session))
    found = extractors.candidates(memory_of(plan("ap")), PLAN)
    assert found.how[list(found.values).index(key(plan("da")))] == ("moved on", 0)


STATES = st.text(alphabet="dapx", max_size=8)


@settings(max_examples=200, deadline=None)
@given(st.lists(STATES, max_size=4), st.tuples(STATES, STATES))
def test_what_is_proposed_differs_in_states_alone(given_lists: list[str], move: tuple[str, str]) -> None:
    found = proposed(taught(move), *map(plan, given_lists))
    if given_lists:
        assert all(len(one) == len(given_lists[-1]) for one in found)
