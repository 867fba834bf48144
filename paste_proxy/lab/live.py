"""The same small workload twice: on a real SGLang over real HTTP in real time, and in the lab.

What the lab needs for it is measured apart from the tasks that are compared: an engine model by calibration,
and what agents, proxy and tools add to each turn and call by tasks that run alone. Token counts are those of
the engine.
"""

import itertools
import random
import statistics
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from paste_proxy.errors import LabError
from paste_proxy.lab.calibrate import calibrate
from paste_proxy.lab.demo import FIRST_LEARNT, Demo, DemoSettings
from paste_proxy.lab.engine.spec import EngineSpec
from paste_proxy.lab.mirror import Mirror
from paste_proxy.lab.processes import child, module
from paste_proxy.lab.records import TaskRecord, TokenCount
from paste_proxy.lab.sglang_server import (
    INSTALL_COMMAND,
    VENV_VARIABLE,
    SglangServer,
    find_install,
    saying,
    venv_folder,
)
from paste_proxy.lab.virtual.experiment import CellName, rehearsed
from paste_proxy.lab.virtual.predictors import AlwaysWrong
from paste_proxy.lab.virtual.research import Research
from paste_proxy.lab.workload import load_workload
from paste_proxy.predict.model import Predictor

CELLS: tuple[CellName, ...] = ("A", "B", "X")
BATCH = 4
"""The engine's --max-running-requests: so few that the agents fill it."""
ALONE = 2
"""Tasks that run alone, to see what a turn and a call take beside the engine and the tool's stated time."""
FIRST_ALONE = FIRST_LEARNT - ALONE
"""They are neither measured nor learnt from."""


class LiveCell(msgspec.Struct, frozen=True):
    """Mean task seconds of one cell."""

    cell: str
    real_s: float
    lab_s: float

    @property
    def off(self) -> float:
        """By how much the lab is off, as a share of the real time."""
        return self.lab_s / self.real_s - 1


class LiveResult(msgspec.Struct, frozen=True):
    cells: tuple[LiveCell, ...]
    engine: EngineSpec
    turn_overhead_s: float
    call_overhead_s: float

    @property
    def same_order(self) -> bool:
        """Where either tells two cells clearly apart, the same one is the faster in the other."""
        pairs = list(itertools.permutations(self.cells, 2))
        real = (one.real_s < other.real_s for one, other in pairs if one.lab_s < other.lab_s * (1 - APART))
        lab = (one.lab_s <= other.lab_s for one, other in pairs if one.real_s < other.real_s * (1 - CHANCE))
        return all(real) and all(lab)


APART = 0.03
"""Cells of the lab that differ by less have no order."""
CHANCE = 0.1
"""Nor have those of real time: two runs of one cell were seen to differ by 8 %."""


async def run_live(tasks: int, at_once: int) -> LiveResult:
    """A few minutes per cell. Raises `LabError`."""
    with tempfile.TemporaryDirectory(prefix="paste-live-") as folder:
        return await _Live(tasks, at_once, Path(folder)).run()


class _Live:
    def __init__(self, tasks: int, at_once: int, folder: Path) -> None:
        self._workload = load_workload()
        self._tasks = tuple(range(tasks))
        self._at_once = at_once
        self._folder = folder
        self._counts = folder / "tokens.jsonl"
        self._demos = {cell: self._demo(cell) for cell in CELLS}

    def _demo(self, cell: CellName) -> Demo:
        live = self._workload.live
        serve = module("paste_proxy.lab.wrong_proxy") if cell == "X" else module("paste_proxy", "serve")
        settings = DemoSettings(
            tasks=len(self._tasks),
            time_scale=live.time_scale,
            token_scale=live.token_scale,
            engine="sglang",
            at_once=self._at_once,
            serve=serve,
        )
        return Demo(settings, self._workload, self._folder)

    async def run(self) -> LiveResult:
        async with self._engines() as (engine, front):
            spec = await calibrate(engine, asking=told_words)
            await self._demos["A"].learn()
            alone = await self._cell("A", front, range(FIRST_ALONE, FIRST_ALONE + ALONE), at_once=1)
            real = {cell: await self._cell(cell, front, self._tasks) for cell in CELLS}
        counts = self._token_counts()
        lab = Mirror(self._workload, spec, counts)
        turn_s, call_s = lab.overheads(alone)
        lab.take_over(turn_s, call_s)
        cells = tuple(
            LiveCell(
                cell,
                round(statistics.fmean(record.seconds for record in real[cell]), 3),
                round(self._lab_s(lab, cell), 3),
            )
            for cell in CELLS
        )
        return LiveResult(cells, spec, round(turn_s, 4), round(call_s, 4))

    async def _cell(
        self, cell: CellName, front: str, tasks: Sequence[int], at_once: int = 0
    ) -> list[TaskRecord]:
        demo = self._demos[cell]
        async with demo.proxy(cell, front) as where:
            await demo.warm_up(where.url)
            await forget_prefixes(front)
            return await demo.run_agents([where], tasks, at_once=at_once)

    def _lab_s(self, lab: Mirror, cell: CellName) -> float:
        tracks = lab.tracks(self._tasks, self._at_once, _predictor(lab.research, cell))
        return statistics.fmean(track.seconds for track in tracks)

    @asynccontextmanager
    async def _engines(self) -> AsyncIterator[tuple[str, str]]:
        install = find_install()
        if install is None:
            raise LabError(
                f"no SGLang in {venv_folder()} ({VENV_VARIABLE} names another folder); to install it, "
                f"in a clone: {INSTALL_COMMAND}",
                param="sglang",
            )
        async with SglangServer(install, self._folder, max_running_requests=BATCH) as server:
            scale = str(self._workload.live.token_scale)
            command = module("paste_proxy.lab.scripting_front", server.url, scale, str(self._counts))
            async with child("the front of SGLang", command, self._folder) as front:
                yield server.url, await front.said()

    def _token_counts(self) -> list[TokenCount]:
        lines = self._counts.read_bytes().splitlines()
        return [msgspec.json.decode(one, type=TokenCount) for one in lines]


def _predictor(research: Research, cell: CellName) -> Predictor | None:
    if cell == "B":
        return rehearsed(research, DemoSettings(tasks=1, time_scale=1.0).learn_tasks)
    return AlwaysWrong(research.world.specs.values()) if cell == "X" else None


async def forget_prefixes(engine: str) -> None:
    """Or a cell would find in memory what the one before it has read."""
    async with aiohttp.ClientSession() as http, http.post(f"{engine}/flush_cache") as answer:
        if answer.status != 200:
            raise LabError(f"the engine keeps its cache: {answer.status} {await answer.text()}", param="sglang")


def told_words(tokens: int) -> Mapping[str, Any]:
    """As the front asks: the engine is told what to say, and a step takes it longer. A letter is a token at
    most."""
    return saying(" ".join("".join(random.choices("abcdefgh", k=5)) for _ in range(-(-tokens // 3))))
