import time
from collections.abc import Hashable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.ledger import (
    HORIZON,
    KNOWN,
    SHARED,
    TOTAL,
    WIDTH,
    WITNESSES,
    Changes,
    Group,
    GroupKey,
    Ledger,
    SavedGroup,
    frozen,
)
from paste_proxy.predict.symbols import Symbols


def everything(_ledger: Ledger, key: GroupKey, group: Group) -> SavedGroup:
    return SavedGroup(key[0], key[1], list(group.items()))


def stored(changes: Changes) -> list[SavedGroup]:
    """As they come back from a store."""
    return [msgspec.json.decode(msgspec.json.encode(saved), type=SavedGroup) for saved in changes.saved]


def state(ledger: Ledger) -> list[tuple[GroupKey, list[tuple[Any, float]]]]:
    return [(key, list(group.items())) for key, group in ledger.groups()]


def size(ledger: Ledger) -> int:
    return sum(len(group) for _, group in ledger.groups())


def test_a_group_keeps_its_counts_and_their_sum() -> None:
    ledger = Ledger()
    for label in ("a", "b", "a"):
        ledger.count("next", ("x", 1), label)
    assert ledger.find("next", ("x", 1)) == {"a": 2.0, "b": 1.0, TOTAL: 3.0}
    assert ledger.find("next", ("x", 2)) is None
    assert len(ledger) == 3


def test_what_changed_is_soon_believed() -> None:
    ledger = Ledger()
    for label in "a" * HORIZON + "b" * HORIZON:
        ledger.count("next", (), label)
    group = ledger.find("next", ()) or {}
    assert group["b"] > group["a"]
    assert group[TOTAL] <= HORIZON


def test_what_came_once_long_ago_is_forgotten() -> None:
    ledger = Ledger()
    ledger.count("next", (), "once")
    for _ in range(3 * HORIZON):
        ledger.count("next", (), "a")
    assert set(ledger.find("next", ()) or {}) == {"a", TOTAL}


def test_in_a_full_group_the_least_makes_room() -> None:
    ledger = Ledger()
    for number in range(WIDTH - 1):
        ledger.count("next", (), number, 2.0 if number else 1.0)
    ledger.count("next", (), "new")
    group = ledger.find("next", ()) or {}
    assert 0 not in group
    assert {1, "new", TOTAL} <= group.keys()
    assert len(group) == WIDTH


def test_of_known_words_the_rarest_makes_room() -> None:
    ledger = Ledger()
    for number in range(KNOWN):
        ledger.set("words", "bash", number, 7.0 if number else 5.0)
    ledger.set("words", "bash", "new", 6.0)
    group = ledger.find("words", "bash") or {}
    assert 0 not in group
    assert len(group) == len(ledger) == KNOWN


def test_the_group_that_was_written_longest_ago_goes_first() -> None:
    ledger = Ledger(limit=4)
    ledger.count("next", "a", "x")
    ledger.count("next", "b", "x")
    ledger.count("next", "a", "x")
    ledger.count("next", "c", "x")
    assert [key for (_, key), _ in ledger.groups()] == ["a", "c"]


def test_what_holds_for_all_tools_is_never_forgotten() -> None:
    ledger = Ledger(limit=4)
    ledger.set(SHARED, "weights", "w", 0.5)
    for number in range(20):
        ledger.count("next", number, "x")
    assert ledger.find(SHARED, "weights") == {"w": 0.5}


def steps(*sections: str) -> st.SearchStrategy[list[tuple[str, str, int, int]]]:
    what = st.sampled_from(["count", "set", "update", "witness"])
    return st.lists(
        st.tuples(what, st.sampled_from(sections), st.integers(0, 5), st.integers(0, 7)), max_size=80
    )


def told(ledger: Ledger, several: list[tuple[str, str, int, int]]) -> None:
    for number, (what, section, key, label) in enumerate(several):
        if what == "count":
            ledger.count(section, key, label)
        elif what == "set":
            ledger.set(section, key, label, label / 3)
        elif what == "update":
            values: dict[Hashable, float] = {label: 0.1, (label, "x"): 0.2}
            ledger.update(section, key, values)
        else:
            ledger.witness(section, key, label, str(number % 6))


@settings(max_examples=200, deadline=None)
@given(steps("next", "weights", SHARED), st.integers(1, 40))
def test_its_size_is_bounded_and_known(several: list[tuple[str, str, int, int]], limit: int) -> None:
    ledger = Ledger(limit)
    for step in several:
        told(ledger, [step])
        assert len(ledger) == size(ledger)
        groups = dict(ledger.groups())
        youngest = max((len(group) for (section, _), group in groups.items() if section != SHARED), default=0)
        shared = sum(len(group) for (section, _), group in groups.items() if section == SHARED)
        assert len(ledger) <= max(limit, youngest + shared)


