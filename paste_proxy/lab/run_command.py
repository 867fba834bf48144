"""`paste-proxy lab run`: cells under load, in virtual time."""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import click
import msgspec
import orjson

from paste_proxy.errors import ConfigError
from paste_proxy.lab import run_options as options
from paste_proxy.lab.calibrate_command import calibrate_command
from paste_proxy.lab.engine.presets import load_engine
from paste_proxy.lab.engine_command import engine_command
from paste_proxy.lab.live_command import live_command
from paste_proxy.lab.plots.page import Report, write_page
from paste_proxy.lab.predict_command import predict_command
from paste_proxy.lab.run_texts import capacity_lines, command, facts, table, tenant_lines
from paste_proxy.lab.schedule_command import schedule_command
from paste_proxy.lab.virtual.capacity import capacities
from paste_proxy.lab.virtual.chat import most_chat_per_s
from paste_proxy.lab.virtual.driver import Arrivals
from paste_proxy.lab.virtual.experiment import (
    CELLS,
    CellName,
    LabWorkload,
    Plan,
    Run,
    SessionTags,
)
from paste_proxy.lab.virtual.jobs import Job, Source, carried_out
from paste_proxy.lab.virtual.rows import Row, rows_of
from paste_proxy.lab.virtual.tenants import Tenant
from paste_proxy.lab.virtual.workloads import WORKLOADS, Choice
from paste_proxy.schedule.policies import NAMED

_TASKS = 64
"""Per cell: a mean of research tasks is then known to some 5 %, and a paired ratio to 2 %."""
_NOT_COMPARED = "A is not among --cells: nothing is compared with it (no / A, no slower)"


