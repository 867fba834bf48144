"""Two tenants whose sessions have equal names, ids and calls: neither ever gets, sees or causes anything of the
other's, but for writes, which are real: they void what both have read ahead."""

from functools import partial
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.config import TenantConfig
from paste_proxy.predict.model import Call, History
from tests.broker.cast import CONFIG, SPECS, Agent
from tests.broker.test_lossless import calls, guesses, tasks
from tests.broker.world import Simulation, play_agents

Script = list[list[tuple[str, int]]]
TENANTS = ("red", "blue")


def _guess(
    scripts: dict[str, Script], wild: list[tuple[str, int]], seen: set[str], history: History
) -> list[Call]:
    """Whatever either is going to ask for; `seen` are tenants and ids of the sessions that it is told of."""
    seen.add(f"{history.tenant} {history.session}")
    near = [call for script in scripts.values() for turn in script for call in turn][len(history.calls) :][:4]
    return [Call(tool, {"k": k}) for tool, k in [*near, *wild]]


def _both(
    scripts: dict[str, Script], wild: list[tuple[str, int]], random: Random, *, in_text: bool, named: bool
) -> tuple[dict[str, Agent], Simulation]:
    agents = {
        f"{tenant}.{at}": Agent(f"{tenant}.{at}", script, in_text, tenant, f"s{at}" if named else "")
        for tenant in TENANTS
        for at, script in enumerate(scripts.values())
    }
    told: set[str] = set()
    agents, simulation = play_agents(
        agents, random, partial(_guess, scripts, wild, told), impatient=0.2, failing=0.2, foresight=0.5
    )
    states = simulation.core.turns.sessions
    assert {(states[id_].tenant) for id_ in states} == set(TENANTS)
    assert told <= {f"{state.tenant} {state.id}" for state in states.values()}
    return agents, simulation


def _check_apart(agents: dict[str, Agent], simulation: Simulation) -> None:
    states = simulation.core.turns.sessions
    for seen in simulation.seen:
        context, agent = simulation.contexts[seen.run], agents[seen.agent]
        assert context.tenant == agent.tenant, seen
        if context.session:
            assert states[context.session].tenant == agent.tenant
            assert states[context.session].name == agent.session
    runs = [seen.run for seen in simulation.seen]
    assert len(runs) == len(set(runs)), "a result was claimed twice"


def _check_told(agents: dict[str, Agent], simulation: Simulation) -> None:
    """The tools of this world say for whom they ran: what agents got, and sessions hold, is their tenant's."""
    for agent in agents.values():
        assert not any(line.endswith(f" for {_other(agent.tenant)}") for line in agent.transcript)
    for state in simulation.core.turns.sessions.values():
        state.history.read()
        held = repr((state.history.history.calls, state.history.history.said, state.notes, state.predictions))
        assert f" for {_other(state.tenant)}" not in held


def _other(tenant: str) -> str:
    return TENANTS[1 - TENANTS.index(tenant)]


@settings(max_examples=150, deadline=None)
@given(
    script=tasks,
    other=tasks,
    wild=guesses,
    seed=st.integers(0, 2**32),
    in_text=st.booleans(),
    named=st.booleans(),
)
def test_tenants_with_equal_names_and_calls_never_meet(
    script: Script, other: Script, wild: list[tuple[str, int]], seed: int, *, in_text: bool, named: bool
) -> None:
    agents, simulation = _both({"s": script, "t": other}, wild, Random(seed), in_text=in_text, named=named)
    _check_apart(agents, simulation)
    _check_told(agents, simulation)


@pytest.mark.parametrize("block", range(2))
def test_a_thousand_interleavings_of_equal_tasks(block: int) -> None:
    task: Script = [[("read_a", 1)], [("read_b", 1), ("read_all", 1)], [("write_a", 1)], [("read_a", 1)]]
    outcomes: set[str] = set()
    for seed in range(500 * block, 500 * block + 500):
        agents, simulation = _both({"s": task}, [], Random(seed), in_text=seed % 3 == 0, named=seed % 2 == 0)
        _check_apart(agents, simulation)
        outcomes |= {seen.outcome for seen in simulation.seen}
    assert outcomes == {"reused", "joined", "promoted", "executed"}, "else nothing ran ahead to be mixed up"


@settings(max_examples=50, deadline=None)
@given(
    script=st.lists(st.lists(calls, min_size=1, max_size=4), min_size=1, max_size=4), seed=st.integers(0, 2**32)
)
def test_nothing_runs_ahead_for_a_tenant_that_has_not_the_tool(script: Script, seed: int) -> None:
    """Blue has no tool that reads `b`: those of that name, if its agent has them, are its own."""
    readers = ("read_b", "read_all")
    own = tuple(tool for tool in SPECS if tool not in readers)
    tenants = {"red": TenantConfig(), "blue": TenantConfig(tools=own)}
    config = msgspec.structs.replace(CONFIG, tenants=tenants)
    mild = [[(tool, k) for tool, k in turn if tool not in readers] for turn in script]
    agents = {
        tenant: Agent(tenant, turns, tenant=tenant, session="s")
        for tenant, turns in (("red", script), ("blue", [turn for turn in mild if turn] or [[("read_a", 0)]]))
    }
    guess = partial(_guess, {"s": script}, [("read_b", 0), ("read_all", 1)], set())
    _, simulation = play_agents(agents, Random(seed), guess, config=config)
    ahead = {(context.tenant, simulation.tools[run]) for run, context in simulation.contexts.items()}
    assert not ahead & {("blue", tool) for tool in readers}
