"""The lab's order of cells, found again: a real SGLang, real proxies and real agents over HTTP, in real time.

`python -m benchmarks.live [--json] [--loads 8] [--cells "A,E,F,A'"] [--repeat 1] [--aa 0]`: about seven
minutes on two cores, of which nobody else should use any; needs SGLang (`python -m
tests.conformance.install_sglang`). Research tasks of middling length, as many at once as the load says, begin
together; the engine's memory holds three of eight, and why everything has the size that it has says
`benchmarks/live_engine.py`.

A and A' are native: the agents ask the engine, and no proxy stands between. P is a proxy with everything off,
B runs ahead, E orders turns (`schedule.policy: joint`), F does both, `semaphore:N` lets N sessions at a time
through; the best of these is E*. All cells have one engine, whose cache is flushed before each, and the same
tasks in the same order; a proxy is started anew for each, and knows nothing of the tasks that are measured.
`--aa N` runs A and A' alone N times first.

A task's time is the median of its repeats, which alternate between the cells; intervals are bootstraps over
tasks, ratios are to A, paired by task. `lossless`: all transcripts are those of A. `lab` is the same in virtual
time, on an engine model that was fitted to this engine before, with the tokens that this engine counted.
`regime` says what was to be in proportion, as it was found, and each cell why it took its time: tokens that
were asked for and those found in memory, what turns were held and tools were waited for, per task.
"""

import argparse
import asyncio
import itertools
import os
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import orjson

from benchmarks.live_engine import (
    KV_TOKENS,
    OUTPUT_SCALE,
    READ_SCALE,
    TIME_SCALE,
    Engine,
    running,
    scaled_workload,
)
from benchmarks.live_figures import (
    CellRun,
    Times,
    figures,
    lossless,
    noise,
    order_of,
    reasons,
    regime,
    same_order,
)
from paste_proxy.lab.calibrate import Effort, calibrate
from paste_proxy.lab.demo import FIRST_LEARNT, Demo, DemoSettings
from paste_proxy.lab.engine.spec import EngineSpec
from paste_proxy.lab.live import forget_prefixes, told_words
from paste_proxy.lab.machine import busy_share, cpu_times
from paste_proxy.lab.mirror import Mirror
from paste_proxy.lab.policy import Policy
from paste_proxy.lab.records import Cell, TaskRecord, TokenCount
from paste_proxy.lab.sizes import Sizes
from paste_proxy.lab.virtual.experiment import rehearsed

LOAD = 8
"""At once: fewer would be alone too soon, as tasks end; each more makes every cell longer."""
LEAST_CALLS, MOST_CALLS = 6, 8
"""Of a measured task, of middling length in the workload: longer ones take minutes each; shorter ones, by whom
memory is left early, hardly come back."""
LEAST_TASKS = 3
"""Measured at a load below that."""
ALONE_CALLS = 4
"""Of the task that runs alone first, to see what a turn and a call take beside the engine and the tool's own
time: five turns tell that in a quarter of a minute."""
EFFORT = Effort(prompts=(64, 512, 1536), rounds=3, output=32, streams=(1, 2, 4))
"""Of calibration: up to the length of a prompt, in half a minute."""
TIMEOUT_S = 600.0
"""Of a request: that of the SDK by itself. A proxy holds a turn no longer than its client's timeout allows."""


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
    repeat: int
    aa: int
    kv_tokens: int


