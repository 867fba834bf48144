"""The lab's order of cells, found again: a real SGLang, real proxies and real agents over HTTP, in real time.

`python -m benchmarks.live [--json] [--loads 2,8] [--cells "A,A',B,E,F,semaphore:3"] [--repeats 1]
[--noise 0]`, up to twenty minutes on two busy cores; needs SGLang (`python -m
tests.conformance.install_sglang`). Short research tasks at the workload's `live` scales, as many at once as the
load says; the engine runs a tiny model on the CPU with so little memory (`--kv`) that at the higher load
sessions drive each other out of it.

A and A' are native: the agents ask the engine, and no proxy stands between. P is a proxy with everything off,
B runs ahead, E orders turns (`schedule.policy: joint`), F does both, `semaphore:N` lets N sessions at a time
through; the best of these is E*. All cells have one engine, whose cache is flushed before each; a proxy is
started anew for each, and knows nothing of the tasks that are measured. `--noise N` runs A and A' alone N
times first.

A task's time is the median of its repeats, which alternate between the cells; intervals are bootstraps over
tasks, ratios are to A, paired by task. `lossless`: all transcripts are those of A. `lab` is the same in virtual
time, on an engine model that was fitted to this engine before, with the tokens that this engine counted.
"""

import argparse
import asyncio
import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import orjson

from benchmarks.live_figures import Times, figures, lossless, noise, order_of, same_order
from paste_proxy.errors import LabError
from paste_proxy.lab.calibrate import Effort, calibrate
from paste_proxy.lab.demo import FIRST_LEARNT, Demo, DemoSettings
from paste_proxy.lab.engine.spec import EngineSpec
from paste_proxy.lab.live import forget_prefixes, told_words
from paste_proxy.lab.machine import busy_share, cpu_times
from paste_proxy.lab.mirror import Mirror
from paste_proxy.lab.policy import Policy
from paste_proxy.lab.processes import child, module
from paste_proxy.lab.records import Cell, TaskRecord, TokenCount
from paste_proxy.lab.sglang_server import INSTALL_COMMAND, SglangServer, find_install
from paste_proxy.lab.sizes import Sizes
from paste_proxy.lab.virtual.experiment import rehearsed
from paste_proxy.lab.workload import load_workload

KV_TOKENS = 6144
"""Three of the tasks fit, as 19 do in the 900,000 tokens of the preset `research`: 8 agents thrash like 50."""
LEAST_CALLS, MOST_CALLS = 4, 8
"""Of a measured task: longer ones take minutes each, shorter ones hardly come back."""
LEAST_TASKS = 3
"""Measured at a load below that."""
ALONE = 2
"""Tasks that run alone first, to see what a turn and a call take beside the engine and the tool's own time."""
EFFORT = Effort(prompts=(32, 256, 1024), rounds=3, output=32, streams=(1, 2, 4))
"""Of calibration: what fits into that memory, in a minute."""
MODEL = {"hidden_size": 512, "intermediate_size": 3072, "num_key_value_heads": 1}
"""The tiny model made wider, with weights that are random anyway: 14 million of them, two thirds in layers that
work on each token alone. So reading a prompt again costs several times what a turn's reply does, as on a GPU;
the tiny one reads faster than it writes."""
ENGINE_FLAGS = (
    "--load-format=dummy",
    f"--json-model-override-args={orjson.dumps(MODEL).decode()}",
    "--schedule-policy=fcfs",
    "--enable-priority-scheduling",
    "--default-priority-value=0",
    "--enable-session-radix-cache",
)
"""What a proxy makes use of; without one they change nothing."""


class CellPlan(msgspec.Struct, frozen=True):
    name: str
    policy: str = "fcfs"
    speculates: bool = False
    native: bool = False

    @property
    def changes(self) -> dict[str, Any]:
        """Of the configuration that the demo's proxies have."""
        off = {} if self.speculates else {"speculation": {"mode": "off"}}
        return {"schedule": {"policy": self.policy}, **off}


CELLS: Mapping[str, CellPlan] = {
    plan.name: plan
    for plan in (
        CellPlan("A", native=True),
        CellPlan("A'", native=True),
        CellPlan("P"),
        CellPlan("B", speculates=True),
        CellPlan("E", "joint"),
        CellPlan("F", "joint", speculates=True),
    )
}


