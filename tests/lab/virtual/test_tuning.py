"""The search behind E*: it finds what trying everything finds, with fewer and shorter runs."""

import itertools
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.lab.engine.presets import load_engine
from paste_proxy.lab.engine.spec import PolicyName
from paste_proxy.lab.virtual.experiment import Cell, Plan, run_cell
from paste_proxy.lab.virtual.research import Research
from paste_proxy.lab.virtual.tuning import ENGINE_POLICIES, GATES, gates_below, tuned

TIGHT = msgspec.structs.replace(load_engine("research"), kv_tokens=60_000)


class Tried(msgspec.Struct, frozen=True):
    gate: int
    policy: PolicyName
    mean_s: float


class Attempts:
    """Means by a formula; `stops` as runs do that can't be the best any more."""

    def __init__(self, mean: Callable[[int, PolicyName], float], *, stops: bool) -> None:
        self.tried: list[tuple[int, PolicyName]] = []
        self._mean = mean
        self._stops = stops

    def __call__(self, gate: int, policy: PolicyName, limit_s: float) -> Tried | None:
        assert (gate, policy) not in self.tried
        self.tried.append((gate, policy))
        mean = self._mean(gate, policy)
        return None if self._stops and mean > limit_s else Tried(gate, policy, mean)


@given(
    load=st.integers(1, 200),
    best=st.integers(0, len(GATES)),
    gains=st.fixed_dictionaries({policy: st.floats(-0.2, 0.2) for policy in ENGINE_POLICIES}),
    stops=st.booleans(),
)
def test_in_a_valley_it_finds_the_bottom(
    load: int, best: int, gains: dict[PolicyName, float], stops: bool
) -> None:
    gates = gates_below(load)

    def mean(gate: int, policy: PolicyName) -> float:
        return 10 + abs(gates.index(gate) - best) + (gains[policy] if policy != "fcfs" else 0)

    attempts = Attempts(mean, stops=stops)
    found = tuned(gates, attempts)
    everything = itertools.product(gates, ENGINE_POLICIES)
    assert found.mean_s == pytest.approx(min(mean(*one) for one in everything))
    assert len(attempts.tried) <= 6 + 2 * 3


def test_gates_are_below_the_load_and_the_widest_is_none() -> None:
    assert gates_below(8) == (6, 0)
    assert gates_below(17) == (6, 8, 10, 12, 16, 0)
    assert gates_below(1000) == (*GATES, 0)


def test_a_run_is_given_up_exactly_if_its_mean_is_above_the_limit() -> None:
    plan = Plan(TIGHT, 4)
    whole = Cell(Research(), plan, "E*", 10, engine_policy="fcfs").run()
    assert Cell(Research(), plan, "E*", 10, engine_policy="fcfs").run_below(0.99 * whole.mean_s) is None
    again = Cell(Research(), plan, "E*", 10, engine_policy="fcfs").run_below(1.01 * whole.mean_s)
    assert again is not None
    assert again.mean_s == whole.mean_s


def test_what_is_given_up_costs_less() -> None:
    cell = Cell(Research(), Plan(TIGHT, 4), "E*", 10, engine_policy="fcfs")
    whole = Cell(Research(), Plan(TIGHT, 4), "E*", 10, engine_policy="fcfs").run()
    assert cell.run_below(0.5 * whole.mean_s) is None
    assert cell.site.time.now < 0.9 * whole.virtual_s


def test_it_is_the_best_of_all_of_them() -> None:
    plan = Plan(TIGHT, 4)
    gates = (8, 0)
    all_of_them = [
        Cell(Research(), plan, "E*", 10, gate=gate, engine_policy=policy).run()
        for gate, policy in itertools.product(gates, ENGINE_POLICIES)
    ]
    assert run_cell(Research(), plan, "E*", 10).mean_s == min(run.mean_s for run in all_of_them)
