"""Several workloads at once."""

from collections import Counter
from pathlib import Path

import pytest

from paste_proxy.errors import ConfigError
from paste_proxy.lab.engine.presets import load_presets
from paste_proxy.lab.virtual.experiment import FILLERS, Plan, run_cell
from paste_proxy.lab.virtual.mixed import Mixed
from paste_proxy.lab.virtual.research import Research
from tests.lab.virtual.service import workload


def mixed(folder: Path, research: float = 3, service: float = 1, seed: int = 0) -> Mixed:
    return Mixed([(Research(), research), (workload(folder), service)], seed)


def parts(mix: Mixed, tasks: range) -> list[str]:
    """Which workload each task is of."""
    return [mix.script(task).task.partition("-")[0] for task in tasks]


def test_tasks_come_in_the_given_shares_as_the_seed_says(tmp_path: Path) -> None:
    mix = mixed(tmp_path)
    fillers = range(FILLERS, FILLERS + 400)
    assert Counter(parts(mix, fillers))["research"] == pytest.approx(300, abs=25)
    assert parts(mix, fillers) == parts(mixed(tmp_path), fillers)
    assert parts(mix, fillers) != parts(mixed(tmp_path, seed=1), fillers)


def test_each_workload_s_tasks_are_played_in_their_order_until_one_has_no_more(tmp_path: Path) -> None:
    mix = mixed(tmp_path)
    assert mix.tasks is not None
    names = [mix.script(task).task for task in range(mix.tasks + 1)]
    of_research = [name for name in names if name.startswith("research")]
    of_service = [name for name in names if name.startswith("service")]
    assert of_research == [f"research-{number}" for number in range(len(of_research))]
    assert of_service == [f"service-{number}" for number in range(len(of_service))]
    assert len(of_service) == workload(tmp_path).tasks + 1


def test_a_mix_without_end_has_none() -> None:
    assert Mixed([(Research(), 1.0)], 0).tasks is None


def test_all_are_rehearsed(tmp_path: Path) -> None:
    mix = mixed(tmp_path)
    scripts = [mix.rehearsal(number) for number in range(mix.rehearsals)]
    found = Counter(script.task.partition("-")[0] for script in scripts if script)
    assert found == {"research": Research.rehearsals, "service": workload(tmp_path).rehearsals}
    assert mix.rehearsal(mix.rehearsals) is None


def test_tools_of_one_name_can_t_be_told_apart() -> None:
    with pytest.raises(ConfigError, match="can't be mixed: docs_open, docs_search, files_read"):
        Mixed([(Research(), 1.0), (Research(), 1.0)], 0)


def test_runs_in_a_cell(tmp_path: Path) -> None:
    run = run_cell(mixed(tmp_path, 1, 1), Plan(load_presets()["research"], 4, rehearsals=4), "B", 2)
    assert {track.task.partition("-")[0] for track in run.tracks.values()} == {"research", "service"}
    tools = {call.tool for track in run.tracks.values() for call in track.calls}
    assert {"docs_search", "get_user"} <= tools
