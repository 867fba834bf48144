"""The command line: serve, demo. Errors of ours are one line on standard error; no traceback."""

import asyncio
import logging
import sys
from pathlib import Path

import click
import msgspec
import uvloop

import paste_proxy
from paste_proxy.app import serve as serve_app
from paste_proxy.config import BackendConfig, Config, ListenConfig, load_config
from paste_proxy.errors import PasteError
from paste_proxy.lab.command import demo


@click.group()
@click.version_option(paste_proxy.__version__)
def commands() -> None:
    """A reverse proxy that runs an agent's next tool call while the model still writes."""


@commands.command()
@click.option("--backend", metavar="URL", help="The LLM server, without /v1: http://127.0.0.1:30000")
@click.option(
    "--config", "config_file", metavar="FILE", type=click.Path(path_type=Path), help="YAML configuration"
)
@click.option("--host", help="Address to listen on")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one")
def serve(backend: str | None, config_file: Path | None, host: str | None, port: int | None) -> None:
    """Run the proxy until it is told to stop (SIGINT, SIGTERM)."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    config = load_config(config_file) if config_file else Config()
    config = _override(config, backend, host, port)
    uvloop.run(serve_app(config, on_listening=_announce))


def _override(config: Config, backend: str | None, host: str | None, port: int | None) -> Config:
    listen = ListenConfig(
        host=config.listen.host if host is None else host, port=config.listen.port if port is None else port
    )
    target: BackendConfig = config.backend
    if backend is not None:
        target = msgspec.structs.replace(target, url=backend)
    return msgspec.structs.replace(config, listen=listen, backend=target)


def _announce(url: str) -> None:
    click.echo(f"listening on {url}")


commands.add_command(demo)


def main() -> None:
    """The entry point `paste-proxy`."""
    try:
        commands(standalone_mode=False)
    except PasteError as error:
        _give_up(error.message, 1)
    except click.exceptions.Abort:
        _give_up("interrupted", 130)
    except click.ClickException as error:
        _give_up(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)


def _give_up(message: str, code: int) -> None:
    click.echo(f"paste-proxy: {message}", err=True)
    sys.exit(code)
