"""How busy the machine is."""

import pytest

from paste_proxy.lab.machine import CpuTimes, busy_share, cpu_times


def test_the_share_is_of_all_cores_between_two_readings() -> None:
    assert busy_share(CpuTimes(10, 100), CpuTimes(40, 160)) == 0.5


def test_without_readings_there_is_no_share() -> None:
    assert busy_share(None, CpuTimes(1, 2)) is None
    assert busy_share(CpuTimes(1, 2), CpuTimes(1, 2)) is None


def test_work_shows_in_the_readings() -> None:
    before = cpu_times()
    if before is None:
        pytest.skip("this system has no /proc/stat")
    after = before
    while after.busy == before.busy:
        after = cpu_times() or before
    assert before.busy < after.busy <= after.total
