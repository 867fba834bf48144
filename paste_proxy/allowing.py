"""What the configuration says of tools by their names: whether there are such, and what follows for them."""

import logging
from collections.abc import Collection, Iterable, Mapping

import msgspec

from paste_proxy.config import Config
from paste_proxy.errors import ConfigError
from paste_proxy.tools.paging import why_never
from paste_proxy.tools.spec import Effect, ToolSpec

log = logging.getLogger(__name__)


def check_allowed(config: Config, specs: Mapping[str, ToolSpec], offered: Collection[str] = ()) -> None:
    """A name that can allow nothing is a mistake, and would be one without a word. Raises `ConfigError`.

    `specs`: tools that plugins and the configuration itself declare; `offered`: those that servers and clients
    have by now.
    """
    comes = config.limits.clients or config.mcp_servers
    unknown = [name for name in config.speculation.allow if name not in specs and name not in offered]
    if unknown and comes:
        log.info("speculation.allow: no tool until a server or a client offers it: %s", ", ".join(unknown))
    elif unknown:
        known = ", ".join(sorted({*specs, *offered})) or "none; is a plugin missing?"
        raise ConfigError(
            f"speculation.allow: there is no tool {unknown[0]!r}; known: {known}", param="speculation.allow"
        )
    for name in config.speculation.allow:
        if name in specs and specs[name].effect is Effect.NEVER:
            raise ConfigError(
                f"speculation.allow: {name} can never run ahead: {why_never(specs[name])}",
                param="speculation.allow",
            )


def note_unknown_tools(config: Config, specs: Mapping[str, ToolSpec]) -> None:
    """No error, since a tool may come later; but most likely it is a mistake."""
    for name, tenant in config.tenants.items():
        for tool in tenant.tools:
            if tool not in specs and tool != "*":
                log.warning("tenants.%s.tools: there is no tool %r yet", name, tool)


def as_declared(config: Config, specs: Mapping[str, ToolSpec]) -> dict[str, ToolSpec]:
    """With what the operator says of arguments. A name that is none is a mistake here, too."""
    declared = dict(specs)
    for tool, network in config.speculation.network.items():
        if tool not in specs and (config.mcp_servers or config.limits.clients):
            continue  # a server or a client may offer it: the core holds it to this then
        _check_arguments(specs, "network", tool, network.free)
        declared[tool] = msgspec.structs.replace(declared[tool], network=True)
    for tool in config.speculation.pages:
        if tool not in specs and not (config.mcp_servers or config.limits.clients):
            raise ConfigError(f"speculation.pages: there is no tool {tool!r}", param="speculation.pages")
    for tool, arguments in config.speculation.inert.items():
        if tool not in specs and config.mcp_servers:
            continue  # a server may offer it
        _check_arguments(specs, "inert", tool, arguments)
        declared[tool] = msgspec.structs.replace(declared[tool], inert=specs[tool].inert.union(arguments))
    return declared


def _check_arguments(specs: Mapping[str, ToolSpec], key: str, tool: str, arguments: Iterable[str]) -> None:
    key = f"speculation.{key}"
    if tool not in specs:
        raise ConfigError(f"{key}: there is no tool {tool!r}", param=key)
    for argument in arguments:
        if argument not in specs[tool].parameters["properties"]:
            raise ConfigError(f"{key}: {tool} has no argument {argument!r}", param=key)
