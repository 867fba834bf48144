"""The lab against the real thing: the same tasks on a real SGLang in real time, and in virtual time."""

import os
import statistics

import pytest

from paste_proxy.lab.engine.presets import load_engine
from paste_proxy.lab.live import LiveCell, LiveResult, run_live
from paste_proxy.lab.live_command import _lines
from paste_proxy.lab.sglang_server import INSTALL_COMMAND, find_install, venv_folder

LIVE = "PASTE_TEST_LIVE"
"""Set in the environment: measure real time, too. Where other work runs beside it that says nothing."""
TASKS, AT_ONCE = 8, 4
"""Two rounds that fill the engine: fewer tasks are over before chance has had its turns in all cells."""


def result(**seconds: tuple[float, float]) -> LiveResult:
    """Of each cell the real time and that of the lab."""
    cells = tuple(LiveCell(cell, real, lab) for cell, (real, lab) in seconds.items())
    return LiveResult(cells, load_engine("research"), 0.02, 0.005)


@pytest.mark.parametrize(
    ("real", "same"), [((30.0, 25.0, 29.0), True), ((30.0, 25.0, 33.0), True), ((30.0, 31.0, 29.0), False)]
)
def test_cells_that_the_lab_tells_apart_have_to_be_so_in_real_time(
    real: tuple[float, float, float], same: bool
) -> None:
    native, ahead, wrong = real
    assert result(A=(native, 30.0), B=(ahead, 26.0), X=(wrong, 30.3)).same_order is same


def test_the_command_says_by_how_much_the_lab_is_off() -> None:
    lines = _lines(result(A=(20.0, 21.0), B=(20.0, 15.0)), 8, 4)
    assert "A        20.00     21.00           +5.0%" in lines
    assert "B        20.00     15.00          -25.0%" in lines
    assert lines[-1] == "same order of cells: no"


@pytest.mark.skipif(LIVE not in os.environ, reason=f"minutes of real time, best on an idle machine: set {LIVE}")
@pytest.mark.conformance
@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_mean_task_times_are_those_of_a_real_engine() -> None:
    """Within 10 %. A and X are one cell to the lab, and differ by up to 8 % in real time on a machine that
    does nothing else: their mean is compared. B is alone, and has half of that on top."""
    if find_install() is None:
        pytest.skip(f"no SGLang in {venv_folder()}; to install it: {INSTALL_COMMAND}")
    found = await run_live(TASKS, AT_ONCE)
    cells = {cell.cell: cell for cell in found.cells}
    real = statistics.fmean(cells[name].real_s for name in "AX")
    assert statistics.fmean(cells[name].lab_s for name in "AX") == pytest.approx(real, rel=0.1), found.cells
    assert cells["B"].off == pytest.approx(0.0, abs=0.14), found.cells
    assert found.same_order, found.cells
