"""Epochs of scopes, against a plain model: the list of all writes."""

from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.broker.scopes import OWN, Epochs, overlap

scopes = st.frozensets(st.sampled_from(["a", "b", "*", f"{OWN}s", f"{OWN}t"]), min_size=1, max_size=2)
steps = st.lists(st.tuples(st.sampled_from(["begin", "end", "stamp"]), scopes), max_size=30)


@given(steps, scopes)
def test_a_stamp_is_current_iff_no_overlapping_write_began_ended_or_is_open(
    history: list[tuple[str, frozenset[str]]], reads: frozenset[str]
) -> None:
    epochs = Epochs()
    stamp = epochs.stamp(reads)
    disturbed = False
    open_writes: list[frozenset[str]] = []
    for what, written in history:
        if what == "begin":
            epochs.begin_write(written)
            open_writes.append(written)
            disturbed = disturbed or overlap(reads, written)
        elif what == "end" and open_writes:
            ended = open_writes.pop(0)
            epochs.end_write(ended)
            disturbed = disturbed or overlap(reads, ended)
        elif what == "stamp":
            stamp, disturbed = epochs.stamp(reads), False
        is_open = any(overlap(reads, one) for one in open_writes)
        assert epochs.is_open(reads) is is_open
        assert epochs.is_current(stamp) is (not disturbed and not is_open)


def test_nothing_overlaps_no_scopes_at_all() -> None:
    epochs = Epochs()
    epochs.begin_write({"*"})
    assert not epochs.is_open(frozenset())
    assert not overlap(frozenset(), frozenset({"*"}))


def test_what_is_one_session_s_own_concerns_nobody_who_does_not_name_it() -> None:
    own, other = frozenset({f"{OWN}s"}), frozenset({f"{OWN}t"})
    everything = frozenset({"*"})
    assert not overlap(everything, own)
    assert overlap(everything | own, own)
    assert not overlap(everything | own, other)
    assert overlap(own, everything)


def test_nested_writes_of_one_scope_stay_open_until_the_last_ends() -> None:
    epochs = Epochs()
    epochs.begin_write({"a"})
    epochs.begin_write({"a"})
    epochs.end_write({"a"})
    assert epochs.is_open(frozenset({"a"}))
    epochs.end_write({"a"})
    assert not epochs.is_open(frozenset({"a"}))
