"""Promise 2, lossless, against a hostile predictor: whatever it guesses, nobody can tell from the results."""

from collections import Counter
from collections.abc import Callable
from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.model import Call, History
from tests.broker.cast import CLIENT_TOOLS, CONFIG, SPECS, Seen, scopes_of
from tests.broker.world import Simulation, play

OFF = msgspec.structs.replace(CONFIG, speculation=msgspec.structs.replace(CONFIG.speculation, mode="off"))

TOOLS = (*SPECS, *CLIENT_TOOLS)
calls = st.tuples(st.sampled_from(TOOLS), st.integers(0, 2))
tasks = st.lists(st.lists(calls, min_size=1, max_size=4), min_size=1, max_size=6)
guesses = st.lists(calls, max_size=4)


def _guesser(
    task: list[list[tuple[str, int]]], wild: list[tuple[str, int]], random: Random
) -> Callable[[History], list[Call]]:
    """Guesses from the task's own calls, near where the session is, and some that never come."""
    flat = [call for turn in task for call in turn]

    def guess(history: History) -> list[Call]:
        near = flat[len(history.calls) : len(history.calls) + 4] + wild
        random.shuffle(near)
        return [Call(tool, {"k": k}) for tool, k in near]

    return guess


@settings(max_examples=150, deadline=None)
@given(
    task=tasks,
    wild=guesses,
    seed=st.integers(0, 2**32),
    failing=st.sampled_from([0.0, 0.3]),
    foresight=st.sampled_from([0.0, 0.7]),
    in_text=st.booleans(),
)
def test_a_session_s_transcript_and_world_are_those_of_the_serial_run(
    task: list[list[tuple[str, int]]],
    wild: list[tuple[str, int]],
    seed: int,
    failing: float,
    foresight: float,
    in_text: bool,
) -> None:
    serial, world = play({"s": task}, Random(seed), lambda history: [], config=OFF)
    guess = _guesser(task, wild, Random(seed))
    ahead, other = play(
        {"s": task}, Random(seed + 1), guess, failing=failing, foresight=foresight, in_text=in_text
    )
    assert ahead["s"].transcript == serial["s"].transcript
    assert other.world.values == world.world.values


@settings(max_examples=150, deadline=None)
@given(
    scripts=st.lists(tasks, min_size=2, max_size=4),
    wild=guesses,
    seed=st.integers(0, 2**32),
    impatient=st.sampled_from([0.0, 0.3]),
    foresight=st.sampled_from([0.0, 0.7]),
    perishable=st.sampled_from([0.0, 1.0]),
    in_text=st.booleans(),
)
def test_sessions_that_share_a_world_get_results_that_their_own_calls_could_have_given(
    scripts: list[list[list[tuple[str, int]]]],
    wild: list[tuple[str, int]],
    seed: int,
    impatient: float,
    foresight: float,
    perishable: float,
    in_text: bool,
) -> None:
    everything = [turn for script in scripts for turn in script]
    named = {f"s{number}": script for number, script in enumerate(scripts)}
    guess = _guesser(everything, wild, Random(seed))
    agents, simulation = play(
        named,
        Random(seed),
        guess,
        impatient=impatient,
        failing=0.2,
        foresight=foresight,
        perishable=perishable,
        in_text=in_text,
    )
    for name, script in named.items():
        assert len(agents[name].transcript) == sum(len(turn) for turn in script)
    for seen in simulation.seen:
        _check_could_have_been(seen, simulation)
    runs = [seen.run for seen in simulation.seen]
    assert len(runs) == len(set(runs)), "a result was claimed twice"


@settings(max_examples=100, deadline=None)
@given(task=tasks, seed=st.integers(0, 2**32), failing=st.sampled_from([0.0, 0.3]))
def test_what_only_prepares_a_call_is_never_its_result(
    task: list[list[tuple[str, int]]], seed: int, failing: float
) -> None:
    prepared = [[("write_warm_a", 0), ("write_dry_b", 1)], *task, [("write_dry_b", 0)], [("write_warm_a", 1)]]
    agents, simulation = play(
        {"s": prepared, "t": prepared}, Random(seed), _guesser(prepared, [], Random(seed)), failing=failing
    )
    assert all("would be done" not in line for agent in agents.values() for line in agent.transcript)
    assert {seen.outcome for seen in simulation.seen if SPECS[seen.tool].effect.prepares} <= {
        "executed",
        "warmed",
    }


def _check_could_have_been(seen: Seen, simulation: Simulation) -> None:
    """DESIGN, promise 2: an instant within max_age of the confirmation, no conflicting write after it."""
    if not seen.tool.startswith("read"):
        return
    assert seen.looked >= seen.issued - SPECS[seen.tool].max_age
    assert seen.max_age is None or seen.looked >= seen.issued - seen.max_age
    scopes = {*scopes_of(seen.tool), simulation.agents[seen.agent].own}
    for begun, ended, written in simulation.world.writes:
        conflicting = scopes & written and begun < seen.issued and ended > seen.looked
        assert not conflicting or seen.looked >= seen.issued, (seen, begun, ended)


def test_the_simulation_does_use_what_ran_ahead() -> None:
    """Else the properties above would hold of a broker that never speculates."""
    task = [[("read_a", 1)], [("read_b", 1), ("read_all", 1)], [("write_a", 1)], [("read_a", 1)]] * 3
    task += [[("write_warm_a", 1)], [("read_a", 2), ("write_dry_b", 1)]] * 2
    outcomes: set[str] = set()
    chained: Counter[str] = Counter()
    for seed in range(30):
        _, simulation = play(
            {"s": task, "t": task}, Random(seed), _guesser(task, [], Random(seed)), in_text=seed % 2 == 1
        )
        outcomes |= {seen.outcome for seen in simulation.seen}
        chained += simulation.core.broker.ledger.chained
    assert outcomes == {"reused", "joined", "promoted", "executed", "warmed"}
    assert chained["claimed"] > 5
