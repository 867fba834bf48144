"""`paste-proxy lab schedule`: whether what must hold of the joint scheduler does."""

import itertools
import os
import time
from collections.abc import Sequence
from typing import cast, get_args

import click
import msgspec
import orjson

from paste_proxy.lab import run_options as options
from paste_proxy.lab.engine.presets import load_engine
from paste_proxy.lab.virtual.driver import Arrivals
from paste_proxy.lab.virtual.experiment import Plan
from paste_proxy.lab.virtual.jobs import Job, Source, carried_out
from paste_proxy.lab.virtual.rows import Row, rows_of
from paste_proxy.lab.virtual.verdicts import CHECKS, Check, Rows, Setting, Verdict
from paste_proxy.lab.virtual.workloads import Choice
from paste_proxy.schedule.policies import NAMED

_TASKS = 64
"""As of `lab run`."""


def _checks(_context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> list[str]:
    return [name for name in CHECKS if not value or name in value]


def _arrivals(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[Arrivals, ...]:
    if value is None:
        return ()
    names = tuple(dict.fromkeys(value.split(",")))
    if any(name not in get_args(Arrivals) for name in names):
        raise click.BadParameter(f"{value!r} is no list of {', '.join(get_args(Arrivals))}")
    return cast(tuple[Arrivals, ...], names)


@click.command("schedule")
@click.option(
    "--check",
    "checks",
    multiple=True,
    type=click.Choice(list(CHECKS)),
    callback=_checks,
    help="One of them; may be said several times.  [default: all]",
)
@click.option(
    "--policy",
    default="joint",
    show_default=True,
    metavar="NAME",
    callback=options.policy,
    help="The order of turns that is judged.",
)
@click.option("--workload", default="research", show_default=True, help="As of `lab run`.")
@click.option("--engine", default="research", show_default=True, help="As of `lab run`.")
@click.option(
    "--arrivals",
    callback=_arrivals,
    help=f"Of {', '.join(get_args(Arrivals))}, one after the other.  [default: the check's]",
)
@click.option(
    "--kv", "kvs", callback=options.times, help="Times the engine's KV memory.  [default: the check's]"
)
@click.option("--load", "loads", callback=options.numbers, help="Tasks at once.  [default: the check's]")
@click.option(
    "--tasks", type=click.IntRange(2, 1_000_000), default=_TASKS, show_default=True, help="Measured per cell."
)
@click.option("--seed", type=int, default=0, show_default=True, help="As of `lab run`.")
@click.option(
    "--jobs", type=click.IntRange(1, 256), help="Processes at once.  [default: as many as there are processors]"
)
@click.option("--json", "as_json", is_flag=True, help="Print verdicts and rows as one JSON object.")
def schedule_command(
    *,
    checks: list[str],
    policy: str,
    workload: str,
    engine: str,
    arrivals: tuple[Arrivals, ...],
    kvs: tuple[float, ...],
    loads: tuple[int, ...],
    tasks: int,
    seed: int,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Judge the joint scheduler: run cells in virtual time, and say which promises hold.

    \b
    saturation  beyond what engines can do, F beats E* by 15 %
    idle        where nothing is short, E and F lose nothing
    capacity    a fifth more tasks an hour than E* before they get slow
    rivals      no other order is better by 2 %, each is worse by 5 % somewhere
    worse       quantiles, chat, the longest wait; nothing held at low load
    fair        a heavy and a light tenant get their shares

    Its exit code is 1 where something does not hold. docs/lab.md says what is compared with what.
    """
    source = Source(workload, Choice(None, seed))
    plan = Plan(load_engine(engine), _measured(source, tasks), seed=seed, policy=policy)
    at_once, began = jobs or os.cpu_count() or 1, time.monotonic()
    found: dict[str, tuple[list[Verdict], Rows]] = {}
    for name in checks:
        check = CHECKS[name]
        settings = [
            Setting(*one)
            for one in itertools.product(arrivals or check.arrivals, kvs or check.kvs, loads or check.loads)
        ]
        rows = _rows(source, plan, check, settings, at_once)
        found[name] = (list(check.judge(rows)), rows)
        click.echo(f"{name}: {len(settings)} settings, {time.monotonic() - began:.0f} s", err=True)
    if as_json:
        click.echo(orjson.dumps(_as_json(found), option=orjson.OPT_INDENT_2))
    else:
        click.echo("\n".join(_lines({name: verdicts for name, (verdicts, _) in found.items()})))
    if not all(verdict.holds for verdicts, _ in found.values() for verdict in verdicts):
        raise click.exceptions.Exit(1)


def _measured(source: Source, wanted: int) -> int:
    there = source.load().tasks
    return wanted if there is None else min(wanted, there)


def _rows(source: Source, plan: Plan, check: Check, settings: Sequence[Setting], at_once: int) -> Rows:
    policies = [plan.policy, *(name for name in NAMED if check.others and name != plan.policy)]
    jobs = {setting: _jobs(plan, check, setting, policies) for setting in settings}
    runs = carried_out(source, [job for several in jobs.values() for job in several], at_once)
    rows: dict[Setting, Sequence[Row]] = {}
    for setting, several in jobs.items():
        rows[setting] = rows_of(list(itertools.islice(runs, len(several))), plan.seed)
    return rows


def _jobs(plan: Plan, check: Check, setting: Setting, policies: Sequence[str]) -> list[Job]:
    """The policy that is judged comes first."""
    plan = msgspec.structs.replace(
        plan,
        arrivals=setting.arrivals,
        kv=setting.kv,
        chat_per_s=check.chat_per_s,
        tenants=check.tenants,
    )
    jobs = [Job(plan, cell, setting.load) for cell in check.cells]
    others = (msgspec.structs.replace(plan, policy=policy) for policy in policies[1:])
    return jobs + [Job(other, "E", setting.load) for other in others]


def _as_json(found: dict[str, tuple[list[Verdict], Rows]]) -> dict[str, object]:
    return {
        name: {
            "verdicts": [msgspec.to_builtins(one) | {"holds": one.holds} for one in verdicts],
            "rows": [
                msgspec.to_builtins(setting) | msgspec.to_builtins(row)
                for setting, group in rows.items()
                for row in group
            ],
        }
        for name, (verdicts, rows) in found.items()
    }


def _lines(found: dict[str, list[Verdict]]) -> list[str]:
    """A check's promise, and below it what was found."""
    lines = []
    for name, verdicts in found.items():
        held = sum(verdict.holds for verdict in verdicts)
        lines.append(f"{name}: {CHECKS[name].what}: {held} of {len(verdicts)} hold")
        lines += [_line(verdict) for verdict in verdicts]
    return lines


def _line(verdict: Verdict) -> str:
    sign, holds = (">=" if verdict.at_least else "<="), ("  " if verdict.holds else "NO")
    return f"  {holds} {verdict.what}: {verdict.value:.3f} {sign} {verdict.limit:.3f} ({verdict.where})"
