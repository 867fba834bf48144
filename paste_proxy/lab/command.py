"""`paste-proxy demo`."""

import asyncio
import os
import shutil
import signal
from importlib.util import find_spec
from typing import Literal

import click
import msgspec
import orjson

from paste_proxy.errors import LabError
from paste_proxy.lab.demo import FIRST_LEARNT, DemoResult, DemoSettings, run_demo
from paste_proxy.lab.report import Setting, example, figures, heading, noise
from paste_proxy.lab.workload import load_workload

WIDEST = 160
"""Columns of the timeline at most; beyond it lines are hard to follow."""
ENGINES = {
    "scripted": "scripted: no model, but SGLang's wire format at stated token rates (research.yaml)",
    "sglang": "a real SGLang with a tiny random model, told what to say; one for both cells",
}
LIVE_TASKS, LIVE_AT_ONCE = 8, 4
"""Per cell with a real engine on a CPU: a turn takes it a second or two, with eight in its batch."""


@click.command(short_help="Run research tasks with running ahead off and on.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
@click.option(
    "--engine",
    type=click.Choice(["scripted", "sglang"]),
    default="scripted",
    show_default=True,
    help="`scripted` needs nothing; `sglang` runs a real SGLang where one is installed.",
)
@click.option(
    "--tasks",
    type=click.IntRange(2, FIRST_LEARNT),
    help="Tasks per cell, instead of the workload's 32 (sglang: 8).",
)
@click.option(
    "--attach",
    type=click.Choice(["gateway", "wrap"]),
    default="gateway",
    show_default=True,
    help="Where the tools are: behind the proxy, or wrapped in the agents' process.",
)
def demo(*, as_json: bool, engine: str, tasks: int | None, attach: Literal["gateway", "wrap"]) -> None:
    """Run research tasks with running ahead off and on, side by side, and compare."""
    if find_spec("openai") is None:
        raise LabError("the demo's agents use the openai SDK: pip install 'paste-proxy[demo]'", param="openai")
    settings = msgspec.structs.replace(_settings(engine, tasks), attach=attach)
    _print_heading(settings, to_stderr=as_json)
    result = asyncio.run(_run(settings))
    for line in result.complaints:
        click.echo(line, err=True)
    if as_json:
        click.echo(orjson.dumps(result.outcome.as_json(), option=orjson.OPT_INDENT_2))
    else:
        _print_result(result)


async def _run(settings: DemoSettings) -> DemoResult:
    """A demo that is told to end takes its children with it."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run_demo(settings, _say)


def _say(line: str) -> None:
    """How far it is; standard output holds the result alone."""
    click.echo(line, err=True)


def _settings(engine: str, tasks: int | None) -> DemoSettings:
    """The workload's own scales."""
    workload = load_workload()
    if engine == "scripted":
        return DemoSettings(tasks=tasks or workload.demo.tasks, time_scale=workload.demo.time_scale)
    return DemoSettings(
        tasks=tasks or LIVE_TASKS,
        time_scale=workload.live.time_scale,
        token_scale=workload.live.token_scale,
        engine="sglang",
        at_once=LIVE_AT_ONCE,
    )


def _print_heading(settings: DemoSettings, *, to_stderr: bool) -> None:
    """Standard output holds the JSON object alone."""
    setting = Setting(
        engine=ENGINES[settings.engine],
        time_scale=settings.time_scale,
        token_scale=settings.token_scale,
        tasks=settings.tasks,
        at_once=settings.at_once,
        learnt_from=settings.learn_tasks,
    )
    click.echo("\n".join(heading(setting)), err=to_stderr)


def _print_result(result: DemoResult) -> None:
    width = min(WIDEST, shutil.get_terminal_size().columns)
    lines = [
        "",
        *figures(result.outcome),
        *noise(result.records, result.drawn, result.busy, os.cpu_count() or 1),
        "",
        *example(result.records, result.services, width),
    ]
    click.echo("\n".join(lines))
