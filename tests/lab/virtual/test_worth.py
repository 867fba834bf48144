"""Runs ahead weighed by the memory that their sessions hold, as `python -m benchmarks.worth` compares it."""

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.worth import Holding, Weighed, measure, research
from paste_proxy.core import Core
from paste_proxy.lab.engine.presets import load_engine
from paste_proxy.lab.virtual.experiment import Plan, run_cell
from paste_proxy.pacing import Prefix
from paste_proxy.predict.value import ValueModel
from paste_proxy.schedule.lanes import Facts

SHARES = st.floats(0, 1)
TIMES = st.floats(0, 100)
PRICES = st.floats(0, 1)
PLAN = Plan(load_engine("research"), 3, rehearsals=5)


def worth(probability: float, held: float, left_s: float, price: float) -> float:
    model = Weighed(lambda: held)
    for seconds in (0.3, 2.0, 9.0):
        model.served("open", seconds)
    return model.worth("open", probability, [(left_s, 1.0)], price)


@given(SHARES, SHARES, TIMES, TIMES, st.floats(0, 10), st.floats(0, 10), PRICES)
def test_it_grows_with_chance_time_and_memory(
    less: float, more: float, short_s: float, long_s: float, small: float, large: float, price: float
) -> None:
    (less, more), (short_s, long_s), (small, large) = map(
        sorted, ((less, more), (short_s, long_s), (small, large))
    )
    least = worth(less, small, short_s, price)
    assert worth(more, small, short_s, price) >= least - 1e-9
    assert worth(less, small, long_s, price) >= least - 1e-9
    assert worth(less, large, short_s, price) >= least - 1e-9


@given(SHARES, TIMES, PRICES)
def test_where_all_hold_alike_it_is_plain_seconds(probability: float, left_s: float, price: float) -> None:
    plain = ValueModel()
    for seconds in (0.3, 2.0, 9.0):
        plain.served("open", seconds)
    seconds = plain.worth("open", probability, [(left_s, 1.0)], price)
    assert worth(probability, 1.0, left_s, price) == seconds


def test_in_seconds_it_is_the_cell_of_the_lab() -> None:
    ours, labs = measure(PLAN, 2, 1.0, "seconds"), run_cell(research(1.0), PLAN, "F", 2)
    assert ours["mean_task_s"] == pytest.approx(labs.mean_s, abs=1e-4)
    assert ours["used"] == labs.hits["reused"] + labs.hits["joined"] > 0


class Memory:
    """Of an engine in which one session holds all, as the core's account says it."""

    def __init__(self) -> None:
        self.pacing = self
        self.thrash = 0.0

    def facts_of(self, _backend: str) -> Facts:
        return Facts(0, 0, leased=1, leased_tokens=1000, thrash=self.thrash)

    def prefix(self, _session: str, _backend: str) -> Prefix:
        return Prefix(tokens=500, gone=0, read_s=0.0, away_s=0.0)


def test_thrash_is_what_it_was_when_it_was_measured() -> None:
    memory, holding, weights = Memory(), Holding("thrash"), []
    holding.core = cast(Core, memory)
    for memory.thrash in (0.09, 0.11, 0.05, 0.02, 0.09):
        weights.append(holding.weight())
    assert weights == [1.0, 0.5, 0.5, 1.0, 1.0]


def test_what_is_weighed_is_told() -> None:
    shares = {way: measure(PLAN, 2, 0.05, way)["weighed"] for way in ("seconds", "thrash", "always")}
    assert shares["seconds"] == shares["thrash"] == 0  # nothing is short here
    assert shares["always"] > 0.5
