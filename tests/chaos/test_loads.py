"""Engines that say nothing of their load, or what isn't so: turns go on all the same."""

import asyncio
from pathlib import Path

import pytest

from tests.chaos.support import HELD_S, LARGE, World, undisturbed, until, world

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]


def loads(running: str, waiting: str, used: str, most: str) -> str:
    names = ("num_running_reqs", "num_waiting_reqs", "num_used_tokens", "max_total_num_tokens")
    members = zip(names, (running, waiting, used, most), strict=True)
    return '{"loads": [{%s}]}' % ", ".join(f'"{name}": {figure}' for name, figure in members)  # noqa: UP031


LIES = {
    "negative": loads("-1", "-2", "-3", "-4"),
    "NaN": loads("NaN", "NaN", "NaN", "NaN"),
    "beyond all numbers": loads("1e400", "1e400", "1e400", "1e400"),
    "texts": loads('"full"', '"full"', '"full"', '"full"'),
    "full": loads("1000000", "1000000", "1000000000", "1"),
    "empty": loads("0", "0", "0", "1000000000"),
    "deep": "[" * 100_000,
    "by chance": "random",
    "not there": "missing",
    "a page": "page",
    "without end": "huge",
    "never": "wait",
}
MEMORY_KB = 150 * 1024
"""What the proxy may grow by: answers of 100 MB are read to 8 MB at most."""


def resident_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])


@pytest.mark.parametrize("lie", LIES)
async def test_turns_go_on_whatever_is_said_of_the_load(alone: World, lie: str) -> None:
    [engine] = alone.engines.values()
    before = resident_kb(alone.proxy.pid)
    async with undisturbed(alone):
        asked = (await engine.seen()).loads
        await engine.goes_wrong(load=LIES[lie], before="close", left=1)
        assert (await alone.ask(alone.new_session())).status == 502

        async def was_asked() -> bool:
            return (await engine.seen()).loads > asked

        await until(was_asked, "after a request that failed the engine is asked what it can do")
        async with asyncio.TaskGroup() as clients:
            held_s = [clients.create_task(alone.answered(alone.new_session(), LARGE)) for _ in range(12)]
        assert max(one.result() for one in held_s) < HELD_S
    assert resident_kb(alone.proxy.pid) < before + MEMORY_KB


async def test_one_that_claims_to_hold_nothing_serves_one_after_another(tmp_path: Path) -> None:
    async with world(tmp_path, options=("--kv-tokens", "1", "--running", "1")) as at, undisturbed(at):
        async with asyncio.TaskGroup() as clients:
            held_s = [clients.create_task(at.answered(at.new_session(), LARGE)) for _ in range(20)]
        assert max(one.result() for one in held_s) < HELD_S
