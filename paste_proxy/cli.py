"""The command line: serve, check, demo, keys, lab, mine, patterns, plugins, shadow-report. Errors of ours are
one line on standard error."""

import asyncio
import errno
import logging
import sys
import traceback
from pathlib import Path
from typing import Literal, TypeVar

import click
import msgspec
import uvloop

import paste_proxy
from paste_proxy.check_command import check
from paste_proxy.config import Config
from paste_proxy.config_reading import check_config, load_config
from paste_proxy.errors import PasteError, PluginError
from paste_proxy.keys_command import keys
from paste_proxy.lab.command import demo
from paste_proxy.lab.mine_command import mine
from paste_proxy.lab.run_command import lab
from paste_proxy.mcp_wrap.command import mcp_wrap
from paste_proxy.observe.shadow_command import shadow_report_command
from paste_proxy.patterns_command import patterns
from paste_proxy.workshop.command import plugins

Section = TypeVar("Section", bound=msgspec.Struct)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(paste_proxy.__version__, prog_name="paste-proxy")
def commands() -> None:
    """A reverse proxy that runs an agent's next tool call while the model still writes."""


@commands.command()
@click.option("--backend", metavar="URL", help="The LLM server, without /v1: http://127.0.0.1:30000")
@click.option(
    "--config", "config_file", metavar="FILE", type=click.Path(path_type=Path), help="YAML configuration"
)
@click.option("--host", help="Address to listen on")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one")
@click.option("--auth", type=click.Choice(["auto", "off"]), help="`off`: ask nobody for a key, on any address")
@click.option("--wait", type=click.FloatRange(0), help="Seconds to wait for the backend at the start")
def serve(
    backend: str | None,
    config_file: Path | None,
    host: str | None,
    port: int | None,
    auth: Literal["auto", "off"] | None,
    wait: float | None,
) -> None:
    """Run the proxy until it is told to stop (SIGINT, SIGTERM)."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("mcp").setLevel(logging.WARNING)  # it reports every session

    def read() -> Config:
        config = load_config(config_file) if config_file else Config()
        config = msgspec.structs.replace(
            config,
            listen=_given(config.listen, host=host, port=port),
            backend=_given(config.backend, url=backend, wait_s=None if config.backends else wait),
            backends={name: _given(one, wait_s=wait) for name, one in config.backends.items()},
            auth=auth or config.auth,
        )
        check_config(config)
        return config

    config = read()
    # The MCP SDK takes a second to import: not for a bad key.
    from paste_proxy.app import serve as serve_app
    from paste_proxy.proxy.server import without_traceback_of_bad_requests

    logging.getLogger("aiohttp.server").addFilter(without_traceback_of_bad_requests)
    uvloop.run(serve_app(config, _announce, read if config_file else None))


def _given(section: Section, **options: object) -> Section:
    """The section with the options that were given on the command line."""
    return msgspec.structs.replace(
        section, **{key: value for key, value in options.items() if value is not None}
    )


def _announce(url: str) -> None:
    click.echo(f"listening on {url}")


commands.add_command(check)
commands.add_command(demo)
commands.add_command(keys)
commands.add_command(lab)
commands.add_command(mcp_wrap)
commands.add_command(mine)
commands.add_command(patterns)
commands.add_command(plugins)
commands.add_command(shadow_report_command)


def main() -> None:
    """The entry point `paste-proxy`."""
    try:
        code = commands(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except PasteError as error:
        _give_up(error.message, error.exit_code)
    except click.exceptions.Abort:
        _give_up("interrupted", 130)
    except click.exceptions.NoArgsIsHelpError as error:  # its message is the help, which says who speaks
        click.echo(error.format_message(), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _give_up(error.format_message(), error.exit_code)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _give_up("what this writes to is full: make room, or let it write elsewhere", 1)
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
    except (Exception, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a plugin may raise what is no Exception: no defect of ours
        place = traceback.extract_tb(error.__traceback__)[-1]
        reason = " ".join(str(error).split())
        _give_up(f"{place.filename}:{place.lineno}: {type(error).__name__}: {reason}", PluginError.exit_code)


def _give_up(message: str, code: int) -> None:
    click.echo(f"paste-proxy: {message}", err=True)
    sys.exit(code)
