"""BFCL's dialogues, if the package is installed: tools that really run, ahead of the model too."""

import copy
from importlib.util import find_spec
from typing import Any

import pytest

from paste_proxy.errors import ConfigError, ToolError
from paste_proxy.lab.engine.presets import load_presets
from paste_proxy.lab.virtual import bfcl_dialogues
from paste_proxy.lab.virtual.bfcl import load_bfcl
from paste_proxy.lab.virtual.bfcl_dialogues import (
    PACKAGE,
    Dialogue,
    Instances,
    class_of,
    load_classes,
    load_dialogues,
    methods_of,
)
from paste_proxy.lab.virtual.experiment import Plan, run_cell
from paste_proxy.lab.virtual.sources import RecordedWorkload

installed = pytest.mark.skipif(find_spec(PACKAGE) is None, reason="pip install --no-deps bfcl-eval")


@pytest.fixture(scope="module")
def dialogues() -> list[Dialogue]:
    return load_dialogues()


@pytest.fixture
def bfcl() -> RecordedWorkload:
    return load_bfcl(0)


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bfcl_dialogues, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install --no-deps bfcl-eval"):
        load_dialogues()


@installed
def test_all_dialogues_but_those_with_mathematics_are_there(dialogues: list[Dialogue]) -> None:
    assert len(dialogues) == 175
    assert sum(len(calls) for dialogue in dialogues for calls in dialogue.calls) == 1008


@installed
def test_every_right_call_runs(dialogues: list[Dialogue]) -> None:
    for dialogue in dialogues:
        instances = Instances(dialogue)
        for call in (call for calls in dialogue.calls for call in calls):
            instances.run(call.tool, call.arguments)


@installed
def test_what_is_said_to_read_changes_nothing(dialogues: list[Dialogue]) -> None:
    reads = {(name, tool) for name, tools in load_classes().reads.items() for tool in tools}
    seen = set()
    for dialogue in dialogues:
        calls = [call for calls in dialogue.calls for call in calls]
        objects = {name: class_of(name)() for name in dialogue.classes}
        for name, instance in objects.items():
            instance._load_scenario(copy.deepcopy(dialogue.scenario.get(name, {})))
        for call in calls:
            owner = next(name for name in dialogue.classes if call.tool in methods_of(name))
            before = _state(objects[owner])
            getattr(objects[owner], call.tool)(**call.arguments)
            if (owner, call.tool) in reads:
                seen.add((owner, call.tool))
                assert _state(objects[owner]) == before, call
    assert len(seen) > 30


def _state(instance: Any) -> Any:
    """All that an object holds; of a generator of random numbers, where it stands."""
    return {name: _plain(value) for name, value in vars(instance).items()}


def _plain(value: Any) -> Any:
    if hasattr(value, "getstate"):
        return value.getstate()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return list(map(_plain, value))
    if hasattr(value, "__dict__"):
        return {name: _plain(item) for name, item in vars(value).items() if name != "parent"}
    return value


@installed
def test_every_class_s_reads_are_methods_of_it() -> None:
    for name, tools in load_classes().reads.items():
        assert tools <= set(methods_of(name))


@installed
def test_a_method_that_raises_is_a_failed_tool(dialogues: list[Dialogue]) -> None:
    dialogue = next(one for one in dialogues if "TravelAPI" in one.classes)
    with pytest.raises(ToolError, match="get_flight_cost: No available route"):
        Instances(dialogue).run(
            "get_flight_cost",
            {"travel_from": "X", "travel_to": "Y", "travel_date": "2024-01-01", "travel_class": "economy"},
        )


@installed
def test_every_task_has_its_own_objects(bfcl: RecordedWorkload) -> None:
    one, other = bfcl.script(0), bfcl.script(bfcl.tasks)
    assert one.session is other.session
    turn = next(turn for turn in one.session.turns if turn.calls)
    [call] = turn.calls
    first = bfcl.world.answer(one.task, call.tool, call.arguments)
    second = bfcl.world.answer(other.task, call.tool, call.arguments)
    assert first == second
    other.turn = len(other.session.turns) - 1
    other.answered([])
    assert bfcl.world.answer(other.task, call.tool, call.arguments).error == f"{other.task} is over"


@installed
@pytest.mark.parametrize("cell", ["B", "O", "X"])
def test_running_ahead_changes_no_transcript(bfcl: RecordedWorkload, cell: Any) -> None:
    plan = Plan(load_presets()["research"], 5, rehearsals=40)
    native, ahead = run_cell(bfcl, plan, "A", 2), run_cell(bfcl, plan, cell, 2)
    assert ahead.started["speculative"] > 0
    assert [track.transcript for track in ahead.tracks.values()] == [
        track.transcript for track in native.tracks.values()
    ]
