"""What the lab costs: an hour of virtual time with many sessions at once, on one core.

`python -m benchmarks.lab [--json] [--sessions 1000] [--engines 20] [--hours 1] [--cells A,B]` prints for each
cell `sessions`, `engines`, `virtual_s`, `turns` (LLM requests that came to their end), `us_per_turn`, and two
times of the whole: `wall_s`, and `cpu_s` of the process, which other work on the machine changes less.
Everything runs in one thread. The workload is `research`, each session with its next task when one is over; on
20 engines 1,000 sessions are 50 on each, where memory runs short; more engines answer more turns an hour, and
the hour takes longer. `events` and `us_per_event` are those that the core handled.
"""

import argparse
import json
import sys
import time
from typing import Any

from paste_proxy.events import Decision, Event
from paste_proxy.lab.engine.presets import load_engine
from paste_proxy.lab.garbage import rare_collections
from paste_proxy.lab.virtual.experiment import CELLS, Cell, CellName, Plan
from paste_proxy.lab.virtual.research import Research

NEVER = 1_000_000
"""Tasks that are measured: more than end, so that the run does not."""


def measure(cell: CellName, sessions: int, engines: int, virtual_s: float) -> dict[str, Any]:
    """Learning beforehand is not counted."""
    built = Cell(Research(), Plan(load_engine("research"), NEVER, engines=engines), cell, sessions)
    built.start()
    site, core = built.site, built.site.shell.core
    events, handle = 0, core.handle

    def counted(event: Event, now: float) -> list[Decision]:
        nonlocal events
        events += 1
        return handle(event, now)

    core.handle = counted  # type: ignore[method-assign]
    wall, cpu = time.perf_counter(), time.process_time()
    with rare_collections():
        site.time.run(lambda: site.time.now >= virtual_s)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    turns = sum(engine.ended for engine in site.fleet.engines)
    return {
        "cell": cell,
        "sessions": sessions,
        "engines": engines,
        "virtual_s": virtual_s,
        "wall_s": round(wall, 1),
        "cpu_s": round(cpu, 1),
        "turns": turns,
        "us_per_turn": round(cpu / turns * 1e6),
        "events": events,
        "us_per_event": round(cpu / events * 1e6, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lab")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--engines", type=int, default=20)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--cells", default="A,B")
    options = parser.parse_args()
    cells = [cell for cell in CELLS if cell in options.cells.split(",")]
    figures = [measure(cell, options.sessions, options.engines, 3600 * options.hours) for cell in cells]
    if options.json:
        json.dump(figures, sys.stdout, indent=2)
        print()
        return
    for figure in figures:
        print("  ".join(f"{name}={value}" for name, value in figure.items()))


if __name__ == "__main__":
    main()
