"""Placement: where sessions go, and that they stay there."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.schedule.backends import BackendCapacity
from paste_proxy.schedule.placement import Placed, Placement

NAMES = [f"session-{number}" for number in range(2000)]
FEWER = NAMES[:400]
"""For each of a hundred sets of backends."""


def idle(*backends: str) -> Placement:
    return Placement(backends, lambda _: 0)


def busy(**loads: float) -> Placement:
    return Placement(loads, loads.__getitem__)


def chosen(placement: Placement, session: str, home: str | None = None, **more: object) -> str:
    placed = placement.choose(session, home, **more)  # type: ignore[arg-type]
    assert placed is not None
    return placed.backend


def test_one_backend_has_no_name_and_takes_all() -> None:
    assert idle("").choose("any", None) == Placed("")
    assert idle("").choose("", None) == Placed("")


def test_a_session_goes_where_its_name_leads_and_stays_where_it_is() -> None:
    placement = idle("one", "two")
    first = chosen(placement, "s")
    assert {chosen(placement, "s") for _ in range(9)} == {first}
    other = {"one": "two", "two": "one"}[first]
    assert chosen(placement, "s", home=other) == other


def test_sessions_spread_evenly() -> None:
    counts = Counter(chosen(idle("one", "two", "three"), name) for name in NAMES)
    assert all(abs(count - 667) < 90 for count in counts.values()), counts


@given(st.sets(st.text(min_size=1, max_size=9), min_size=2, max_size=8))
def test_a_backend_that_comes_takes_its_share_and_moves_none_between_the_others(names: set[str]) -> None:
    *old, new = sorted(names)
    before, after = idle(*old), idle(*old, new)
    moved = [name for name in FEWER if chosen(before, name) != chosen(after, name)]
    assert {chosen(after, name) for name in moved} <= {new}
    share = len(FEWER) / len(names)
    assert abs(len(moved) - share) < 5 * share**0.5 + 1


@given(st.sets(st.text(min_size=1, max_size=9), min_size=2, max_size=8))
def test_a_backend_that_goes_moves_its_own_sessions_alone(names: set[str]) -> None:
    gone, *left = sorted(names)
    placement = idle(gone, *left)
    before = {name: chosen(placement, name) for name in NAMES[:200]}
    placement.down(gone)
    for name, backend in before.items():
        assert chosen(placement, name, home=backend) == backend or backend == gone


def test_a_new_session_spills_where_its_first_choice_is_loaded_above_its_share() -> None:
    first = chosen(idle("one", "two"), "s")
    other = {"one": "two", "two": "one"}[first]
    assert busy(**{first: 5, other: 4}).choose("s", None) == Placed(first)
    assert busy(**{first: 9, other: 4}).choose("s", None) == Placed(other, spilled=True)
    assert busy(**{first: 99, other: 0}).choose("s", home=first) == Placed(first)


@given(st.dictionaries(st.text(min_size=1), st.integers(0, 50), min_size=1, max_size=6), st.text())
def test_no_new_session_makes_a_backend_the_fullest_by_far(loads: dict[str, int], session: str) -> None:
    placed = Placement(loads, loads.__getitem__).choose(session, None)
    assert placed is not None
    assert loads[placed.backend] <= 1.25 * (sum(loads.values()) + 1) / len(loads)


def test_shares_are_by_capacity_where_all_say_theirs() -> None:
    name = next(name for name in NAMES if chosen(idle("small", "large"), name) == "large")
    placement = busy(small=4, large=12)
    placement.up("small", BackendCapacity(kv_tokens=1000))
    assert chosen(placement, name) == "small"
    placement.up("large", BackendCapacity(kv_tokens=4000))
    assert chosen(placement, name) == "large"


def test_a_turn_without_a_session_goes_where_there_is_least() -> None:
    assert chosen(busy(one=3, two=1, three=2), "") == "two"


def test_what_is_down_gets_nothing_while_another_is_up() -> None:
    placement = idle("one", "two")
    placement.down("one")
    assert {chosen(placement, name, home="one") for name in NAMES[:50]} == {"two"}
    placement.down("two")
    assert {chosen(placement, name) for name in NAMES[:50]} == {"one", "two"}
    placement.up("one", BackendCapacity())
    assert {chosen(placement, name, home="two") for name in NAMES[:50]} == {"one"}


def test_what_drains_keeps_its_sessions_and_gets_no_new_ones() -> None:
    placement = idle("one", "two")
    placement.drain("one", on=True)
    assert {chosen(placement, name) for name in NAMES[:50]} == {"two"}
    assert chosen(placement, "s", home="one") == "one"
    placement.down("two")
    assert chosen(placement, "s") == "one"
    placement.up("two", BackendCapacity())
    placement.drain("one", on=False)
    assert {chosen(placement, name) for name in NAMES[:50]} == {"one", "two"}


def test_a_refused_turn_goes_to_each_other_backend_once() -> None:
    placement = idle("one", "two")
    first = chosen(placement, "s", home="one")
    second = chosen(placement, "s", home="one", but={first})
    assert {first, second} == {"one", "two"}
    assert placement.choose("s", "one", but={first, second}) is None
    placement.down("two")
    assert placement.choose("s", "one", but={"one"}) is None


def test_a_child_goes_to_its_parent_s_backend_unless_there_is_too_much() -> None:
    for name in NAMES[:20]:
        assert chosen(idle("one", "two"), name, near="two") == "two"
        assert chosen(busy(one=0, two=9), name, near="two") == "one"


def test_a_backend_that_is_removed_is_forgotten() -> None:
    placement = idle("one", "two")
    placement.remove("one")
    assert list(placement.known) == ["two"]
    assert chosen(placement, "s", home="one") == "two"
