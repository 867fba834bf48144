"""The configuration of MCP servers whose tools the proxy offers: a part of `config.py`."""

import re
from typing import Annotated, NoReturn
from urllib.parse import urlsplit

import msgspec

from paste_proxy.config_bounds import AllIfEmpty, Count, Probability, Scope, Seconds, SecondsOrNone
from paste_proxy.errors import ConfigError


class McpToolConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the operator knows of one tool of an MCP server. Unset: as the server's section says."""

    reads: tuple[Scope, ...] = ("*",)
    """Scopes; everything unless stated."""
    writes: tuple[Scope, ...] = ("*",)
    """Scopes; everything unless stated. A tool in `read` writes nothing."""
    inert: tuple[str, ...] = ()
    """Arguments that the operator declares to have no influence on results."""
    max_age_s: SecondsOrNone | None = None
    timeout_s: Seconds | None = None
    concurrency: Count | None = None
    price: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Of one run, in any one currency."""
    volatile: bool = False
    """As `@tool` has it: it never runs ahead, though it may be listed in `read`."""
    consumes: bool = False
    """The same; and it changes something, so it is no read."""
    volatility: Probability = 0.0
    """As `@tool` has it: none, so that a second look at a hit that differs is a fault."""


class McpServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An MCP server whose tools the proxy offers: one that it starts (`command`), or one at a URL."""

    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    """Beside PATH, HOME and the like: a server is not shown what else the proxy's environment holds."""
    cwd: str = ""
    url: str = ""
    headers: dict[str, str] = {}
    include: AllIfEmpty[str] = ()
    """Its tools to offer, by the names that it gives them; empty: all."""
    exclude: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    """Its tools that the operator vouches for as reads. Empty: none, whatever the server says of them."""
    stateful: bool = True
    """Does what a call returns depend on earlier calls of the same connection? True: nothing runs ahead, as
    long as nobody has said that a connection of its own sees the same."""
    network: bool = True
    """Do its tools reach a network? Then the egress rule holds for what runs ahead; true until denied."""
    tools: dict[str, McpToolConfig] = {}
    max_age_s: SecondsOrNone = 60.0
    """As `@tool` has it: a few long turns."""
    timeout_s: Seconds = 120.0
    """As `@tool` has it: above nearly all look-ups, below SDK timeouts."""
    concurrency: Count = 8
    """Runs of each tool at once."""
    start_timeout_s: Seconds = 60.0
    """From the start of the process to its list of tools; `npx` and `uvx` may have to download first."""


_SERVER_NAME = re.compile(r"[a-zA-Z0-9_-]{1,32}")
"""It may become part of a tool's name, for which models and APIs take no other characters."""


def check_mcp_server(key: str, name: str, server: McpServerConfig) -> None:
    """Raises `ConfigError` for what can't be meant; `key` is where it stands."""
    if not _SERVER_NAME.fullmatch(name):
        _refuse(key, "the name may hold letters, digits, `_` and `-`, 32 at most")
    if bool(server.command) == bool(server.url):
        _refuse(f"{key}.command", "state either `command` (and `args`) or `url`")
    if server.url and not _is_address(server.url):
        _refuse(f"{key}.url", f"{server.url!r} is no http:// or https:// address")
    for setting in ("args", "env", "cwd") if server.url else ("headers",):
        if getattr(server, setting):
            _refuse(f"{key}.{setting}", f"is of no use with `{'url' if server.url else 'command'}`")
    _check_mcp_tools(key, server)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _check_mcp_tools(key: str, server: McpServerConfig) -> None:
    for tool in server.read:
        consumes = tool in server.tools and server.tools[tool].consumes
        if tool in server.tools and not consumes and server.tools[tool].writes != McpToolConfig().writes:
            _refuse(
                f"{key}.tools.{tool}.writes", "the tool is listed in `read`, so it writes nothing; drop one"
            )
    for tool in (*server.read, *server.tools):
        if tool in server.exclude or (server.include and tool not in server.include):
            setting = "read" if tool in server.read else "tools"
            _refuse(f"{key}.{setting}", f"{tool} is not offered; see `include` and `exclude`")


def _refuse(key: str, reason: str) -> NoReturn:
    raise ConfigError(f"{key}: {reason}", param=key)
