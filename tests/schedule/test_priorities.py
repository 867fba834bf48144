"""From hints to an engine's numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.schedule.backends import PriorityBand
from paste_proxy.schedule.priorities import in_band

SGLANG = PriorityBand(soonest=4, latest=-4)
VLLM = PriorityBand(soonest=-5, latest=5)


@pytest.mark.parametrize(
    ("band", "hint", "number"),
    [
        (SGLANG, 0, 0),
        (SGLANG, 10, 4),
        (SGLANG, -10, -4),
        (SGLANG, 1, 1),
        (SGLANG, -1, -1),
        (SGLANG, 5, 2),
        (SGLANG, 99, 4),
        (VLLM, 10, -5),
        (VLLM, -10, 5),
        (VLLM, 1, -1),
        (PriorityBand(soonest=-3, latest=-11), 0, -7),
        (PriorityBand(soonest=-11, latest=-3), 10, -11),
        (PriorityBand(soonest=1, latest=-1), 2, 1),
    ],
)
def test_its_place(band: PriorityBand, hint: int, number: int) -> None:
    assert in_band(band, hint) == number


@given(
    middle=st.integers(-(2**62), 2**62),
    reach=st.integers(1, 2**40),
    lower_first=st.booleans(),
    hints=st.lists(st.integers(-20, 20), min_size=2),
)
def test_sooner_is_never_later(middle: int, reach: int, lower_first: bool, hints: list[int]) -> None:
    sooner = -reach if lower_first else reach
    band = PriorityBand(soonest=middle + sooner, latest=middle - sooner)
    numbers = [in_band(band, hint) for hint in sorted(hints)]
    assert numbers == sorted(numbers, reverse=lower_first)
    low, high = sorted((band.soonest, band.latest))
    assert all(low <= number <= high for number in numbers)
    assert in_band(band, 0) == middle
