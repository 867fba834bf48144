"""The project's own copy of the research workload, and its draws."""

import statistics
from pathlib import Path

import msgspec
import pytest
import yaml

from paste_proxy.lab.workload import Draws, LogNormal, Workload, load_workload

SHARED = Path(__file__).resolve().parents[2] / "../shared/workloads/research.yaml"


@pytest.fixture(scope="module")
def workload() -> Workload:
    return load_workload()


def test_the_copy_has_the_numbers_of_the_original(workload: Workload) -> None:
    if not SHARED.exists():
        pytest.skip(f"{SHARED} is not there: nothing to compare the copy with")
    original = msgspec.convert(yaml.safe_load(SHARED.read_text(encoding="utf-8")), Workload)
    assert workload == original


def test_a_log_normal_meets_its_two_points() -> None:
    distribution = LogNormal(p50=4.0, p90=9.0)
    assert distribution.quantile(0.5) == pytest.approx(4.0)
    assert distribution.quantile(0.9) == pytest.approx(9.0)


def test_searches_stay_between_base_and_the_cap(workload: Workload) -> None:
    drawn = [workload.searches.quantile(u / 1000) for u in range(1000)]
    assert (min(drawn), max(drawn)) == (1, 9)
    assert drawn == sorted(drawn)


def test_ranks_follow_the_cumulative_table(workload: Workload) -> None:
    ranks = [workload.rank((u + 0.5) / 10_000) for u in range(10_000)]
    for last, share in workload.open_rank_cumulative.items():
        assert sum(rank is not None and rank <= last for rank in ranks) == round(share * 10_000)
    assert ranks.count(4) == pytest.approx(ranks.count(5), abs=1)
    assert {ranks.count(rank) for rank in range(6, 11)} == {80}


def test_a_draw_depends_on_its_name_alone() -> None:
    draws = Draws("7")
    first = [draws.uniform(step, "rank") for step in range(5)]
    assert [draws.uniform(step, "rank") for step in reversed(range(5))] == first[::-1]
    assert len({*first, draws.uniform(0, "again"), Draws("8").uniform(0, "rank")}) == 7


def test_tasks_have_seeds_of_their_own(workload: Workload) -> None:
    assert workload.draws(3).seed == str(workload.seed + 3)


def test_draws_are_uniform() -> None:
    drawn = [Draws(str(seed)).uniform("x") for seed in range(2000)]
    assert statistics.mean(drawn) == pytest.approx(0.5, abs=0.02)
    assert statistics.pstdev(drawn) == pytest.approx(12**-0.5, abs=0.02)


def test_decoding_slows_down_with_the_batch(workload: Workload) -> None:
    assert workload.engine.token_seconds(1) == pytest.approx(1 / 113.7)
    assert workload.engine.token_seconds(11) == pytest.approx(1.18 / 113.7)
