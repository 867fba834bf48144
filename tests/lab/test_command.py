"""`paste-proxy demo`, without running one: what is asked for, what is printed where."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from paste_proxy.errors import LabError
from paste_proxy.lab import command
from paste_proxy.lab.demo import DemoResult, DemoSettings
from tests.lab.test_summary import outcome, record


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[DemoSettings]:
    """The settings of the runs that were asked for; each has the same made-up result."""
    settings: list[DemoSettings] = []

    async def run_demo(wanted: DemoSettings, told: Callable[[str], None]) -> DemoResult:
        told("learning")
        settings.append(wanted)
        records = tuple(record(cell, task, 10.0) for cell in "AB" for task in range(3))
        return DemoResult(wanted, outcome(), records, (), (1.0,) * 3, 0.5, ("the proxy: ERROR odd",))

    monkeypatch.setattr(command, "run_demo", run_demo)
    return settings


def run(*arguments: str) -> Any:
    return CliRunner().invoke(command.demo, arguments, catch_exceptions=False)


def test_prints_figures_and_a_timeline(asked: list[DemoSettings]) -> None:
    result = run()
    assert result.exit_code == 0
    for expected in ("all times x 0.15", "task time, mean", "lossless", "A model", "B model"):
        assert expected in result.stdout
    assert "ERROR odd" in result.stderr
    assert "learning" in result.stderr.splitlines()
    assert asked == [DemoSettings(tasks=32, time_scale=0.15)]


def test_json_is_alone_on_standard_output(asked: list[DemoSettings]) -> None:
    result = run("--json", "--tasks", "4")
    assert json.loads(result.stdout) == outcome().as_json()
    assert "all times x 0.15" in result.stderr
    assert asked[0].tasks == 4


def test_a_real_engine_has_its_own_scales(asked: list[DemoSettings]) -> None:
    result = run("--engine", "sglang")
    assert (asked[0].engine, asked[0].time_scale, asked[0].token_scale) == ("sglang", 0.25, 0.05)
    assert "all token counts x 0.05" in result.stdout


def test_without_the_sdk_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    with pytest.raises(LabError, match=r"pip install 'paste-proxy\[demo\]'"):
        run()
