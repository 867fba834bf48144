"""Lowers a process so that speculative work uses slack only, and raises it when its call has come.

On Linux these attributes belong to threads, so all threads of the process are set; new ones inherit.
"""

import os
from collections.abc import Callable
from pathlib import Path

NICENESS = 10
"""A tenth of a contended core's time: little, yet a joined run that can't be raised still gets on."""


def lower(process: int) -> None:
    """Give way to everything else. A process that has ended is no error."""
    _each_thread(process, _lower)


def restore(process: int) -> bool:
    """Back to normal priority; False where the system does not permit it (CAP_SYS_NICE, RLIMIT_NICE)."""
    try:
        _each_thread(process, _restore)
    except PermissionError:
        return False
    return True


def _lower(thread: int) -> None:
    os.setpriority(os.PRIO_PROCESS, thread, NICENESS)
    if hasattr(os, "SCHED_BATCH"):
        os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))


def _restore(thread: int) -> None:
    os.setpriority(os.PRIO_PROCESS, thread, 0)
    if hasattr(os, "SCHED_OTHER"):
        os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def _each_thread(process: int, change: Callable[[int], None]) -> None:
    for thread in _threads(process):
        try:
            change(thread)
        except ProcessLookupError:
            continue


def _threads(process: int) -> list[int]:
    try:
        return [int(entry.name) for entry in Path(f"/proc/{process}/task").iterdir()]
    except OSError:
        return [process]
