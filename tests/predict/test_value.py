"""What a candidate is worth: the formula, and what is learnt for it."""

import math
import random

import pytest

from paste_proxy.predict.value import (
    BINS,
    HORIZON,
    KEPT,
    LEAD_PRIOR,
    MIDDLES,
    OVERHEAD_S,
    SERVICE_PRIOR,
    Durations,
    ValueModel,
    latest,
    price_at,
)

APP = b"app"


def learnt(service: float, lead: float, tool: str = "t") -> ValueModel:
    model = ValueModel()
    for _ in range(200):
        model.served(tool, service)
        model.sealed(APP, tool, lead)
    return model


@pytest.mark.parametrize(("service", "lead"), [(1.0, 8.0), (8.0, 1.0), (2.0, 2.0)])
def test_a_sure_candidate_is_worth_the_lesser_of_service_and_lead(service: float, lead: float) -> None:
    value = learnt(service, lead).value(APP, "t", 1.0, 0.0, 0.02)
    assert value == pytest.approx(min(service, lead), rel=0.25)


def test_a_wrong_candidate_costs_its_price() -> None:
    value = learnt(2.0, 8.0).value(APP, "t", 0.0, 0.0, 0.25)
    assert value == pytest.approx(-0.5 - OVERHEAD_S, rel=0.25)


def test_a_fast_tool_is_worth_nothing_however_sure() -> None:
    assert learnt(0.0005, 8.0).value(APP, "t", 1.0, 0.0, 0.02) < 0
    assert learnt(0.005, 8.0).value(APP, "t", 0.3, 0.0, 0.02) < 0
    assert learnt(0.5, 8.0).value(APP, "t", 0.3, 0.0, 0.02) > 0


def test_a_turn_that_is_nearly_over_leaves_little_to_save() -> None:
    model = learnt(5.0, 10.0)
    values = [model.value(APP, "t", 0.5, elapsed, 0.02) for elapsed in (0.0, 4.0, 8.0, 1e9)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0


def test_a_start_is_in_time_while_hardly_any_turn_is_over() -> None:
    model = learnt(5.0, 10.0)
    assert latest(model.left(APP, "t", 0.0)) == pytest.approx(10.0, rel=0.3)
    assert latest(model.left(APP, "t", 1e9)) == 0.0


def test_an_application_has_times_of_its_own_and_begins_with_those_of_the_tool() -> None:
    model = learnt(100.0, 4.0)
    known = model.value(b"new", "t", 1.0, 0.0, 0.02)
    assert known == pytest.approx(4.0, rel=0.3)
    for _ in range(50):
        model.sealed(b"new", "t", 60.0)
    assert model.value(b"new", "t", 1.0, 0.0, 0.02) > 2 * model.value(APP, "t", 1.0, 0.0, 0.02)


def test_how_long_a_call_is_written_is_learnt_apart() -> None:
    model = learnt(5.0, 30.0)
    for _ in range(20):
        model.sealed(APP, "t", 0.2, named=True)
    assert model.value(APP, "t", 1.0, 0.0, 0.02, named=True) == pytest.approx(0.2, rel=0.3)
    assert model.value(APP, "t", 1.0, 0.0, 0.02) == pytest.approx(5.0, rel=0.3)
    assert latest(model.left(APP, "t", 0.0, named=True)) < 0.3


def test_a_change_shows_within_some_dozen_calls() -> None:
    model = learnt(0.5, 60.0)
    for _ in range(60):
        model.served("t", 8.0)
    assert model.value(APP, "t", 1.0, 0.0, 0.02) > 4.0


def test_an_unknown_tool_is_tried_where_it_is_likely_and_not_where_it_is_not() -> None:
    model = ValueModel()
    assert model.value(APP, "t", 0.5, 0.0, price_at(0.0)) > 0
    assert model.value(APP, "t", 0.01, 0.0, price_at(0.0)) < 0


def test_the_price_rises_with_pressure_until_nothing_is_worth_it() -> None:
    prices = [price_at(pressure) for pressure in (0.0, 0.4, 0.6, 0.9, 1.0, 1.1)]
    assert prices == sorted(prices)
    assert prices[0] == 0.02
    assert prices[-2:] == [math.inf, math.inf]
    assert learnt(1.0, 1.0).value(APP, "t", 0.99, 0.0, math.inf) == -math.inf


def test_the_mean_of_the_lesser_is_that_of_the_samples() -> None:
    rng = random.Random(3)
    times = Durations(SERVICE_PRIOR)
    samples = [rng.lognormvariate(0.0, 1.0) for _ in range(60)]
    for sample in samples:
        times.add(sample)
    for limit in (0.3, 1.0, 5.0):
        true = sum(min(sample, limit) for sample in samples) / len(samples)
        assert times.at_most(limit) == pytest.approx(true, rel=0.15)
    assert times.mean >= times.at_most(5.0) - 1e-9
    assert times.at_most(5.0) > times.at_most(1.0)
    assert times.at_most(-1.0) == 0.0


def test_any_number_is_a_time() -> None:
    times = Durations(LEAD_PRIOR)
    for seconds in (-1.0, 0.0, 1e-9, 1e12, math.inf, math.nan):
        times.add(seconds)
    assert sum(times.shares()) == pytest.approx(1.0)
    assert len(MIDDLES) == BINS


def test_all_is_bounded() -> None:
    model = ValueModel()
    for number in range(KEPT + 9):
        model.served(f"t{number}", 1.0)
        model.sealed(number, "t", 1.0)
    assert len(model._service) == len(model._lead_there) == KEPT
    assert len(model._lead) == 1
    times = Durations(LEAD_PRIOR)
    for _ in range(10_000):
        times.add(1.0)
    assert times._total <= HORIZON + 1


def test_a_certain_or_impossible_probability_is_all_that_a_predictor_can_say() -> None:
    model = learnt(1.0, 1.0)
    assert model.value(APP, "t", 9.0, 0.0, 0.02) == model.value(APP, "t", 1.0, 0.0, 0.02)
    assert model.value(APP, "t", -9.0, 0.0, 0.02) == model.value(APP, "t", 0.0, 0.0, 0.02)
