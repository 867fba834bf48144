"""Lowering and raising a process with all its threads."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from paste_proxy.tools import priority


@pytest.fixture
def process() -> Iterator[int]:
    """A process of two threads."""
    code = "import threading, sys; threading.Thread(target=sys.stdin.read).start(); print('up', flush=True)"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-S", "-c", code], stdin=pipe, stdout=pipe) as started:
        assert started.stdout is not None
        started.stdout.readline()
        yield started.pid
        started.kill()


def _priorities(process: int) -> set[tuple[int, int]]:
    threads = [int(name) for name in os.listdir(f"/proc/{process}/task")]  # noqa: PTH208
    return {(os.getpriority(os.PRIO_PROCESS, t), os.sched_getscheduler(t)) for t in threads}


def test_all_threads_are_lowered_and_raised(process: int, monkeypatch: pytest.MonkeyPatch) -> None:
    priority.lower(process)
    assert _priorities(process) == {(priority.NICENESS, os.SCHED_BATCH)}
    if os.geteuid() == 0:
        assert priority.restore(process)
        assert _priorities(process) == {(0, os.SCHED_OTHER)}


def test_without_permission_it_stays_low(process: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    priority.lower(process)
    monkeypatch.setattr(os, "setpriority", refuse)
    assert not priority.restore(process)
    assert _priorities(process) == {(priority.NICENESS, os.SCHED_BATCH)}


def test_a_process_that_has_ended_is_no_error() -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    priority.lower(ended.pid)
    assert priority.restore(ended.pid)
    assert threading.main_thread().is_alive()