class Bench:
    def __init__(self, options: Options, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self._workload = scaled_workload()
        self._policy = Policy(self._workload, Sizes(self._workload, READ_SCALE, OUTPUT_SCALE))
        self._native: dict[int, TaskRecord] = {}
        self._lossless = True
        self._runs: list[CellRun] = []
        """Those that are measured."""

    async def run(self) -> dict[str, Any]:
        before, load_before, begun = cpu_times(), os.getloadavg(), time.monotonic()
        tell("starting SGLang")
        async with running(self._folder, self._options.kv_tokens, max(self._options.loads)) as engine:
            await self._demo(CELLS["A"], 1).learn()
            spec = self._modelled(await calibrate(engine.url, asking=told_words, effort=EFFORT))
            tell(f"engine: {spec}")
            alone = await self._cell(engine, CELLS["A"], 1, [self._alone()])
            pairs = [await self._pair(engine) for _ in range(self._options.aa)]
            await self._all(engine)
            mirror = Mirror(self._workload, spec, token_counts(engine))
        lab = self._lab(mirror, alone.records)
        cells = figures(self._times())
        for (cell, load), row in reasons(self._runs).items():
            cells[cell][str(load)] |= row
        return {
            "cells": cells,
            "lab": lab,
            "order": {str(load): self._orders(cells, lab, load) for load in self._options.loads},
            "lossless": self._lossless,
            "noise": noise(pairs),
            "regime": regime(spec, self._runs),
            "tasks": {str(load): self._tasks(load) for load in self._options.loads},
            "scales": {"read": READ_SCALE, "output": OUTPUT_SCALE, "tools": TIME_SCALE},
            "repeat": self._options.repeat,
            "engine": msgspec.to_builtins(spec),
            "machine": {
                "took_s": round(time.monotonic() - begun),
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

    def _alone(self) -> int:
        """A task that is neither measured nor learnt from."""
        others = range(FIRST_LEARNT - 1, 0, -1)
        return next(task for task in others if self._policy.call_count(task) == ALONE_CALLS)

    async def _all(self, engine: Engine) -> None:
        """Every other repeat in the opposite order, so that what changes with time hits no cell alone."""
        for repeat in range(self._options.repeat):
            for load in self._options.loads:
                for plan in self._options.cells[:: -1 if repeat % 2 else 1]:
                    self._runs.append(await self._cell(engine, plan, load, self._tasks(load)))

    async def _pair(self, engine: Engine) -> tuple[float, float]:
        """Mean task times of A and A' at the highest load."""
        load = max(self._options.loads)
        first, again = [await self._cell(engine, CELLS[name], load, self._tasks(load)) for name in ("A", "A'")]
        return first.mean_s, again.mean_s

    async def _cell(self, engine: Engine, plan: CellPlan, load: int, tasks: Sequence[int]) -> CellRun:
        demo, counted = self._demo(plan, load), len(token_counts(engine))
        async with demo.proxy(plan.name, engine.front) as where:
            await demo.warm_up(where.url)
            await forget_prefixes(engine.front)
            agents_at = Cell(where.name, where.url, model=engine.front if plan.native else "")
            records = await demo.run_agents([agents_at], tasks, at_once=load)
            stats = await stats_of(where.url)
        for record in records:
            native = self._native.setdefault(record.task, record)
            self._lossless = self._lossless and lossless(native, record)
        run = CellRun(plan.name, load, tuple(records), tuple(token_counts(engine)[counted:]), stats)
        row = reasons([run])[plan.name, load]
        tell(
            f"cell {plan.name} at load {load}: {run.mean_s:.1f} s, load average {os.getloadavg()[0]:.1f}; {row}"
        )
        return run

    def _demo(self, plan: CellPlan, load: int) -> Demo:
        settings = DemoSettings(
            tasks=load,
            time_scale=TIME_SCALE,
            token_scale=READ_SCALE,
            engine="sglang",
            timeout_s=TIMEOUT_S,
            changes=plan.changes,
        )
        return Demo(settings, self._workload, self._folder)

    def _times(self) -> Times:
        times: Times = {}
        for run in self._runs:
            of_load = times.setdefault(run.cell, {}).setdefault(run.load, {})
            for record in run.records:
                of_load.setdefault(record.task, []).append(record.seconds)
        return times

    # -- the lab ------------------------------------------------------------------------------------------

    def _modelled(self, fitted: EngineSpec) -> EngineSpec:
        """SGLang keeps free what a request says that it may write: of the front's requests a token per byte."""
        output = self._workload.tokens.turn_output.size.p50 * OUTPUT_SCALE
        return msgspec.structs.replace(fitted, reserve_tokens=round(4 * output))

    def _lab(self, mirror: Mirror, alone: Sequence[TaskRecord]) -> dict[str, Any]:
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


def token_counts(engine: Engine) -> list[TokenCount]:
    lines = engine.counts.read_bytes().splitlines() if engine.counts.exists() else []
    return [msgspec.json.decode(one, type=TokenCount) for one in lines]


async def stats_of(proxy: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as http, http.get(f"{proxy}/paste/v1/stats") as answer:
        stats: dict[str, Any] = await answer.json()
        return stats


def tell(line: str) -> None:
    """What goes on: minutes pass between two figures."""
    os.write(2, f"{line}\n".encode())


async def measure(options: Options) -> dict[str, Any]:
    """Asked to end (SIGTERM), it ends all that it has started, as it does after Ctrl-C."""
    us = asyncio.current_task()
    assert us is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, us.cancel)
    with tempfile.TemporaryDirectory(prefix="paste-bench-") as folder:
        return await Bench(options, Path(folder)).run()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--loads", default=str(LOAD))
    parser.add_argument("--cells", default="A,E,F,A'")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--aa", type=int, default=0, help="runs of A and A' alone before")
    parser.add_argument("--kv", type=int, default=KV_TOKENS, help="tokens that the engine's memory holds")
    given = parser.parse_args()
    options = Options(
        loads=tuple(int(load) for load in given.loads.split(",")),
        cells=tuple(plan_of(name) for name in given.cells.split(",")),
        repeat=given.repeat,
        aa=given.aa,
        kv_tokens=given.kv,
    )
    try:
        found = asyncio.run(measure(options))
    except asyncio.CancelledError:
        raise SystemExit(128 + signal.SIGTERM) from None
    if given.json:
        print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return
    for source in ("cells", "lab"):
        for cell, loads in found[source].items():
            for load, row in loads.items():
                print(source, cell, load, *(f"{name}={value}" for name, value in row.items()), sep="  ")
    print(*(f"{name}={found[name]}" for name in SAID), sep="\n")


SAID = ("order", "lossless", "noise", "regime", "machine")


if __name__ == "__main__":
    main()
