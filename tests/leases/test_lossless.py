"""Promise 2, lossless, with tools that stay in the agents' processes, whatever is guessed or lost."""

from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.broker.cast import CONFIG
from tests.broker.test_lossless import _check_could_have_been, _guesser, guesses, tasks
from tests.leases.world import LeasedSimulation, play_leased

OFF = msgspec.structs.replace(CONFIG, speculation=msgspec.structs.replace(CONFIG.speculation, mode="off"))


@settings(max_examples=100, deadline=None)
@given(
    task=tasks,
    wild=guesses,
    seed=st.integers(0, 2**32),
    failing=st.sampled_from([0.0, 0.3]),
    losing=st.sampled_from([0.0, 0.5]),
    in_text=st.booleans(),
)
def test_a_session_s_transcript_and_world_are_those_of_the_serial_run(
    task: list[list[tuple[str, int]]],
    wild: list[tuple[str, int]],
    seed: int,
    failing: float,
    losing: float,
    in_text: bool,
) -> None:
    serial, world = play_leased({"s": task}, Random(seed), lambda history: [], config=OFF)
    ahead, other = play_leased(
        {"s": task},
        Random(seed + 1),
        _guesser(task, wild, Random(seed)),
        failing=failing,
        losing=losing,
        in_text=in_text,
    )
    assert ahead["s"].transcript == serial["s"].transcript
    assert other.world.values == world.world.values
    _check_nothing_is_left(other)


@settings(max_examples=100, deadline=None)
@given(
    scripts=st.lists(tasks, min_size=2, max_size=4),
    wild=guesses,
    seed=st.integers(0, 2**32),
    losing=st.sampled_from([0.0, 0.5]),
    in_text=st.booleans(),
)
def test_sessions_that_share_a_world_get_results_that_their_own_calls_could_have_given(
    scripts: list[list[list[tuple[str, int]]]],
    wild: list[tuple[str, int]],
    seed: int,
    losing: float,
    in_text: bool,
) -> None:
    everything = [turn for script in scripts for turn in script]
    named = {f"s{number}": script for number, script in enumerate(scripts)}
    guess = _guesser(everything, wild, Random(seed))
    agents, simulation = play_leased(named, Random(seed), guess, failing=0.2, losing=losing, in_text=in_text)
    for name, script in named.items():
        assert len(agents[name].transcript) == sum(len(turn) for turn in script)
    for seen in simulation.seen:
        _check_could_have_been(seen, simulation)
    runs = [seen.run for seen in simulation.seen]
    assert len(runs) == len(set(runs)), "a result was given out twice"
    _check_nothing_is_left(simulation)


def _check_nothing_is_left(simulation: LeasedSimulation) -> None:
    """Calls without an answer, runs that nobody follows, writes that never end."""
    assert len(simulation.claims) == 0
    assert simulation.leases == {}
    for process in simulation.processes.values():
        assert process.machine.waiting == 0


def test_the_simulation_does_use_what_ran_ahead() -> None:
    """Else the properties above would hold of a broker that never leases."""
    task = [[("read_a", 1)], [("read_b", 1), ("read_all", 1)], [("write_a", 1)], [("read_a", 1)]] * 3
    hits: set[str] = set()
    for seed in range(30):
        _, simulation = play_leased(
            {"s": task, "t": task}, Random(seed), _guesser(task, [], Random(seed)), losing=0.1
        )
        hits |= {kind for kind, count in simulation.core.broker.ledger.hits.items() if count}
        assert any(seen.outcome == "kept" for seen in simulation.seen)
    assert hits >= {"reused", "joined", "promoted", "executed"}


def test_hits_of_the_ledger_are_those_that_callers_were_given() -> None:
    """As long as no connection is lost: what a client has no time to refuse is counted as given."""
    task = [[("read_a", 1)], [("read_b", 1), ("read_all", 1)], [("write_a", 1)], [("read_a", 1)]] * 3
    for seed in range(30):
        _, simulation = play_leased({"s": task}, Random(seed), _guesser(task, [], Random(seed)))
        ledger = simulation.core.broker.ledger
        given = sum(seen.outcome == "kept" for seen in simulation.seen)
        assert ledger.used + ledger.served_by("decided") == given
