"""The same small workload twice: on a real SGLang over real HTTP in real time, and in the lab.

What the lab needs for it is measured apart from the tasks that are compared: an engine model by calibration,
and what agents, proxy and tools add to each turn and call by tasks that run alone. Token counts are those of
the engine.
"""

import itertools
import random
import statistics
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from paste_proxy.errors import LabError
from paste_proxy.lab.calibrate import calibrate
from paste_proxy.lab.demo import FIRST_LEARNT, Demo, DemoSettings
from paste_proxy.lab.engine.spec import EngineSpec
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
from paste_proxy.lab.sizes import SUBJECT, Sizes
from paste_proxy.lab.virtual.agent import Agent, TaskTrack
from paste_proxy.lab.virtual.driver import Driver, Gate
from paste_proxy.lab.virtual.experiment import CellName, rehearsed
from paste_proxy.lab.virtual.predictors import AlwaysWrong
from paste_proxy.lab.virtual.research import Research
from paste_proxy.lab.virtual.site import VirtualSite
from paste_proxy.lab.workload import Workload, load_workload

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
            spec = await calibrate(engine, asking=_told)
            await self._demos["A"].learn()
            alone = await self._cell("A", front, range(FIRST_ALONE, FIRST_ALONE + ALONE), at_once=1)
            real = {cell: await self._cell(cell, front, self._tasks) for cell in CELLS}
        counts = self._token_counts()
        lab = _Lab(self._workload, spec, counts, self._at_once)
        turn_s, call_s = lab.overheads(alone)
        cells = tuple(
            LiveCell(
                cell,
                round(statistics.fmean(record.seconds for record in real[cell]), 3),
                round(lab.mean_task_s(cell, self._tasks, turn_s, call_s), 3),
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
            await _forget_prefixes(front)
            return await demo.run_agents([where], tasks, at_once=at_once)

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


async def _forget_prefixes(engine: str) -> None:
    """Or a cell would find in memory what the one before it has read."""
    async with aiohttp.ClientSession() as http, http.post(f"{engine}/flush_cache") as answer:
        if answer.status != 200:
            raise LabError(f"the engine keeps its cache: {answer.status} {await answer.text()}", param="sglang")


def _told(tokens: int) -> Mapping[str, Any]:
    """As the front asks: the engine is told what to say, and a step takes it longer. A letter is a token at
    most."""
    return saying(" ".join("".join(random.choices("abcdefgh", k=5)) for _ in range(-(-tokens // 3))))


class CountedSizes(Sizes):
    """Tokens as a real engine counted them, turn by turn."""

    def __init__(self, workload: Workload, token_scale: float, counts: Sequence[TokenCount]) -> None:
        super().__init__(workload, token_scale)
        self._output = {(count.task, count.step): count.output for count in counts}
        self._prompt = {(count.task, count.step): count.prompt for count in counts}
        self._result = max(1, round(statistics.fmean(self._grown())))

    def turn(self, task: int, step: int, *, final: bool) -> int:
        return self._output.get((task, step)) or super().turn(task, step, final=final)

    def user(self, task: int) -> int:
        """What the first prompt has beside the system prompt."""
        first = self._prompt.get((task, 0))
        return super().user(task) if first is None else max(1, first - self.system())

    def result(self, tool: str, arguments: Mapping[str, Any]) -> int:
        """Their mean: which result a prompt grew by is not told, and prefill is quick."""
        return self._result

    def _grown(self) -> list[int]:
        """By how much prompts grew from turn to turn, beside the reply."""
        return [
            now - self._prompt[task, step - 1] - self._output[task, step - 1]
            for (task, step), now in self._prompt.items()
            if (task, step - 1) in self._prompt
        ]


class _Lab:
    """The same cells in virtual time."""

    def __init__(
        self, workload: Workload, engine: EngineSpec, counts: Sequence[TokenCount], at_once: int
    ) -> None:
        live = workload.live
        self._workload = workload
        self._engine = engine
        self._at_once = at_once
        self._scale = live.time_scale
        sizes = CountedSizes(workload, live.token_scale, counts)
        self.research = Research(token_scale=live.token_scale, time_scale=live.time_scale, sizes=sizes)

    def overheads(self, alone: Sequence[TaskRecord]) -> tuple[float, float]:
        """What a turn and a call take in the real run beside what the lab says of them, per turn and call."""
        tracks = self._run(None, [record.task for record in alone], self._engine, 0.0, at_once=1)
        turns = [turn.end - turn.start for record in alone for turn in record.turns]
        modelled = [turn.end - turn.asked for track in tracks for turn in track.turns]
        calls = [
            call.seconds
            - self.research.sizes.seconds(call.tool, {SUBJECT[call.tool]: call.subject}) * self._scale
            for record in alone
            for call in record.calls
        ]
        return (
            max(0.0, statistics.fmean(turns) - statistics.fmean(modelled)),
            max(0.0, statistics.fmean(calls)) if calls else 0.0,
        )

    def mean_task_s(self, cell: CellName, tasks: Sequence[int], turn_s: float, call_s: float) -> float:
        overhead = self._engine.request_overhead_s + turn_s
        engine = msgspec.structs.replace(self._engine, request_overhead_s=overhead)
        tracks = self._run(self._predictor(cell), tasks, engine, call_s, at_once=self._at_once)
        return statistics.fmean(track.seconds for track in tracks)

    def _predictor(self, cell: CellName) -> Any:
        if cell == "B":
            return rehearsed(self.research, DemoSettings(tasks=1, time_scale=1.0).learn_tasks)
        return AlwaysWrong(self.research.world.specs.values()) if cell == "X" else None

    def _run(
        self, predictor: Any, tasks: Sequence[int], engine: EngineSpec, call_s: float, *, at_once: int
    ) -> list[TaskTrack]:
        self.research.pause_s = call_s
        site = VirtualSite(self.research.world, engine, predictor)

        def new_agent(task: int, over: Callable[[TaskTrack], None]) -> Agent:
            return Agent(self.research.script(task), site, over)

        driver = Driver(site, new_agent, Gate(at_once), tasks)
        driver.cohorts(len(tasks), iter(tasks))
        site.time.run(lambda: driver.done)
        return [_without_waiting(driver.tracks[task]) for task in tasks]


def _without_waiting(track: TaskTrack) -> TaskTrack:
    """A task counts from its first request: the agents' queue is none of its own time."""
    track.start = track.turns[0].asked
    return track
