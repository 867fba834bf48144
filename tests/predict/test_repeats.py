from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.ledger import Ledger
from paste_proxy.predict.memory import Memory
from paste_proxy.predict.repeats import BEFORE, PLACES, Repeats
from paste_proxy.predict.signatures import finished_call
from paste_proxy.predict.symbols import Symbol, Symbols, written

TEST = Symbol("test")


def memory_of(*targets: int | str) -> Memory:
    """A number is a test of it; a name is another tool's call."""
    memory = Memory(Symbols(Ledger()))
    for target in targets:
        tool, arguments = ("test", {"target": target}) if isinstance(target, int) else (target, {})
        memory.answered(finished_call(tool, arguments, "ok"))
    return memory


def taught(*lessons: tuple[list[int | str], int], times: int = 20) -> Repeats:
    repeats = Repeats(Ledger())
    for _ in range(times):
        for before, target in lessons:
            repeats.learn(memory_of(*before), TEST, written("test", {"target": target}))
    return repeats


def likely(repeats: Repeats, *targets: int | str) -> list[tuple[int, float]]:
    """The latest first."""
    found = repeats.likely(memory_of(*targets), TEST)
    return [(dict(arguments)["target"][1], share) for (_, arguments), share in found.items()]


def test_what_was_never_called_is_not_repeated() -> None:
    assert likely(Repeats(Ledger()), "edit") == []


def test_before_anything_is_learnt_the_latest_is_a_little_likely() -> None:
    assert likely(Repeats(Ledger()), 1, 2) == [(2, BEFORE), (1, BEFORE / 2)]


def test_a_test_is_run_again_after_an_edit_and_not_at_once() -> None:
    repeats = taught(([1, "edit"], 1), ([1], 2))
    assert likely(repeats, 7, "edit")[0][1] > 0.8
    assert likely(repeats, 7)[0][1] < 0.2


def test_the_place_of_the_repeated_call_is_learnt() -> None:
    [(latest, little), (before, much)] = likely(taught(([1, 2], 1)), 5, 6)
    assert (latest, before) == (6, 5)
    assert much > 0.8 > 0.2 > little


def test_learning_says_whether_it_is_one() -> None:
    repeats = Repeats(Ledger())
    assert not repeats.learn(memory_of(), TEST, written("test", {"target": 1}))
    assert repeats.learn(memory_of(1), TEST, written("test", {"target": 1}))
    assert not repeats.learn(memory_of(1), TEST, written("test", {"target": 2}))
    assert not repeats.learn(memory_of(1), TEST, None)


def test_without_the_part_nothing_is_repeated() -> None:
    repeats = Repeats(Ledger(), frozenset({"repeats"}))
    assert repeats.likely(memory_of(1), TEST) == {}


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.lists(st.integers(0, 4), max_size=20), st.integers(0, 4)), max_size=8),
    st.lists(st.integers(0, 30), max_size=30),
)
def test_shares_add_up_to_less_than_one(lessons: list[tuple[list[int | str], int]], made: list[int]) -> None:
    found = likely(taught(*lessons, times=1), *made)
    assert len(found) <= PLACES
    assert all(share >= 0 for _, share in found)
    assert sum(share for _, share in found) <= 1 + 1e-9
