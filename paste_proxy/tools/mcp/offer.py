"""From what a server lists, and what the operator says of it, to the tools that the proxy offers.

Default deny: a tool may run ahead only if the operator vouches for it as a read, and has said that the server
is not stateful. What the server says of itself can only take from that.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import msgspec

from paste_proxy.config_mcp import McpServerConfig, McpToolConfig
from paste_proxy.tools.spec import Effect, ToolSpec


class Offer(msgspec.Struct, frozen=True):
    """What a server offers now."""

    specs: tuple[ToolSpec, ...]
    wire_names: dict[str, str]
    """By the name under which a tool is offered, that by which its server knows it."""
    remarks: tuple[str, ...]
    """What the operator should know: what was left out, or does not run ahead though it was meant to."""


def offer_of(
    server: str,
    config: McpServerConfig,
    listed: Iterable[Mapping[str, Any]],
    *,
    is_taken: Callable[[str], bool],
    kept: Mapping[str, str],
    asked_back: Collection[str] = (),
) -> Offer:
    """`listed`: the tools as JSON has them. `is_taken`: does another source have this name? `kept`: by wire
    name, how a tool was offered before, so that it does not change its name while it lasts. `asked_back`: tools
    that wanted something of their client while they ran ahead.
    """
    specs: dict[str, ToolSpec] = {}
    wire_names: dict[str, str] = {}
    remarks: list[str] = []
    for tool in listed:
        wire = tool["name"]
        if not _is_wanted(config, wire) or wire in wire_names.values():
            continue
        name = _name_of(server, wire, kept.get(wire), lambda name: is_taken(name) or name in specs)
        if name is None:
            remarks.append(f"{wire} is not offered: {wire} and {server}_{wire} are names of other tools")
            continue
        reason = _why_not_ahead(config, tool, wire in asked_back)
        if reason and wire in config.read:
            remarks.append(f"{name} does not run ahead: {reason}")
        specs[name] = _spec(name, config, tool, ahead=not reason, is_read=_is_read(config, tool))
        wire_names[name] = wire
    unknown = sorted({*config.read, *config.tools} - set(wire_names.values()))
    if unknown:
        remarks.append(f"it has no tool {', '.join(unknown)}, though it is said to")
    return Offer(tuple(specs.values()), wire_names, tuple(remarks))


def _is_wanted(config: McpServerConfig, wire: str) -> bool:
    return wire not in config.exclude and (not config.include or wire in config.include)


def _name_of(server: str, wire: str, kept: str | None, is_taken: Callable[[str], bool]) -> str | None:
    for name in (kept, wire, f"{server}_{wire}"):
        if name is not None and not is_taken(name):
            return name
    return None


def _is_read(config: McpServerConfig, tool: Mapping[str, Any]) -> bool:
    """As the operator vouches and the server does not deny."""
    consumes = config.tools.get(tool["name"], McpToolConfig()).consumes
    return tool["name"] in config.read and not consumes and not _says_it_writes(tool)


def _says_it_writes(tool: Mapping[str, Any]) -> str:
    annotations = tool.get("annotations")
    if not isinstance(annotations, Mapping):
        return ""
    if annotations.get("readOnlyHint") is False:
        return "readOnlyHint: false"
    return "destructiveHint: true" if annotations.get("destructiveHint") is True else ""


def _why_not_ahead(config: McpServerConfig, tool: Mapping[str, Any], asked_back: bool) -> str:
    """Empty where it may."""
    if tool["name"] not in config.read:
        return "the operator does not vouch for it as a read"
    if hint := _says_it_writes(tool):
        return f"it is listed in `read`, but its server says `{hint}` of it"
    stated = config.tools.get(tool["name"], McpToolConfig())
    if stated.volatile or stated.consumes:
        return f"it is listed in `read`, and declared {'volatile' if stated.volatile else 'to consume'}"
    if config.stateful:
        return "its server counts as stateful; `stateful: false` says that another connection sees the same"
    if asked_back:
        return "it asked its client for something while it ran ahead"
    return ""


def _spec(
    name: str, config: McpServerConfig, tool: Mapping[str, Any], *, ahead: bool, is_read: bool
) -> ToolSpec:
    stated = config.tools.get(tool["name"], McpToolConfig())
    max_age = config.max_age_s if stated.max_age_s is None else stated.max_age_s
    return ToolSpec(
        name=name,
        description=tool.get("description") or "",
        parameters=tool["inputSchema"],
        effect=Effect.READ if ahead else Effect.NEVER,
        reads=frozenset(stated.reads),
        writes=frozenset() if is_read else frozenset(stated.writes),
        max_age=max_age,
        retention=max_age,
        timeout=stated.timeout_s or config.timeout_s,
        concurrency=stated.concurrency or config.concurrency,
        price=stated.price,
        volatility=stated.volatility,
        volatile=stated.volatile,
        consumes=stated.consumes,
        inert=frozenset(stated.inert),
        network=config.network,
        exact=True,
        listed={**tool, "name": name},
        has_fingerprint=ahead,
    )
