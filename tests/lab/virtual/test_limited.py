"""Services that limit calls, and fail some."""

import pytest

from paste_proxy.lab.virtual.experiment import CellName, Plan, Run, run_cell
from paste_proxy.lab.virtual.limited import REFUSED, ToolLimits, limited
from paste_proxy.lab.virtual.research import Research
from tests.lab.virtual.small import ENGINE, LOOK_S, SmallWorkload, SmallWorld


def test_runs_beyond_the_rate_of_their_tool_wait_in_order() -> None:
    now = 10.0
    world = limited(SmallWorld(), ToolLimits(per_s=2.0), lambda: now)
    waits = [world.answer("t", "look", {"k": key}).seconds - LOOK_S for key in range(3)]
    assert waits == [0.0, 0.5, 1.0]
    assert world.answer("t", "write", {"k": 0}).seconds == SmallWorld().answer("t", "write", {"k": 0}).seconds
    now = 20.0
    assert world.answer("t", "look", {"k": 9}).seconds == LOOK_S


def test_of_so_many_services_the_rate_is_so_many_times_that_of_one() -> None:
    assert ToolLimits(per_s=2.0, failures=0.1).times(3) == ToolLimits(per_s=6.0, failures=0.1)


def test_the_stated_share_is_refused_and_equal_calls_alike() -> None:
    def refused(limits: ToolLimits) -> list[str]:
        world = limited(SmallWorld(), limits, lambda: 0.0)
        return [world.answer("t", "look", {"k": key}).error for key in range(1000)]

    once = refused(ToolLimits(failures=0.2))
    assert once.count(REFUSED) == pytest.approx(200, abs=40)
    assert once == refused(ToolLimits(failures=0.2))
    assert once != refused(ToolLimits(failures=0.2, seed=1))


def test_a_refused_call_has_no_effect() -> None:
    world = SmallWorld()
    assert limited(world, ToolLimits(failures=1.0), lambda: 0.0).answer("t", "write", {"k": 0}).error == REFUSED
    assert world.asked == []


def test_a_refusal_counts_few_tokens_of_a_prompt() -> None:
    world = limited(Research().world, ToolLimits(failures=1.0), lambda: 0.0)
    arguments = {"address": "pydoc://page1"}
    assert world.tokens("docs_open", arguments, f"error: {REFUSED}") < 20
    assert world.tokens("docs_open", arguments, "The text.") > 100


def test_without_limits_the_world_is_the_same() -> None:
    world = SmallWorld()
    assert limited(world, ToolLimits(), lambda: 0.0) is world


@pytest.mark.parametrize("plan", [Plan(ENGINE, 20, tool_failures=0.3), Plan(ENGINE, 20, tools_per_s=0.5)])
def test_whatever_the_service_does_transcripts_are_the_same(plan: Plan) -> None:
    cells: tuple[CellName, ...] = ("A", "A'", "O", "X", "O∞")
    runs = [run_cell(SmallWorkload(), plan, cell, 4) for cell in cells]
    assert len({tuple(track.transcript for track in run.tracks.values()) for run in runs}) == 1
    assert runs[0].mean_s != run_cell(SmallWorkload(), Plan(ENGINE, 20), "A", 4).mean_s


def test_failures_shorten_a_task_s_waiting_and_a_rate_lengthens_it() -> None:
    def exposed(plan: Plan) -> float:
        run: Run = run_cell(SmallWorkload(), plan, "A", 4)
        return sum(track.exposed_s for track in run.tracks.values())

    usual = exposed(Plan(ENGINE, 20))
    assert exposed(Plan(ENGINE, 20, tool_failures=0.5)) < 0.8 * usual
    assert exposed(Plan(ENGINE, 20, tools_per_s=0.5)) > 1.2 * usual
