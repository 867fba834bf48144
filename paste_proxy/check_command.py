"""`paste-proxy check`: is the configuration one, are the backends there, and what can they do?"""

import asyncio
import os
import time
from pathlib import Path

import aiohttp
import click
import msgspec

from paste_proxy.access.access import Access
from paste_proxy.backends.asking import Asker
from paste_proxy.backends.report import Report, examine
from paste_proxy.config import BackendConfig, Config
from paste_proxy.config_reading import check_config, load_config
from paste_proxy.errors import ConfigError

USABLE, UNREACHABLE = 0, 1
"""Exit codes, beside that of a `ConfigError`."""


class Checked(msgspec.Struct, frozen=True):
    """All that was found."""

    usable: bool
    backends: tuple[Report, ...] = ()
    error: str = ""
    """Of the configuration."""


@click.command()
@click.option("--backend", metavar="URL", help="The LLM server, without /v1: http://127.0.0.1:30000")
@click.option(
    "--config", "config_file", metavar="FILE", type=click.Path(path_type=Path), help="YAML configuration"
)
@click.option("--json", "as_json", is_flag=True, help="For programs")
def check(backend: str | None, config_file: Path | None, *, as_json: bool) -> int:
    """Check the configuration, and ask each backend what it can do.

    Exits with 0 where all backends can be used, with 1 where one can't be reached or is no LLM
    server, with 2 where the configuration is none.
    """
    try:
        config = _config(backend, config_file)
        access = Access(config, os.environ, time.monotonic)
        reports = asyncio.run(_examine(config, access))
    except ConfigError as error:
        checked, code = Checked(usable=False, error=error.message), error.exit_code
    else:
        checked = Checked(all(report.usable for report in reports), reports)
        code = USABLE if checked.usable else UNREACHABLE
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(checked)))
    else:
        _print(checked, config_file)
    return code


def _config(backend: str | None, config_file: Path | None) -> Config:
    """Raises `ConfigError`."""
    config = load_config(config_file) if config_file else Config()
    if backend is not None:
        one = msgspec.structs.replace(config.backend, url=backend)
        config = msgspec.structs.replace(config, backend=one)
    check_config(config)
    if not (config.backends or config.backend.url):
        raise ConfigError(
            "backend.url: no backend; name one with --backend URL or in the configuration", param="backend.url"
        )
    return config


async def _examine(config: Config, access: Access) -> tuple[Report, ...]:
    from paste_proxy.proxy.lines import Lines  # they check URLs and formats; not for --help

    Lines(config, access, lambda _: None)
    keys = access.backend_keys(config)
    asked = (_ask(name, one, keys[name]) for name, one in config.all_backends.items())
    return tuple(await asyncio.gather(*asked))


async def _ask(name: str, config: BackendConfig, key: str) -> Report:
    headers = {"Authorization": f"Bearer {key}"} if key else None
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), headers=headers) as session:
        return await examine(name, Asker(session, config), config)


def _print(checked: Checked, config_file: Path | None) -> None:
    if checked.error:
        click.echo(f"paste-proxy: {checked.error}", err=True)
        return
    if config_file is not None:
        click.echo(f"{config_file}: a configuration")
    for report in checked.backends:
        click.echo(f"{f'backends.{report.name}' if report.name else 'backend'} {report.url}")
        for row in report.abilities:
            click.echo(f"  {row}")
