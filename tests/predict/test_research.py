"""What the predictor makes of the research workload: search, open some results, search again."""

import functools
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from paste_proxy.predict.ledger import Ledger
from paste_proxy.predict.model import Call, History
from paste_proxy.predict.predictor import PatternPredictor
from paste_proxy.predict.signatures import finished_call
from tests.predict import research
from tests.predict.research import Gate, Tally, replay, train

WORKLOAD = Path(__file__).resolve().parents[2] / "../shared/workloads/research.yaml"
TRAINING, TESTING = range(1000, 1064), range(5000, 5032)
DEFAULT = Gate(candidates=3, min_probability=0.025)


@functools.cache
def trained() -> PatternPredictor:
    predictor = PatternPredictor(Ledger())
    train(predictor, TRAINING)
    return predictor


@functools.cache
def tally(gate: Gate) -> Tally:
    return replay(trained(), TESTING, gate)


def test_opens_are_predicted_as_well_as_can_be_known() -> None:
    """The workload's own limits for any predictor that knows the ranks: about 0.50 and 0.69 of the opens."""
    found = tally(Gate(candidates=3))
    assert found.opens > 200
    assert found.hits_at_1 >= 0.97 * found.possible_at_1
    assert found.hits_at_3 >= 0.97 * found.possible_at_3
    assert found.hits_at_1 / found.opens > 0.45
    assert found.hits_at_3 / found.opens > 0.62


def test_the_default_gate_saves_a_fifth_at_less_than_two_unused_per_used() -> None:
    found = tally(DEFAULT)
    assert found.ratio <= 0.80
    assert found.unused_per_used <= 2.0
    assert found.slower == 0


def test_a_stricter_gate_wastes_less_and_saves_less() -> None:
    gates = [Gate(3, 0.0), DEFAULT, Gate(3, 0.05), Gate(3, 0.2)]
    found = [tally(gate) for gate in gates]
    assert [f.started for f in found] == sorted((f.started for f in found), reverse=True)
    assert [f.ratio for f in found] == sorted(f.ratio for f in found)


def test_a_gate_above_every_probability_starts_nothing() -> None:
    found = tally(Gate(3, 1.0))
    assert found.started == 0
    assert found.ratio == 1


def test_an_untrained_predictor_learns_as_it_goes() -> None:
    """Online: no sessions before those measured; the second half of them already saves most."""
    predictor = PatternPredictor(Ledger())
    first = replay(predictor, range(7000, 7016), DEFAULT, learning=True)
    second = replay(predictor, range(7016, 7048), DEFAULT, learning=True)
    assert second.ratio < 0.84
    assert second.ratio < first.ratio < 1


def test_the_numbers_are_those_of_the_shared_workload() -> None:
    if not WORKLOAD.exists():
        pytest.skip(f"{WORKLOAD} is not there: nothing to compare the numbers with")
    shared = yaml.safe_load(WORKLOAD.read_text(encoding="utf-8"))
    assert shared["open_rank_cumulative"] == research.RANKS
    assert (shared["skip_opening_after_search"], shared["open_again"], shared["candidates_per_search"]) == (
        research.SKIP_OPENING,
        research.OPEN_AGAIN,
        research.RESULTS,
    )
    assert _p50_p90(shared["tokens"]["turn_output"]) == research.TURN_TOKENS
    assert _p50_p90(shared["tokens"]["final_answer"]) == research.ANSWER_TOKENS
    assert {tool: _p50_p90(times) for tool, times in shared["tool_seconds"].items()} == research.SERVICE


def _p50_p90(numbers: dict[str, Any]) -> tuple[float, float]:
    return numbers["p50"], numbers["p90"]


def test_long_sessions_cost_little() -> None:
    """The aim is 1 ms for 99 of 100; asserted on the thread's own time, with room for slower machines."""
    predictor, history, spent = trained(), History(calls=[], session="long"), []
    for number in range(200):
        step = (
            Call("search", {"query": f"q{number}"}) if number % 5 == 0 else Call("open", {"name": f"r{number}"})
        )
        began = time.thread_time()
        predictor.predict(history, ["search", "open"], 3)
        predictor.learn(history, [step])
        spent.append(time.thread_time() - began)
        text = str([{"name": f"r{number + place}", "summary": "s"} for place in range(1, 11)]).replace("'", '"')
        history.calls.append(finished_call(step.tool, step.arguments, text))
    assert sorted(spent)[-3] < 0.01