def plan_of(name: str) -> CellPlan:
    """Raises `KeyError` for a cell that there is not."""
    return CellPlan(name, name) if name.startswith("semaphore:") else CELLS[name]


class Options(msgspec.Struct, frozen=True):
    loads: tuple[int, ...]
    cells: tuple[CellPlan, ...]
    repeats: int
    noise: int
    kv_tokens: int


class Bench:
    def __init__(self, options: Options, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self._workload = load_workload()
        self._policy = Policy(self._workload, Sizes(self._workload, self._workload.live.token_scale))
        self._counts = folder / "tokens.jsonl"
        self._engine = self._front = ""
        self._native: dict[int, TaskRecord] = {}
        self._lossless = True
        self._prefixes: dict[tuple[str, int], list[TokenCount]] = {}

    async def run(self) -> dict[str, Any]:
        before, load_before = cpu_times(), os.getloadavg()
        async with self._engines():
            spec = self._modelled(await calibrate(self._engine, asking=told_words, effort=EFFORT))
            tell(f"engine: {spec}")
            await self._demo(CELLS["A"], 1).learn()
            alone = await self._cell(CELLS["A"], 1, self._alone())
            pairs = [await self._pair() for _ in range(self._options.noise)]
            real = await self._all()
        cells = figures(real)
        for (cell, load), counts in self._prefixes.items():
            prompt = sum(count.prompt for count in counts)
            if cell in cells:
                cells[cell][str(load)]["prefix_hits"] = round(sum(c.cached for c in counts) / prompt, 3)
        lab = self._lab(spec, alone)
        return {
            "cells": cells,
            "lab": lab,
            "order": {str(load): self._orders(cells, lab, load) for load in self._options.loads},
            "lossless": self._lossless,
            "noise": noise(pairs),
            "tasks": {str(load): self._tasks(load) for load in self._options.loads},
            "repeats": self._options.repeats,
            "engine": msgspec.to_builtins(spec),
            "machine": {
                "cores": os.cpu_count(),
                "load_average": [*load_before, *os.getloadavg()],
                "busy": busy_share(before, cpu_times()),
            },
        }

    def _orders(self, cells: Any, lab: Any, load: int) -> dict[str, Any]:
        found = {name: by_load[str(load)] for name, by_load in cells.items()}
        modelled = {name: by_load[str(load)] for name, by_load in lab.items()}
        return {
            "real": order_of(found),
            "lab": order_of(modelled),
            "same": same_order(found, modelled),
        }

    # -- what is run --------------------------------------------------------------------------------------

    def _tasks(self, load: int) -> list[int]:
        """The first of the workload that are neither long nor short."""
        return list(itertools.islice(filter(self._fits, itertools.count()), max(load, LEAST_TASKS)))

    def _fits(self, task: int) -> bool:
        return LEAST_CALLS <= self._policy.call_count(task) <= MOST_CALLS

    def _alone(self) -> list[int]:
        """Tasks that are neither measured nor learnt from."""
        return list(itertools.islice(filter(self._fits, range(FIRST_LEARNT - 1, 0, -1)), ALONE))

    async def _all(self) -> Times:
        """Every other repeat in the opposite order, so that what changes with time hits no cell alone."""
        real: Times = {}
        for repeat in range(self._options.repeats):
            for load in self._options.loads:
                for plan in self._options.cells[:: -1 if repeat % 2 else 1]:
                    for record in await self._cell(plan, load, self._tasks(load)):
                        of_load = real.setdefault(plan.name, {}).setdefault(load, {})
                        of_load.setdefault(record.task, []).append(record.seconds)
        return real

    async def _pair(self) -> tuple[float, float]:
        """Mean task times of A and A' at the highest load."""
        load = max(self._options.loads)
        means = []
        for name in ("A", "A'"):
            records = await self._cell(CELLS[name], load, self._tasks(load))
            means.append(sum(record.seconds for record in records) / len(records))
        return means[0], means[1]

    async def _cell(self, plan: CellPlan, load: int, tasks: Sequence[int]) -> list[TaskRecord]:
        demo, counted = self._demo(plan, load), self._counted()
        async with demo.proxy(plan.name, self._front) as where:
            await demo.warm_up(where.url)
            await forget_prefixes(self._front)
            agents_at = Cell(where.name, where.url, model=self._front if plan.native else "")
            records = await demo.run_agents([agents_at], tasks, at_once=load)
        self._prefixes.setdefault((plan.name, load), []).extend(self._token_counts()[counted:])
        for record in records:
            native = self._native.setdefault(record.task, record)
            self._lossless = self._lossless and lossless(native, record)
        mean = sum(record.seconds for record in records) / len(records)
        tell(f"cell {plan.name} at load {load}: {mean:.1f} s, machine's load {os.getloadavg()[0]:.1f}")
        return records

    def _demo(self, plan: CellPlan, load: int) -> Demo:
        live = self._workload.live
        settings = DemoSettings(
            tasks=load,
            time_scale=live.time_scale,
            token_scale=live.token_scale,
            engine="sglang",
            changes=plan.changes,
        )
        return Demo(settings, self._workload, self._folder)

    # -- the engine ---------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _engines(self) -> AsyncIterator[None]:
        install = find_install()
        if install is None:
            raise LabError(f"no SGLang; to install it, in a clone: {INSTALL_COMMAND}", param="sglang")
        most = max(self._options.loads)
        flags = (*ENGINE_FLAGS, f"--max-total-tokens={self._options.kv_tokens}")
        tell("starting SGLang")
        async with SglangServer(install, self._folder, max_running_requests=most, extra_args=flags) as server:
            scale = str(self._workload.live.token_scale)
            command = module("paste_proxy.lab.scripting_front", server.url, scale, str(self._counts))
            async with child("the front of SGLang", command, self._folder) as front:
                self._engine, self._front = server.url, await front.said()
                yield

    def _modelled(self, fitted: EngineSpec) -> EngineSpec:
        """SGLang keeps free what a request says that it may write: of the front's requests a token per byte."""
        output = self._workload.tokens.turn_output.size.p50 * self._workload.live.token_scale
        return msgspec.structs.replace(fitted, reserve_tokens=round(4 * output))

    def _token_counts(self) -> list[TokenCount]:
        lines = self._counts.read_bytes().splitlines() if self._counts.exists() else []
        return [msgspec.json.decode(one, type=TokenCount) for one in lines]

    def _counted(self) -> int:
        return len(self._token_counts())

    # -- the lab ------------------------------------------------------------------------------------------

    def _lab(self, spec: EngineSpec, alone: Sequence[TaskRecord]) -> dict[str, Any]:
        mirror = Mirror(self._workload, spec, self._token_counts())
        mirror.take_over(*mirror.overheads(alone))
        found: Times = {}
        for plan in self._options.cells:
            for load in self._options.loads:
                ahead = (
                    rehearsed(mirror.research, DemoSettings(1, 1.0).learn_tasks) if plan.speculates else None
                )
                tracks = mirror.tracks(self._tasks(load), load, ahead, plan.policy)
                seconds = {task: [track.seconds] for task, track in zip(self._tasks(load), tracks, strict=True)}
                found.setdefault(plan.name, {})[load] = seconds
        return figures(found)


def tell(line: str) -> None:
    """What goes on: minutes pass between two figures."""
    os.write(2, f"{line}\n".encode())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--loads", default="2,8")
    parser.add_argument("--cells", default="A,A',B,E,F,semaphore:3")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--noise", type=int, default=0, help="runs of A and A' alone before")
    parser.add_argument("--kv", type=int, default=KV_TOKENS, help="tokens that the engine's memory holds")
    given = parser.parse_args()
    options = Options(
        loads=tuple(int(load) for load in given.loads.split(",")),
        cells=tuple(plan_of(name) for name in given.cells.split(",")),
        repeats=given.repeats,
        noise=given.noise,
        kv_tokens=given.kv,
    )
    with tempfile.TemporaryDirectory(prefix="paste-bench-") as folder:
        found = asyncio.run(Bench(options, Path(folder)).run())
    if given.json:
        print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return
    for source in ("cells", "lab"):
        for cell, loads in found[source].items():
            for load, row in loads.items():
                print(source, cell, load, *(f"{name}={value}" for name, value in row.items()), sep="  ")
    print(*(f"{name}={found[name]}" for name in ("order", "lossless", "noise", "machine")), sep="\n")


if __name__ == "__main__":
    main()
