"""`paste-proxy mcp-wrap`: started by an agent in the place of its MCP server."""

import asyncio
import logging
import signal
import sys

import click

from paste_proxy.config import Config
from paste_proxy.config_mcp import McpServerConfig, McpToolConfig
from paste_proxy.config_reading import check_config

log = logging.getLogger(__name__)


@click.command("mcp-wrap")
@click.option("--proxy", envvar="PASTE_PROXY_URL", default="http://127.0.0.1:8700", help="The running proxy")
@click.option(
    "--url", default="", help="Wrap a server at this address (streamable HTTP), in place of a command"
)
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Sent to --url; repeatable")
@click.option("--read", "reads", multiple=True, metavar="TOOL", help="A tool that changes nothing; repeatable")
@click.option("--stateless", is_flag=True, help="A second session sees the same: reads may run ahead in it")
@click.option("--local", is_flag=True, help="Its tools reach no network: the egress rule is not for them")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="TOOL=SCOPE[,SCOPE]",
    help="What a tool reads (with --read) or writes, in place of everything; `TOOL=`: nothing; repeatable",
)
@click.option(
    "--max-age", "max_age_s", default=60.0, show_default=True, help="Seconds after which no result is used"
)
@click.argument("command", nargs=-1)
def mcp_wrap(
    proxy: str,
    url: str,
    headers: tuple[str, ...],
    reads: tuple[str, ...],
    stateless: bool,
    local: bool,
    scopes: tuple[str, ...],
    max_age_s: float,
    command: tuple[str, ...],
) -> None:
    """Start COMMAND, an MCP server, for the agent that starts this, and put its calls behind the proxy.

    What the agent sees is the server's. Where no proxy is there, nothing else is different either.
    """
    if bool(command) == bool(url):
        raise click.UsageError("name one server: `-- CMD ...` to start it, or --url URL")
    settings = McpServerConfig(
        command=command[0] if command else "",
        args=command[1:],
        url=url,
        headers=_headers(headers),
        read=reads,
        stateful=not stateless,
        network=not local,
        tools=_scopes(scopes, reads),
        max_age_s=max_age_s,
    )
    check_config(Config(mcp_servers={"wrapped": settings}))
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="paste-proxy mcp-wrap: %(message)s")
    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # its tracebacks are of what is passed on anyway
    sys.exit(asyncio.run(_run(proxy, settings)))


def _scopes(stated: tuple[str, ...], reads: tuple[str, ...]) -> dict[str, McpToolConfig]:
    tools = {}
    for scope in stated:
        tool, equals, names = scope.partition("=")
        if not equals or not tool or tool in tools:
            raise click.BadParameter(f"{scope!r} is not TOOL=SCOPE, once for a tool", param_hint="--scope")
        of = tuple(name.strip() for name in names.split(",") if name.strip())
        tools[tool] = McpToolConfig(reads=of) if tool in reads else McpToolConfig(writes=of)
    return tools


def _headers(stated: tuple[str, ...]) -> dict[str, str]:
    headers = {}
    for header in stated:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise click.BadParameter(f"{header!r} is not NAME: VALUE", param_hint="--header")
        headers[name.strip()] = value.strip()
    return headers


async def _run(proxy: str, settings: McpServerConfig) -> int:
    """The exit status is the server's."""
    from paste_proxy.mcp_wrap.wrapping import wrapped

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return await wrapped(proxy, settings, stop)
