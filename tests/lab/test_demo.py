"""The demo end to end, small: real processes, real HTTP, the real plugins, a fraction of the time."""

import sys
from pathlib import Path

import msgspec
import pytest

from paste_proxy.errors import LabError
from paste_proxy.lab.demo import DemoSettings, is_quarter, run_demo
from paste_proxy.lab.processes import module

pytestmark = pytest.mark.slow

SMALL = DemoSettings(tasks=3, time_scale=0.02, at_once=3, learn_tasks=8)
FAULTY = (sys.executable, str(Path(__file__).with_name("faulty_proxy.py")))


async def test_transcripts_are_equal_and_calls_ran_ahead() -> None:
    told: list[str] = []
    result = await run_demo(SMALL, told.append)
    figures = result.outcome.as_json()
    assert figures["lossless"] is True
    assert figures["cells"]["A"]["tasks"] == figures["cells"]["B"]["tasks"] == 3
    calls = sum(len(record.calls) for record in result.records if record.cell == "B")
    assert sum(figures["hits"].values()) == calls
    assert figures["hits"]["reused"] + figures["hits"]["joined"] > 0
    assert len(result.drawn) == calls
    assert {call.outcome for record in result.records if record.cell == "A" for call in record.calls} == {
        "executed"
    }
    assert [line.partition(",")[0] for line in told[:5]] == [
        "learning patterns from 8 other tasks",
        "starting the proxy of cell A",
        "starting the proxy of cell B",
        "warming up the tools of both cells",
        "running 3 tasks in cell A (off) and in cell B (on)",
    ]
    assert len(told) == 5 + 4
    assert told[-1].startswith("cell A: 3 of 3 tasks, cell B: 3 of 3 tasks, ")


async def test_wrapped_tools_run_ahead_in_the_agents_process() -> None:
    result = await run_demo(msgspec.structs.replace(SMALL, attach="wrap"))
    figures = result.outcome.as_json()
    assert figures["lossless"] is True
    assert figures["hits"]["reused"] + figures["hits"]["joined"] + figures["hits"]["decided"] > 0
    outcomes = {(record.cell, call.outcome) for record in result.records for call in record.calls}
    assert {outcome for cell, outcome in outcomes if cell == "A"} == {"executed"}
    assert outcomes & {("B", "reused"), ("B", "joined"), ("B", "decided")}


@pytest.mark.parametrize(("of", "quarters"), [(8, [2, 4, 6, 8]), (6, [2, 3, 5, 6]), (2, [1, 2]), (1, [1])])
def test_each_quarter_is_told_once(of: int, quarters: list[int]) -> None:
    assert [count for count in range(1, of + 1) if is_quarter(count, of)] == quarters


async def test_a_corrupted_staged_result_is_noticed() -> None:
    result = await run_demo(msgspec.structs.replace(SMALL, serve=FAULTY))
    assert result.outcome.as_json()["lossless"] is False
    assert len(result.outcome.differing) == 1


async def test_a_proxy_that_does_not_start_is_one_line() -> None:
    broken = msgspec.structs.replace(SMALL, learn_tasks=1, serve=module("json.tool", "--no-such-option"))
    with pytest.raises(
        LabError, match=r"the proxy of cell A ended before it was ready: .*unrecognized arguments"
    ):
        await run_demo(broken)
