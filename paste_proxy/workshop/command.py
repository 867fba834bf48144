"""`paste-proxy plugins new`, `check` and `run`."""

import asyncio
import keyword
import re
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from paste_proxy.config import PluginConfig
from paste_proxy.errors import ConfigError
from paste_proxy.tools.loading import Registry, load_plugin, load_plugins
from paste_proxy.workshop import check, template, trial

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
"""A module's; tools are named after it, and their names have 64 characters."""


@click.group()
def plugins() -> None:
    """Begin a plugin, have it looked at, run one of its calls."""


PLUGIN = click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
OPTIONS = click.option("--options", metavar="JSON", default="{}", help="The plugin's options, as an object")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object")


@plugins.command("new")
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".")
def new_command(name: str, folder: Path) -> None:
    """Write NAME.py: a read and a write with their comments, a test, and what the configuration says."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise ConfigError(
            f"{name!r} can't name a plugin: small letters, digits and `_`, at most 40", param="NAME"
        )
    if name in sys.stdlib_module_names:
        raise ConfigError(
            f"{name!r} is a module of Python's own, which {name}.py would hide: choose another name",
            param="NAME",
        )
    file = folder / f"{name}.py"
    try:
        with file.open("x", encoding="utf-8") as made:
            made.write(template.written(name))
    except FileExistsError as error:
        raise ConfigError(f"{file} is there already: choose another name", param="NAME") from error
    except OSError as error:
        raise ConfigError(f"{file} can't be written: {error.strerror}", param="NAME") from error
    click.echo(f"wrote {file}; next: paste-proxy plugins check {file}")


@plugins.command("check")
@PLUGIN
@OPTIONS
@AS_JSON
@click.option("--strict", is_flag=True, help="Exit with 1 where there is a warning")
@click.pass_context
def check_command(context: click.Context, *, path: Path, options: str, as_json: bool, strict: bool) -> None:
    """Load a plugin as the proxy would; print its tools, and what is allowed but seldom meant."""
    config = _config(path, options)
    tools = load_plugin(config)
    Registry(tools)  # two of one name are refused where they are gathered
    checked = check.check(tools)
    if as_json:
        click.echo(msgspec.json.encode({"tools": checked}))
    else:
        click.echo("\n".join(check.lines(checked)))
    if strict and any(tool.warnings for tool in checked):
        context.exit(1)


@plugins.command("run")
@PLUGIN
@click.argument("tool")
@click.argument("arguments", metavar="JSON", default="{}")
@OPTIONS
@AS_JSON
@click.pass_context
def run_command(
    context: click.Context, *, path: Path, tool: str, arguments: str, options: str, as_json: bool
) -> None:
    """Run one call ahead of the model and as asked for; warn where the results differ (exit code 1).

    A tool that is not declared `read` is run once.
    """
    registry = load_plugins([_config(path, options)])
    tried = asyncio.run(trial.try_call(registry, tool, arguments.encode("utf-8", "surrogateescape")))
    if as_json:
        click.echo(msgspec.json.encode(tried))
    else:
        _show(tried)
    if tried.same is False:
        context.exit(1)


def _config(path: Path, options: str) -> PluginConfig:
    try:
        decoded = msgspec.json.decode(options, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ConfigError(f"--options: is no JSON object: {error}", param="--options") from error
    return PluginConfig(path=str(path.absolute()), options=decoded, folder=str(Path.cwd()))


def _show(tried: trial.Trial) -> None:
    """The result itself on standard output, all else beside it."""
    click.echo(tried.result)
    for ran in tried.runs:
        click.echo(
            f"{ran.how:9}  began after {ran.start_ms} ms, ran {ran.run_ms} ms, {ran.bytes} bytes", err=True
        )
    if tried.same is None and len(tried.runs) > 1:
        click.echo("what runs ahead prepares the call: there is no result of it to compare", err=True)
    elif tried.same is None:
        click.echo(f"{tried.tool} is declared with no effect: run once, as asked for", err=True)
    elif tried.same:
        click.echo("the same result both times", err=True)
    else:
        click.echo(f"warning: the results differ; ahead it was:\n{tried.other}", err=True)
        click.echo(
            "what differs from run to run must not run ahead: drop effect=READ, or what differs", err=True
        )
