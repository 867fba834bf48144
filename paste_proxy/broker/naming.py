"""Which gateway tool is meant by a name in a request's `tools`? (DESIGN section 7)

Clients rename: `mcp__server__open`, `server_open`, `open`. A name is resolved if, as it is or without a
configured prefix, it is a gateway tool's and the schemas are equal; otherwise the agent runs the tool itself.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec

from paste_proxy.grammar.digests import digest
from paste_proxy.grammar.requests import RequestTool
from paste_proxy.tools.spec import ToolSpec
from paste_proxy.tools.table import ToolTable

WORDLESS = frozenset({"title", "description", "$schema", "additionalProperties", "strict", "examples"})
"""Schema keywords that frameworks add, drop or rewrite without changing which calls are meant."""


DEPTH = 64
"""Schemas nested deeper are taken for different: no tool's is."""
REMEMBERED = 256
"""Lists of tools whose resolution is remembered: about as many kinds of agents as one proxy meets."""
NAMES_KEPT = 1024
"""Names of one list: those of two hundred tools with four arguments each."""


class Resolved(msgspec.Struct, frozen=True):
    ours: dict[str, str]
    """See `resolve_tools`."""
    offered: frozenset[str]
    """The names of all its tools, ours where they mean them, and of their arguments."""


class ToolNames:
    """Resolves the tools of requests, each distinct list once: agents send the same one with every turn."""

    def __init__(self, specs: ToolTable, prefixes: Iterable[str]) -> None:
        self._specs = specs
        self._version = specs.version
        self._prefixes = tuple(prefixes)
        self._known: OrderedDict[tuple[str, bytes], Resolved] = OrderedDict()
        """By tenant, and digest of the list: clients send lists of any size. What is found in one has a name
        for each of ours and each prefix at most, and `NAMES_KEPT`."""

    def resolve(self, offered: tuple[RequestTool, ...], tenant: str) -> Resolved:
        """Equal lists give the same object, for as long as our tools are the same."""
        if self._version != self._specs.version:
            self._version = self._specs.version
            self._known.clear()
        key = tenant, digest(msgspec.json.encode(offered))
        if key not in self._known:
            theirs = {name: spec for name, spec in self._specs.items() if self._specs.is_of(name, tenant)}
            ours = resolve_tools(offered, theirs, self._prefixes)
            names = frozenset(islice(_names(offered, ours), NAMES_KEPT))
            self._known[key] = Resolved(ours, names)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]


def _names(offered: Iterable[RequestTool], ours: Mapping[str, str]) -> Iterator[str]:
    for tool in offered:
        yield ours.get(tool.name, tool.name)
        properties = tool.parameters.get("properties")
        if isinstance(properties, dict):
            yield from properties


def resolve_tools(
    offered: Iterable[RequestTool], specs: Mapping[str, ToolSpec], prefixes: Iterable[str]
) -> dict[str, str]:
    """The request's tool names that mean a gateway tool, with that tool's name. Ambiguous ones are left out."""
    prefixes = ("", *prefixes)
    found: dict[str, str] = {}
    offered = tuple(offered)
    times = Counter(tool.name for tool in offered)
    for tool in offered:
        if times[tool.name] > 1:
            continue
        names = {
            tool.name.removeprefix(prefix)
            for prefix in prefixes
            if tool.name.startswith(prefix) and tool.name.removeprefix(prefix) in specs
        }
        if len(names) == 1 and same_schema(tool.parameters, specs[names.copy().pop()].parameters):
            found[tool.name] = names.pop()
    return found


def same_schema(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Equal but for words: the same properties with the same types, defaults and requirements."""
    return bool(_bare(one) == _bare(other))


def _bare(schema: Any, *, in_properties: bool = False, depth: int = 0) -> Any:
    """The schema without wordless keywords; names of properties are never keywords."""
    if depth > DEPTH:
        return object()  # equal to nothing
    if isinstance(schema, list):
        return [_bare(part, depth=depth + 1) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if in_properties:
        return {name: _bare(part, depth=depth + 1) for name, part in schema.items()}
    kept = {key: part for key, part in schema.items() if key not in WORDLESS}
    required = kept.pop("required", ())
    bare = {key: _bare(part, in_properties=key == "properties", depth=depth + 1) for key, part in kept.items()}
    return (bare, sorted(map(str, required)) if isinstance(required, (list, tuple)) else required)
