import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.calibration import EDGE, PRIOR, Calibration
from paste_proxy.predict.ledger import Ledger

SHARES = st.floats(0, 1)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(SHARES, st.booleans()), max_size=40), SHARES, st.just(0.0) | st.floats(0.5, 1e6))
def test_the_bound_is_below_the_estimate_and_both_are_shares(
    outcomes: list[tuple[float, bool]], stated: float, evidence: float
) -> None:
    calibration = Calibration(Ledger())
    for one, right in outcomes:
        calibration.learn(one, right=right)
    estimate = calibration.estimate(stated)
    assert 0 <= calibration.lower_bound(estimate, evidence) <= estimate <= 1


def test_before_anything_came_of_it_what_is_stated_is_believed() -> None:
    calibration = Calibration(Ledger())
    assert calibration.estimate(0.37) == pytest.approx(0.37)
    assert calibration.lower_bound(0.37, 0) == 0


def test_what_came_of_it_corrects_what_is_stated() -> None:
    calibration = Calibration(Ledger())
    for number in range(100):
        calibration.learn(0.8, right=number % 2 == 0)
    assert 0.5 < calibration.estimate(0.8) < 0.55
    assert calibration.estimate(0.8) == pytest.approx((50 + PRIOR * 0.8) / (100 + PRIOR))
    assert calibration.estimate(0.3) == pytest.approx(0.3)


@given(st.lists(SHARES, min_size=2, max_size=2).map(sorted), st.floats(0.5, 1e4), st.floats(0.5, 1e4))
def test_more_evidence_and_a_higher_share_give_a_higher_bound(
    shares: list[float], evidence: float, more: float
) -> None:
    calibration = Calibration(Ledger())
    low, high = (calibration.lower_bound(share, evidence) for share in shares)
    assert low <= high + 1e-9
    assert low <= calibration.lower_bound(shares[0], evidence + more) + 1e-9


def test_the_ends_are_kept_in_few_bins() -> None:
    ledger = Ledger()
    calibration = Calibration(ledger)
    for number in range(1001):
        calibration.learn(number / 1000, right=False)
    calibration.learn(1.5, right=False)
    assert {key for (_, key), _ in ledger.groups()} == set(range(-EDGE, EDGE + 1))
