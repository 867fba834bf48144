"""What is known of the research workload, in the lab: results that others found first, and how ours compare.

`python -m benchmarks.lab_known [--tasks 64] [--seed 0] [--json]`, some minutes on one core. Three tables of
mean task times over those of A with 95 % intervals, paired by task:

- `ahead`, at loads 1 to 8: the oracle O, the predictor of the proxy (B), and one that learns nothing and
  always runs the first three results that were not opened yet (top three).
- `memory`, at loads 32 to 128 with 900,000 and with 4,000,000 KV tokens: a plain semaphore of sessions in
  front of the engine, first come first served, and nothing run ahead.
- `slowdown`, at load 8: B and O where further requests in a batch cost nothing, or twice as much as assumed.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from paste_proxy.lab.engine.presets import load_engine
from paste_proxy.lab.engine.spec import EngineSpec
from paste_proxy.lab.policy import addresses_found
from paste_proxy.lab.sizes import OPEN, SEARCH
from paste_proxy.lab.virtual.experiment import Cell, CellName, Plan, Run, run_cell
from paste_proxy.lab.virtual.predictors import Silent
from paste_proxy.lab.virtual.research import Research
from paste_proxy.lab.virtual.rows import Row, rows_of
from paste_proxy.predict.model import Candidate, History

COLUMNS = ("mean_task_s", "ratio", "ratio_ci95", "queue_s", "prefix_hits", "unused_per_used")


class TopThree(Silent):
    """Of the latest search the first three results that the task has not opened."""

    def predict(self, history: History, tools: Iterable[str], limit: int) -> list[Candidate]:
        latest = next((call for call in reversed(history.calls) if call.tool == SEARCH), None)
        if latest is None:
            return []
        opened = {call.arguments.get("address") for call in history.calls if call.tool == OPEN}
        fresh = [address for address in addresses_found(latest.text) if address not in opened]
        return [Candidate(OPEN, {"address": address}, 1.0, "top three", 1.0) for address in fresh[:3]]


class Bench:
    """Runs cells and says how they compare with A."""

    def __init__(self, tasks: int, seed: int) -> None:
        self._tasks = tasks
        self._seed = seed
        self._workload = Research()

    def ahead(self, loads: Sequence[int]) -> list[dict[str, Any]]:
        plan = self._plan(load_engine("research"))
        found = []
        for load in loads:
            runs = {name: self._cell(plan, cell, load) for name, cell in (("A", "A"), ("B", "B"), ("O", "O"))}
            runs["top three"] = Cell(self._workload, plan, "B", load, predictor=TopThree()).run()
            found += self._rows(runs)
        return found

    def memory(self, loads: Sequence[int], gates: Sequence[int]) -> list[dict[str, Any]]:
        found = []
        for engine in ("research", "research-4m"):
            plan = self._plan(load_engine(engine))
            for load in loads:
                runs = {"A": self._cell(plan, "A", load)}
                for gate in gates:
                    runs[f"semaphore {gate}"] = Cell(self._workload, plan, "A", load, gate=gate).run()
                found += [{"engine": engine, **row} for row in self._rows(runs)]
        return found

    def slowdown(self, load: int) -> list[dict[str, Any]]:
        found, stated = [], load_engine("research")
        for times in (0, 1, 2):
            slower = stated.decode_slowdown_per_running_request * times
            plan = self._plan(msgspec.structs.replace(stated, decode_slowdown_per_running_request=slower))
            runs = {cell: self._cell(plan, cell, load) for cell in ("A", "B", "O")}
            found += [{"slowdown": slower, **row} for row in self._rows(runs)]
        return found

    def _plan(self, engine: EngineSpec) -> Plan:
        return Plan(engine, self._tasks, seed=self._seed)

    def _cell(self, plan: Plan, cell: Any, load: int) -> Run:
        name: CellName = cell
        return run_cell(self._workload, plan, name, load)

    def _rows(self, runs: dict[str, Run]) -> list[dict[str, Any]]:
        """The first run is A."""
        return [
            {"cell": name, "load": row.load, **_columns(row)}
            for name, row in zip(runs, rows_of(list(runs.values()), self._seed), strict=True)
        ]


def _columns(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in COLUMNS}


def measure(tasks: int, seed: int) -> dict[str, list[dict[str, Any]]]:
    bench = Bench(tasks, seed)
    return {
        "ahead": bench.ahead((1, 2, 4, 8)),
        "memory": bench.memory((32, 64, 128), (16, 20)),
        "slowdown": bench.slowdown(8),
    }


def lines(table: Sequence[dict[str, Any]]) -> list[str]:
    """In columns."""
    cells = [[*table[0]], *([_written(value) for value in row.values()] for row in table)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(cells[0]))]
    return ["  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) for line in cells]


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return "-".join(f"{part:.3f}" for part in value)
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lab_known")
    parser.add_argument("--tasks", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    tables = measure(options.tasks, options.seed)
    if options.json:
        json.dump(tables, sys.stdout, indent=2)
        print()
        return
    for name, table in tables.items():
        print(f"\n{name}\n" + "\n".join(lines(table)))


if __name__ == "__main__":
    main()
