"""How workloads are named on the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from paste_proxy.errors import ConfigError
from paste_proxy.lab.run_command import run
from paste_proxy.lab.virtual.workloads import Choice, load_lab_workload
from tests.lab.virtual.service import SESSIONS, session, written


def invoked(*arguments: str, **environment: str) -> Result:
    return CliRunner(env={"PASTE_TRACES": None, **environment}).invoke(run, arguments, catch_exceptions=False)


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)["rows"]
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Stands for the folder of traces."""
    sessions = [session(number) for number in range(SESSIONS)]
    for name in ("tau-bench", "tau2-bench"):
        written(tmp_path, [{**one, "source": name} for one in sessions], f"{name}.jsonl.gz")
    return tmp_path


def test_the_folder_of_traces_comes_from_an_option_or_the_environment(folder: Path) -> None:
    few = ("--workload", "assistant", "--tasks", "2", "--load", "1", "--cells", "A,B", "--json")
    by_option = rows(invoked(*few, "--traces", str(folder)))
    assert [row["tasks"] for row in by_option] == [2, 2]
    assert rows(invoked(*few, PASTE_TRACES=str(folder))) == by_option
    with pytest.raises(ConfigError, match="traces of tau2-bench: say where they are"):
        invoked(*few)


def test_a_workload_is_no_longer_than_it_is(folder: Path) -> None:
    path = str(folder / "tau-bench.jsonl.gz")
    [row] = rows(invoked("--workload", path, "--tasks", "1000", "--load", "1", "--cells", "A", "--json"))
    assert 2 <= row["tasks"] < SESSIONS


def test_chat_runs_beside_any_workload(folder: Path) -> None:
    few = ("--workload", str(folder / "tau-bench.jsonl.gz"), "--tasks", "2", "--load", "1", "--cells", "A")
    [row] = rows(invoked(*few, "--chat", "1", "--json"))
    assert row["ttft_chat_p99_s"] > 0
    assert "chat p99 s" in invoked(*few, "--chat", "1").stdout
    assert "chat p99 s" not in invoked(*few).stdout


def test_workloads_are_mixed_by_weight(folder: Path) -> None:
    mix = load_lab_workload("research:3, assistant", Choice(folder))
    assert mix.name == "research:3,assistant:1"
    assert {"docs_open", "get_user"} <= mix.world.specs.keys()


def test_the_seed_says_which_fifth_is_measured(folder: Path) -> None:
    counts = [load_lab_workload("assistant", Choice(folder, seed)).tasks for seed in range(6)]
    assert sum(filter(None, counts[:5])) == 2 * SESSIONS
    assert counts[5] == counts[0]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (
            "nothing",
            "there is no workload 'nothing'; known: research, assistant, coding, claude-code, bfcl, files",
        ),
        ("research,", "there is no workload ''"),
        ("research:0,nothing", "'0' is no weight"),
        ("research:many,nothing", "'many' is no weight"),
        ("research:nan,nothing", "'nan' is no weight"),
        ("missing.jsonl", "missing.jsonl: can't be read"),
    ],
)
def test_a_name_that_says_nothing_is_told(name: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        load_lab_workload(name)


def test_a_file_with_another_ending_is_told_which_ones_are_read(tmp_path: Path) -> None:
    path = tmp_path / "sessions.json"
    path.write_text("{}")
    with pytest.raises(ConfigError, match=r"has a name that ends with \.jsonl\.gz or \.jsonl"):
        load_lab_workload(str(path))
