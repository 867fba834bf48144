"""The account of an engine's memory: what is longest unused is gone, and the sum never lies."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.schedule.memory import SESSIONS, Memory


def memory(tokens: int = 0, **held: int) -> Memory:
    known = Memory()
    known.tokens = tokens
    for session, size in held.items():
        known.used(session, size)
    return known


def holds(known: Memory, sessions: Iterable[str]) -> list[int]:
    return [known.holds(session) for session in sessions]


def test_what_fits_stays() -> None:
    assert holds(memory(100, a=40, b=60), "abc") == [40, 60, 0]


def test_the_longest_unused_goes_first() -> None:
    known = memory(100, a=40, b=60)
    known.used("c", 10)
    assert holds(known, "abc") == [0, 60, 10]


def test_what_a_turn_goes_for_is_used() -> None:
    known = memory(100, a=40, b=60)
    known.touched("a")
    known.touched("nobody")
    known.used("c", 10)
    assert holds(known, "abc") == [40, 0, 10]


def test_a_session_that_has_grown_counts_once() -> None:
    known = memory(100, a=40, b=50)
    known.used("a", 50)
    assert holds(known, "ab") == [50, 50]
    known.used("a", 51)
    assert holds(known, "ab") == [51, 0]


def test_one_that_is_larger_than_all_memory_is_there_alone() -> None:
    assert holds(memory(100, a=40, b=400), "ab") == [0, 400]


def test_where_the_size_is_not_known_the_number_of_sessions_ends_the_account() -> None:
    known = memory()
    for number in range(SESSIONS + 1):
        known.used(f"{number}", 1_000_000)
    assert holds(known, ["0", "1", f"{SESSIONS}"]) == [0, 1_000_000, 1_000_000]


def test_what_the_engine_has_lost_is_room_again() -> None:
    known = memory(100, a=40, b=60)
    known.drop("a")
    known.drop("nobody")
    known.used("c", 40)
    assert holds(known, "abc") == [0, 60, 40]
    known.clear()
    known.used("d", 100)
    assert holds(known, "bcd") == [0, 0, 100]


steps = st.lists(
    st.tuples(
        st.sampled_from(["used", "used", "touched", "drop"]), st.sampled_from("abcdef"), st.integers(0, 70)
    )
)


@given(steps)
def test_it_is_what_a_list_in_the_order_of_use_would_be(history: list[tuple[str, str, int]]) -> None:
    known, order = memory(100), dict[str, int]()
    for what, session, size in history:
        if what == "drop":
            known.drop(session)
            order.pop(session, None)
        elif what == "touched":
            known.touched(session)
            if session in order:
                order[session] = order.pop(session)
        else:
            known.used(session, size)
            order.pop(session, None)
            order[session] = size
            while sum(order.values()) > 100 and len(order) > 1:
                del order[next(iter(order))]
        assert holds(known, "abcdef") == [order.get(one, 0) for one in "abcdef"]
