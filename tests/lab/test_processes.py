"""The demo's children: what they say, how they fail, that none is left."""

import asyncio
import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from paste_proxy.errors import LabError
from paste_proxy.lab import processes
from paste_proxy.lab.processes import child


def python(program: str) -> tuple[str, ...]:
    return (sys.executable, "-c", program)


async def test_a_child_says_that_it_is_ready_and_ends_with_the_block(tmp_path: Path) -> None:
    program = "import os, sys; print('ready', os.getpid(), flush=True); sys.stdin.read()"
    async with child("it", python(program), tmp_path) as it:
        ready, pid = (await it.said()).split()
    assert ready == "ready"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


async def test_its_last_words_are_the_reason(tmp_path: Path) -> None:
    async with child("it", python("import sys; sys.exit('no room\\n\\n')"), tmp_path) as it:
        with pytest.raises(LabError, match="it ended before it was ready: no room"):
            await it.said()


async def test_silence_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "READY_TIMEOUT_S", 0.05)
    async with child("it", python("import sys; sys.stdin.read()"), tmp_path) as it:
        with pytest.raises(LabError, match=r"it said nothing for 0.05 s: it left no word"):
            await it.said()


async def test_a_child_that_will_not_go_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOP_TIMEOUT_S", 0.05)
    program = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    async with child("it", python(program), tmp_path) as it:
        await it.said()


async def test_each_answer_is_there_as_it_is_said(tmp_path: Path) -> None:
    """The second comes only once the first was heard."""
    program = "import os\nat = input()\nprint(1, flush=True)\nwhile not os.path.exists(at): pass\nprint(2)"
    heard = tmp_path / "heard"
    async with child("it", python(program), tmp_path) as it:
        answers = it.answers(f"{heard}\n".encode())
        assert await anext(answers) == b"1\n"
        heard.touch()
        assert [line async for line in answers] == [b"2\n"]


@pytest.mark.parametrize("told", [b"", b"x" * 1_000_000])
async def test_one_that_fails_is_told_with_its_last_word(tmp_path: Path, told: bytes) -> None:
    async with child("it", python("raise SystemExit('task 3 failed')"), tmp_path) as it:
        with pytest.raises(LabError, match="it did not finish: task 3 failed"):
            await anext(it.answers(told))


async def test_complaints_are_what_a_log_says_of_trouble(tmp_path: Path) -> None:
    program = "import sys; sys.exit('12:00 INFO a: fine\\n12:01 WARNING a: odd\\n12:02 ERROR b: broken')"
    async with child("it", python(program), tmp_path) as it:
        with pytest.raises(LabError):
            await it.said()
        assert it.complaints() == ["it: 12:01 WARNING a: odd", "it: 12:02 ERROR b: broken"]


PARENT = """
import asyncio, sys
from pathlib import Path
from paste_proxy.lab.processes import child

async def main():
    idle = (sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    async with child("it", idle, Path(sys.argv[1])) as it:
        print(await it.said(), flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_a_child_ends_with_a_parent_that_is_killed(tmp_path: Path, how: signal.Signals) -> None:
    parent = await asyncio.create_subprocess_exec(
        *python(PARENT), str(tmp_path), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    parent.send_signal(how)
    await parent.wait()
    await asyncio.to_thread(wait_for_end, pid)


def wait_for_end(pid: int) -> None:
    """Of a process that is no child of ours."""
    with suppress(ProcessLookupError):
        ended = os.pidfd_open(pid)
        with os.fdopen(ended, closefd=True):
            assert select.select([ended], [], [], 10)[0], "it runs on"
