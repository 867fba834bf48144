"""What the proxy makes of a plugin: its tools, and what is allowed but seldom meant."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from paste_proxy.tools.authoring import Tool
from paste_proxy.tools.spec import GLOBAL_SCOPE, Effect, ToolSpec

_DEFAULT = {field.name: field.default for field in msgspec.structs.fields(ToolSpec)}
_TELLING = frozenset({"type", "enum", "const", "anyOf", "oneOf", "allOf"})
"""Keywords of a schema of which one says what an argument is."""


class CheckedTool(msgspec.Struct, frozen=True):
    name: str
    place: str
    effect: str
    runs: str
    """Where it runs when asked for."""
    runs_ahead: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    timeout: float
    max_age: float
    arguments: tuple[str, ...]
    """Those that must be given have no `?` behind their names."""
    warnings: tuple[str, ...]


def check(tools: Iterable[Tool[..., Any]]) -> list[CheckedTool]:
    tools = list(tools)
    written = frozenset(scope for tool in tools for scope in tool.spec.writes)
    return [_checked(tool, written) for tool in tools]


def _checked(tool: Tool[..., Any], written: frozenset[str]) -> CheckedTool:
    spec = tool.spec
    required = spec.parameters.get("required", ())
    return CheckedTool(
        name=spec.name,
        place=tool.place,
        effect=spec.effect.value,
        runs=_where(tool, ahead=False),
        runs_ahead=_where(tool, ahead=True) if spec.effect is not Effect.NEVER else "never",
        reads=tuple(sorted(spec.reads)) if spec.effect is Effect.READ else (),
        writes=tuple(sorted(spec.writes)),
        timeout=spec.timeout,
        max_age=spec.max_age,
        arguments=tuple(
            name if name in required else f"{name}?" for name in spec.parameters.get("properties", {})
        ),
        warnings=tuple(_warnings(spec, written)),
    )


def _where(tool: Tool[..., Any], *, ahead: bool) -> str:
    if tool.is_async:
        return "event loop"
    return "worker process" if ahead or tool.isolated else "thread"


def _warnings(spec: ToolSpec, written: frozenset[str]) -> Iterator[str]:
    if not spec.description:
        yield "no docstring: the model is told nothing of what it does"
    if spec.timeout == _DEFAULT["timeout"]:
        yield f"no timeout of its own: a run that hangs holds its call for {spec.timeout:g} s"
    if spec.effect is Effect.READ:
        yield from _warnings_of_a_read(spec, written)
    elif GLOBAL_SCOPE in spec.writes:
        yield "writes everything: each call makes all void that ran ahead; say with `writes` what it changes"
    for name, schema in spec.parameters.get("properties", {}).items():
        if isinstance(schema, Mapping) and not _TELLING & schema.keys():
            yield f"argument {name}: may be anything, so the model is told nothing of it; annotate its type"


def _warnings_of_a_read(spec: ToolSpec, written: frozenset[str]) -> Iterator[str]:
    if GLOBAL_SCOPE in spec.reads:
        yield "reads everything: every write makes void what ran ahead; say with `reads` what it looks at"
        return
    unwritten = sorted(spec.reads - written)
    if unwritten and GLOBAL_SCOPE not in written:
        yield f"reads {', '.join(unwritten)}, which no tool here writes: right if another plugin's does"


def lines(checked: Iterable[CheckedTool]) -> Iterator[str]:
    for tool in checked:
        yield f"{tool.name}({', '.join(tool.arguments)})  {tool.place}"
        ahead = "never runs ahead" if tool.runs_ahead == "never" else f"ahead: {tool.runs_ahead}"
        yield f"  effect {tool.effect}; {_scopes(tool)}; {tool.runs}, {ahead}; timeout {tool.timeout:g} s"
        for warning in tool.warnings:
            yield f"  warning: {warning}"


def _scopes(tool: CheckedTool) -> str:
    """As its effect has it: what it reads, or what it writes."""
    verb, scopes = ("reads", tool.reads) if tool.effect == Effect.READ.value else ("writes", tool.writes)
    named = ("everything" if scope == GLOBAL_SCOPE else scope for scope in scopes)
    return f"{verb} {', '.join(named) or 'nothing that a tool changes'}"
