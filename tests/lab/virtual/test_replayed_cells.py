"""Cells over recorded sessions: what must hold whatever is predicted, and that nothing looks ahead in time."""

from pathlib import Path
from typing import Any

import pytest

from paste_proxy.lab.engine.presets import load_presets
from paste_proxy.lab.virtual.experiment import CellName, Plan, Run, rehearsed, run_cell
from paste_proxy.lab.virtual.sources import RecordedWorkload
from tests.lab.virtual.service import SESSIONS, session, workload
from tests.lab.virtual.test_recorded import played

ENGINE = load_presets()["research"]
TASKS = 4


def ran(service: RecordedWorkload, cell: CellName, load: int = 1) -> Run:
    return run_cell(service, Plan(ENGINE, TASKS), cell, load)


def mean_s(run: Run) -> float:
    return sum(track.seconds for track in run.tracks.values()) / len(run.tracks)


@pytest.mark.parametrize("times", ["file", "assistant"])
def test_alone_knowing_more_never_costs_time(tmp_path: Path, times: str) -> None:
    service = workload(tmp_path, times=times)
    cells: tuple[CellName, ...] = ("O∞", "O", "B", "A")
    hidden, oracle, learnt, native = (round(mean_s(ran(service, cell)), 9) for cell in cells)
    assert hidden < oracle <= learnt < native  # of such regular sessions all that can be known is learnt
    assert round(mean_s(ran(service, "X")), 9) <= native


@pytest.mark.parametrize("load", [1, 4])
def test_transcripts_are_the_same_in_every_cell(tmp_path: Path, load: int) -> None:
    service = workload(tmp_path, times="assistant")
    native = ran(service, "A", load)
    for cell in ("A'", "B", "O", "O∞", "X"):
        run = ran(service, cell, load)
        assert {task: track.transcript for task, track in run.tracks.items()} == {
            task: track.transcript for task, track in native.tracks.items()
        }


def test_the_oracle_hides_every_read_whose_values_are_there(tmp_path: Path) -> None:
    """Of five calls the write is not hidden, and each other one is known a turn ahead."""
    service = workload(tmp_path)
    run = ran(service, "O")
    for track in run.tracks.values():
        assert [call.tool for call in track.calls if call.end > call.start] == ["cancel_order"]


@pytest.mark.parametrize("kept", range(4, 15))
def test_what_comes_later_changes_nothing_before_it(tmp_path: Path, kept: int) -> None:
    """With and without the end of a session, everything goes alike up to where it is cut off."""
    whole = workload(tmp_path, times="assistant")
    number = int(whole.measured[0].task.removeprefix("session "))
    sessions = [session(other) for other in range(SESSIONS)]
    sessions[number] = {**sessions[number], "turns": sessions[number]["turns"][:kept]}
    cut = workload(tmp_path, sessions, times="assistant")
    before, after = (_track(service) for service in (cut, whole))
    assert before["turns"] == after["turns"][: len(before["turns"])]
    assert before["calls"] == after["calls"][: len(before["calls"])]
    assert before["turns"]


def _track(service: RecordedWorkload) -> dict[str, Any]:
    track = played(service, predictor=rehearsed(service, service.rehearsals))
    return {"turns": track.turns, "calls": track.calls}