@click.command()
@click.option(
    "--workload",
    default="research",
    show_default=True,
    help=f"One of {', '.join(WORKLOADS)}; a file of traces; or several with weights: research:3,assistant:1",
)
@click.option(
    "--traces",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="PASTE_TRACES",
    show_envvar=True,
    help="Folder of the recorded sessions that assistant, coding and claude-code play, NAME.jsonl.gz each.",
)
@click.option(
    "--engine",
    default="research",
    show_default=True,
    help="The engine's model: research, research-4m, or a file that `lab calibrate` wrote.",
)
@click.option(
    "--engines",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="So many equal engines, and as many times the tools' slots; a session keeps to one.",
)
@click.option(
    "--kv",
    "kvs",
    default="1",
    show_default=True,
    callback=options.times,
    help="Times the engine's KV memory; each number is run in turn, as in 0.5,1,2,4.",
)
@click.option(
    "--load",
    "loads",
    default="1,8,32,64",
    show_default=True,
    callback=options.numbers,
    help="Tasks at once; each number is run in turn.",
)
@click.option(
    "--arrivals",
    type=click.Choice(get_args(Arrivals)),
    default="closed",
    show_default=True,
    help="closed: each place of the load gets its next task when one is over. poisson: at random, so many that "
    "alone they would keep the load busy. cohort: all of the load at once, and again when all are over.",
)
@click.option(
    "--cells",
    default="A,B,O,X",
    show_default=True,
    callback=options.cells,
    help=f"Of {', '.join(CELLS)} (Oinf for O∞), see above. All are compared with A where it is among them.",
)
@click.option(
    "--policy",
    default="joint",
    show_default=True,
    metavar="NAME",
    callback=options.policy,
    help=f"The order of turns in E, F and XF: {', '.join(NAMED)}, or semaphore:N for N sessions at a time.",
)
@click.option(
    "--warm-up",
    is_flag=True,
    help="In E, F and XF, read ahead what the engine has forgotten of sessions that run tools.",
)
@click.option(
    "--session-tags",
    type=click.Choice(get_args(SessionTags)),
    default="off",
    show_default=True,
    help="In E, F and XF, the engine evicts last what sessions refer to, and hears that one is over: never "
    "(told), or as the proxy has learnt it (learnt), see schedule.close_sessions.",
)
@click.option(
    "--tasks",
    type=click.IntRange(2, 1_000_000),
    default=_TASKS,
    show_default=True,
    help="Measured per cell and load; fewer where a recorded workload has no more.",
)
@click.option(
    "--tenants",
    default="default",
    callback=options.tenants,
    metavar="NAME:WEIGHT,...",
    help="Whose the load is, in parts: heavy:8,light:1. The rows then say what each of them gets.",
)
@click.option(
    "--chat",
    "chat_per_s",
    type=click.FloatRange(0, 10_000),
    default=0.0,
    show_default=True,
    metavar="RATE",
    callback=options.rate,
    help="Plain chat requests a second beside the tasks.",
)
@click.option(
    "--tool-rate",
    "tools_per_s",
    type=click.FloatRange(0, 1_000_000),
    default=0.0,
    show_default=True,
    metavar="RATE",
    callback=options.rate,
    help="Runs that each tool begins a second; those beyond it wait there. 0: any number.",
)
@click.option(
    "--tool-failures",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    metavar="SHARE",
    callback=options.rate,
    help="Share of the calls that their tool refuses, the same ones in every cell.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Of arrivals, of the order in A' and of intervals; and which fifth of recorded tasks is measured.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    help="Processes at once; the rows are the same.  [default: as many as there are processors]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the rows as one JSON object.")
@click.option(
    "--report",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write a page with plots there, index.html.",
)
@click.option(
    "--timeline",
    "task",
    type=click.IntRange(0),
    help="The task that the page shows second by second; else one that is like most.",
)
def run(
    *,
    workload: str,
    traces: Path | None,
    engine: str,
    engines: int,
    kvs: tuple[float, ...],
    loads: tuple[int, ...],
    arrivals: Arrivals,
    cells: tuple[CellName, ...],
    policy: str,
    warm_up: bool,
    session_tags: SessionTags,
    tasks: int,
    tenants: tuple[Tenant, ...],
    chat_per_s: float,
    tools_per_s: float,
    tool_failures: float,
    seed: int,
    jobs: int | None,
    as_json: bool,
    folder: Path | None,
    task: int | None,
) -> None:
    """Run a workload's tasks in several cells under rising load, in virtual time.

    The core is the production one; engines and tools are models. A is without running ahead, A' the same in
    another order (what chance does), B runs ahead, E schedules, F does both, O knows every call that can be
    known, O∞ waits for no tool, X and XF predict always wrong, E* is the best semaphore and engine policy,
    T ThunderAgent's rule; lpm, hrrn and spf are engine policies.
    """
    source = Source(workload, Choice(traces, seed))
    loaded = source.load()
    tasks = _measured(loaded, tasks)
    plan = Plan(
        load_engine(engine),
        tasks,
        seed=seed,
        arrivals=arrivals,
        engines=engines,
        policy=policy,
        warm_up=warm_up,
        session_tags=session_tags,
        tenants=tenants,
        chat_per_s=chat_per_s,
        tools_per_s=tools_per_s,
        tool_failures=tool_failures,
    )
    _check(plan, task, folder)
    runs = _runs(source, plan, (kvs, loads, cells), jobs or os.cpu_count() or 1)
    rows = [row for group in runs for row in rows_of(group, seed)]
    if folder is not None:
        again = command(workload, engine, plan, kvs, loads, cells)
        _write_page(loaded.name, plan, again, runs, (rows, task), folder, compared="A" in cells)
    _print(rows, as_json=as_json)
    if "A" not in cells:
        click.echo(_NOT_COMPARED, err=True)


def _write_page(
    name: str,
    plan: Plan,
    again: str,
    runs: list[list[Run]],
    shown: tuple[list[Row], int | None],
    folder: Path,
    *,
    compared: bool,
) -> None:
    """`again`: the command that does it again; `shown`: the rows, and the task that is shown by the second."""
    said = facts(plan) if compared else [*facts(plan), f"{_NOT_COMPARED}."]
    page = Report(f"{name}, in virtual time", said, again, runs, *shown)
    click.echo(f"wrote {write_page(page, folder)}", err=True)


def _print(rows: list[Row], *, as_json: bool) -> None:
    if as_json:
        told = {"rows": msgspec.to_builtins(rows), "capacity": msgspec.to_builtins(capacities(rows))}
        click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    else:
        click.echo("\n".join([*table(rows), *capacity_lines(rows), *tenant_lines(rows)]))


def _runs(
    source: Source,
    plan: Plan,
    axes: tuple[Sequence[float], Sequence[int], Sequence[CellName]],
    at_once: int,
) -> list[list[Run]]:
    """Of each memory and load the cells."""
    kvs, loads, cells = axes
    groups = [(msgspec.structs.replace(plan, kv=kv), load) for kv, load in itertools.product(kvs, loads)]
    runs = carried_out(source, [Job(plan, cell, load) for plan, load in groups for cell in cells], at_once)
    return [list(itertools.islice(runs, len(cells))) for _ in groups]


def _measured(source: LabWorkload, wanted: int) -> int:
    """Tasks per cell: as many as wanted, or as there are."""
    if source.tasks is None or source.tasks >= wanted:
        return wanted
    click.echo(
        f"{source.name}: {source.tasks} tasks are measured, not {wanted}: of recorded ones a fifth is, and"
        " the rest is learnt from. Another --seed measures another fifth.",
        err=True,
    )
    return source.tasks


def _check(plan: Plan, task: int | None, folder: Path | None) -> None:
    """What would fail after a long run, or never end, is said before it."""
    if task is not None and folder is None:
        raise click.BadParameter(
            "it is shown by the page only: say where with --report", param_hint="--timeline"
        )
    if task is not None and task >= plan.tasks:
        raise click.BadParameter(f"there are {plan.tasks} tasks, from 0 on", param_hint="--timeline")
    most = plan.engines * most_chat_per_s(plan.engine)
    if plan.chat_per_s >= most:
        raise click.BadParameter(
            f"{plan.chat_per_s:g} a second are more than is ever answered: {plan.engines} such engines answer"
            f" {most:.1f} when they do nothing else",
            param_hint="--chat",
        )
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder} can't be made: {error.strerror}", param="report") from error


@click.group(short_help="Experiments, live or in virtual time; judge the predictor.")
def lab() -> None:
    """Experiments: in virtual time, with a live server, on recorded sessions."""


lab.add_command(run)
lab.add_command(calibrate_command)
lab.add_command(engine_command)
lab.add_command(live_command)
lab.add_command(predict_command)
lab.add_command(schedule_command)
