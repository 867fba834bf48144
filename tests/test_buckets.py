"""A token bucket holds what was not taken, and no more."""

from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.buckets import Bucket


def test_what_is_taken_comes_back_evenly() -> None:
    bucket = Bucket(4, 60.0, 0.0)
    bucket.left -= 4
    assert (bucket.fill(15.0), bucket.wait_s(1), bucket.wait_s(3)) == (1.0, 0.0, 30.0)
    assert bucket.fill(600.0) == 4.0


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 5)), max_size=50), st.integers(1, 9))
def test_it_gives_no_more_than_it_holds_and_what_comes(takes: list[tuple[float, int]], size: int) -> None:
    bucket, now, given_out = Bucket(size, 60.0, 0.0), 0.0, 0
    for wait, wanted in takes:
        now += wait
        if bucket.fill(now) >= wanted:
            bucket.left -= wanted
            given_out += wanted
        assert 0 <= bucket.left <= size
        assert given_out <= size * (1 + now / 60.0) + 1e-6
