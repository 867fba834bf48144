"""A share of the hits is run again: what differs too often runs ahead no more."""

import msgspec
import pytest

from paste_proxy.broker.sampling import Sample, Sampling
from paste_proxy.broker.scopes import Stamp
from paste_proxy.tools.ports import Output
from tests.broker.desk import READ

STAMP = Stamp(frozenset(), 0)


def look(
    sampling: Sampling, released: bytes, again: bytes, volatility: float = 0.0, *, text: bool = False
) -> bool:
    spec = msgspec.structs.replace(READ, volatility=volatility)
    sample = Sample(spec, Output(released, is_text=text), STAMP)
    return sampling.compare(sample, Output(again, is_text=text))


@pytest.mark.parametrize(("share", "hits", "looks"), [(0.01, 250, 3), (0.5, 10, 5), (1.0, 7, 7), (0.0, 99, 0)])
def test_a_share_of_the_hits_is_looked_at_the_first_among_them(share: float, hits: int, looks: int) -> None:
    sampling = Sampling(share)
    due = [sampling.is_due("read") for _ in range(hits)]
    assert sum(due) == looks
    assert due[0] is (share > 0)


def test_the_same_result_is_the_same_in_whatever_order_its_keys_come() -> None:
    sampling = Sampling(1.0)
    assert not look(sampling, b'{"a":1,"b":[2]}', b'{"b":[2],"a":1}')
    assert not look(sampling, b"as it was", b"as it was", text=True)
    assert sampling.tallies["read"].differed == 0


def test_one_difference_is_enough_where_none_was_declared() -> None:
    assert look(Sampling(1.0), b"1", b"2")


def test_text_that_looks_like_an_equal_object_is_another_text() -> None:
    assert look(Sampling(1.0), b'{"a":1,"b":2}', b'{"b":2,"a":1}', text=True)


def test_a_tool_may_differ_as_often_as_declared_and_a_little_more() -> None:
    sampling = Sampling(1.0)
    for number in range(100):
        assert not look(sampling, b"1", b"2" if number % 10 == 9 else b"1", volatility=0.1), number
    beyond = [look(sampling, b"1", b"2", volatility=0.1) for _ in range(9)]
    assert beyond[0] is False
    assert beyond[-1] is True


def test_what_differed_of_a_tool_is_not_held_against_the_one_that_took_its_name() -> None:
    sampling = Sampling(1.0)
    assert look(sampling, b"1", b"2")
    assert not look(sampling, b"1", b"1", volatility=0.01)
    assert (sampling.tallies["read"].taken, sampling.tallies["read"].differed) == (2, 1)


def test_an_image_that_is_another_is_another_result() -> None:
    sampling = Sampling(1.0)
    one, other = (
        Output(
            b"a picture",
            is_text=True,
            mcp=b'{"_meta":{"at":%d},"content":[{"type":"image","data":"%b"}]}' % part,
        )
        for part in ((1, b"AAAA"), (2, b"BBBB"))
    )
    again = msgspec.structs.replace(one, mcp=(one.mcp or b"").replace(b'"at":1', b'"at":3'))
    assert not sampling.compare(Sample(READ, one, STAMP), again)
    assert sampling.compare(Sample(READ, one, STAMP), other)
