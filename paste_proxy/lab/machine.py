"""How busy the machine is: a figure measured on a full machine says little."""

from pathlib import Path
from typing import NamedTuple

_STAT = Path("/proc/stat")
_IDLE = slice(3, 5)
"""Idle and waiting for input or output, among the columns of proc_stat(5)."""


class CpuTimes(NamedTuple):
    """Ticks of all cores since start-up, whatever a tick is."""

    busy: int
    total: int


def cpu_times() -> CpuTimes | None:
    """None where the system does not say (only Linux does)."""
    if not _STAT.exists():
        return None
    columns = [int(value) for value in _STAT.read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    total = sum(columns)
    return CpuTimes(busy=total - sum(columns[_IDLE]), total=total)


def busy_share(before: CpuTimes | None, after: CpuTimes | None) -> float | None:
    """Between two readings, 0 to 1."""
    if before is None or after is None or after.total == before.total:
        return None
    return (after.busy - before.busy) / (after.total - before.total)
