"""The engine of the live benchmark: a real SGLang on one core, little memory and a model slow to read.

Eight agents are to find again what the lab finds at load 64 on the preset `research`, so what decides there has
to be in proportion here:

- *Reading again costs several times what a turn else does.* There a prompt that was driven out takes the engine
  0.6 to 0.8 s, and the turn's share of writing 0.12 s. On a CPU a step of writing costs 12 ms, however many
  write, and most of that is the engine's own: so the model is one wide layer (`live_model.py`), turns are short
  (`OUTPUT_SCALE`; 70 tokens, and 0.3 s where three write at once) and prompts not (`READ_SCALE`; 2,500 tokens
  in the mean, 5,600 at most, and 1.5 s at the 1,700 tokens a second that one core reads): about five times.
- *All prompts are twice what memory holds*, and three times in the end: eight of 2,500 and `KV_TOKENS`.
- *Tools are little beside a round in which everything is read again, and much beside one in which nothing is.*
  With `TIME_SCALE` a call takes 2 s in the mean. All eight read again take 12 s a round, as do 64 in the lab
  (40 s to 4.5 s); three that stay in memory take the engine 2 s, so that running ahead has something to gain.
- *A lease lasts through a call*: to read the whole memory takes 5 s, over twice a call; in the lab 24 s, five
  times.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from paste_proxy.errors import LabError
from paste_proxy.lab.processes import child, ending_with_us, module
from paste_proxy.lab.sglang_server import INSTALL_COMMAND, SglangInstall, SglangServer, find_install
from paste_proxy.lab.workload import LiveScale, Workload, load_workload

READ_SCALE = 0.2
OUTPUT_SCALE = 0.05
TIME_SCALE = 0.5
KV_TOKENS = 9216
FLAGS = (
    "--schedule-policy=fcfs",
    "--enable-priority-scheduling",
    "--default-priority-value=0",
    "--enable-session-radix-cache",
)
"""What a proxy makes use of; without one they change nothing."""
SPARING = ("--stream-interval=4",)
"""Tokens to a chunk: the second core, which has all other processes, is spared three quarters of them."""


def scaled_workload() -> Workload:
    return msgspec.structs.replace(load_workload(), live=LiveScale(READ_SCALE, TIME_SCALE))


class Engine(msgspec.Struct, frozen=True):
    url: str
    """SGLang's own."""
    front: str
    """Where it says what the policy says."""
    counts: Path
    """What it counted of each turn."""


@asynccontextmanager
async def running(folder: Path, kv_tokens: int, at_once: int) -> AsyncIterator[Engine]:
    """The engine and its front, in that folder. Raises `LabError`."""
    install = find_install()
    if install is None:
        raise LabError(f"no SGLang; to install it, in a clone: {INSTALL_COMMAND}", param="sglang")
    flags = (*FLAGS, *SPARING, f"--max-total-tokens={kv_tokens}")
    wide = await _widened(install, folder)
    async with SglangServer(wide, folder, max_running_requests=at_once, extra_args=flags) as server:
        counts = folder / "tokens.jsonl"
        command = module(
            "paste_proxy.lab.scripting_front", server.url, str(READ_SCALE), str(counts), str(OUTPUT_SCALE)
        )
        async with child("the front of SGLang", command, folder) as front:
            yield Engine(server.url, await front.said(), counts)


async def _widened(install: SglangInstall, folder: Path) -> SglangInstall:
    """With a model made for this run."""
    model, script = folder / "model", Path(__file__).with_name("live_model.py")
    process = await asyncio.create_subprocess_exec(
        install.python,
        str(script),
        install.model,
        str(model),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""},
        preexec_fn=ending_with_us(),
    )
    _, said = await process.communicate()
    if process.returncode != 0:
        lines = said.decode(errors="replace").splitlines() or ["it left no word"]
        raise LabError(f"no model for SGLang: {lines[-1]}", param="sglang")
    return msgspec.structs.replace(install, model=str(model))
