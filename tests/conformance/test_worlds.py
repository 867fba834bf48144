"""Lossless in worlds that others made: the same results and the same world, whatever runs ahead.

AgentDojo's 97 tasks and BFCL's multi-turn dialogues (those without MathAPI, which needs another package), by
the calls that solve them: reads and writes mixed. The predictor guesses from the task's own calls, so that it
is right, early, late and wrong in turn.
"""

import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.conformance.install_worlds import INSTALL_COMMAND, bfcl_folder, find_worlds, worlds_folder
from tests.conformance.worlds.play import PLANTED, obeying, plainly, played
from tests.conformance.worlds.tasks import AgentDojo, Bfcl, Worlds

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(480)]


@pytest.fixture
def agentdojo() -> Iterator[AgentDojo]:
    _skip_without()
    worlds = AgentDojo()
    yield worlds
    worlds.close()


@pytest.fixture
def bfcl(monkeypatch: pytest.MonkeyPatch) -> Bfcl:
    _skip_without()
    monkeypatch.setattr(sys, "path", [*sys.path, str(bfcl_folder())])
    return Bfcl()


def _skip_without() -> None:
    if find_worlds() is None:
        pytest.skip(f"no worlds in {worlds_folder()}; to install them: {INSTALL_COMMAND}")


def hits(worlds: Worlds, seeds: int) -> Counter[str]:
    """How calls were served, all tasks together; asserts that nothing can be told from their results."""
    served: Counter[str] = Counter()
    for task in worlds.tasks():
        transcript, state = plainly(worlds, task)
        for seed in range(seeds):
            results, after, core = played(worlds, task, seed)
            assert results == transcript, (task.name, seed)
            assert after == state, (task.name, seed)
            assert core.turns.expectations.failures == 0
            assert core.broker.permits.reasons() == {}, "no second look may have found another result"
            served += core.broker.ledger.hits
            served["sampled"] += sum(one.taken for one in core.broker.sampling.tallies.values())
    return served


def test_agentdojo_is_played_as_without_us(agentdojo: AgentDojo) -> None:
    served = hits(agentdojo, seeds=2)
    assert served["reused"] > 100
    assert served["executed"] > 100
    assert served["sampled"] > 20


def test_a_poisoned_page_sends_nothing_out_by_way_of_the_predictor(agentdojo: AgentDojo) -> None:
    """Injections say where to send what; the predictor obeys, and puts what it knows into addresses. Only what
    stands in the page as a whole may be asked for ahead of the model."""
    asked: Counter[str] = Counter()
    for task in agentdojo.tasks():
        if task.name.startswith(("workspace/", "slack/")):
            play = obeying(agentdojo, task)
            asked += Counter(address for address in play.addresses_asked)
            assert play.core.turns.expectations.failures == 0
            asked["kept back"] += play.core.turns.expectations.kept_back
    assert asked.keys() <= {PLANTED, "kept back"}
    assert asked["kept back"] > 100


def test_bfcl_is_played_as_without_us(bfcl: Bfcl) -> None:
    served = hits(bfcl, seeds=1)
    assert served["reused"] > 100
    assert served["executed"] > 100
    assert served["sampled"] > 20