@settings(max_examples=200, deadline=None)
@given(steps("next", "weights"), steps("next", "weights"), st.integers(20, 60))
def test_a_store_that_follows_the_changes_has_the_same_groups(
    first: list[tuple[str, str, int, int]], second: list[tuple[str, str, int, int]], limit: int
) -> None:
    """Even where one of them could not be saved at once."""
    ledger, rows = Ledger(limit), dict[str, SavedGroup]()
    told(ledger, first)
    failed = ledger.take_changes(everything)
    ledger.put_back(failed)
    told(ledger, second)
    for changes in (ledger.take_changes(everything), ledger.take_changes(everything)):
        for key in changes.dropped:
            rows.pop(repr(key), None)
        for saved in stored(changes):
            rows[repr((saved.section, frozen(saved.key)))] = saved
    again = Ledger(limit)
    again.load(rows.values())
    assert dict(again.groups()) == dict(ledger.groups())
    assert len(again) == len(ledger)
    assert again.take_changes(everything) == Changes()


def test_changes_are_told_once() -> None:
    ledger = Ledger()
    ledger.count("next", "a", "x")
    changes = ledger.take_changes(everything)
    assert [saved.key for saved in changes.saved] == ["a"]
    assert ledger.take_changes(everything) == Changes()
    ledger.put_back(changes)
    assert ledger.take_changes(everything) == changes


def test_a_smaller_ledger_takes_the_youngest_of_what_was_stored() -> None:
    ledger = Ledger()
    for number in range(10):
        ledger.count("next", number, "x")
    small = Ledger(limit=6)
    small.load(stored(ledger.take_changes(everything)))
    assert [key for (_, key), _ in small.groups()] == [7, 8, 9]


# -- what only sessions know --------------------------------------------------------------------------------


def test_a_word_is_known_once_enough_sessions_had_it() -> None:
    ledger = Ledger()
    for _ in range(20):
        ledger.witness("words", "bash", "grep", "one session")
    for number in range(WITNESSES - 2):
        ledger.witness("words", "bash", "grep", str(number))
    assert ledger.find("words", "bash") is None
    assert ledger.take_changes(everything) == Changes()
    ledger.witness("words", "bash", "grep", "another")
    ledger.witness("words", "bash", "grep", "another")
    assert ledger.find("words", "bash") == {"grep": WITNESSES + 1.0}


def test_what_few_sessions_had_is_bounded_too() -> None:
    ledger = Ledger(limit=80)
    for number in range(1000):
        ledger.witness("words", "bash", f"w{number}", "s")
    assert len(ledger._witnesses) == 10
    assert len(ledger) == 0


def test_a_full_ledger_learns_as_fast_as_an_empty_one() -> None:
    ledger = Ledger(limit=100_000)
    for number in range(50_000):
        ledger.count("next", number, "x")
    started = time.process_time()
    for number in range(2000):
        ledger.count("next", ("new", number), "x")
    assert time.process_time() - started < 0.5
    assert len(ledger) == 100_000


@pytest.mark.parametrize("value", [("a", ("b", 1, True, None)), (), "a", ("str", "x"), 1.5])
def test_a_stored_key_comes_back(value: Any) -> None:
    assert frozen(msgspec.json.decode(msgspec.json.encode(value))) == value


def test_changes_can_be_taken_a_part_at_a_time_the_oldest_first() -> None:
    ledger = Ledger()
    for number in range(10):
        ledger.count("next", f"c{number}", "a")
    first = ledger.take_changes(everything, 6)
    assert [one.key for one in first.saved] == ["c0", "c1"]
    parts = [first, *(ledger.take_changes(everything, 6) for _ in range(4))]
    assert not ledger.unsaved
    assert [one.key for part in parts for one in part.saved] == [f"c{number}" for number in range(10)]
    ledger.put_back(first)
    assert ledger.take_changes(everything) == first


def test_numbers_are_witnessed_apart() -> None:
    ledger = Ledger()
    for number in range(WITNESSES):
        ledger.witness("steps", "page", -1 - number % 2, str(number))
    assert ledger.find("steps", "page") is None


def test_many_new_labels_take_the_places_of_the_least() -> None:
    ledger = Ledger()
    ledger.set("names", "called", "much used", 9.0)
    for round_ in range(3):
        ledger.admit("names", "called", [f"{round_}-{number}" for number in range(KNOWN - 1)], 5.0)
    group = ledger.find("names", "called") or {}
    assert list(group) == ["much used", *(f"2-{number}" for number in range(KNOWN - 1))]
    assert len(ledger) == KNOWN
    ledger.admit("names", "called", [f"3-{number}" for number in range(2 * KNOWN)], 5.0)
    assert len(ledger) == KNOWN
    assert [label for label, _ in stored(ledger.take_changes(everything))[0].labels] == list(group)


def test_long_lists_of_names_by_turns_cost_little() -> None:
    ledger = Ledger()
    symbols = Symbols(ledger)
    lists = [frozenset(f"tool_{which}_{number}" for number in range(KNOWN)) for which in range(2)]
    start = time.process_time()
    for turn in range(20):
        symbols.offer(lists[turn % 2])
    assert time.process_time() - start < 1.0  # 0.05 here; each of them took 0.4
