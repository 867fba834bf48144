"""Which gateway tool is meant by a name in a request's `tools`? (DESIGN section 7)

Clients rename: `mcp__server__open`, `server_open`, `open`. A name is resolved if, as it is or without a
configured prefix, it is a gateway tool's and the schemas are equal; otherwise the agent runs the tool itself.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from paste_proxy.grammar.requests import RequestTool
from paste_proxy.tools.spec import ToolSpec

WORDLESS = frozenset({"title", "description", "$schema", "additionalProperties", "strict", "examples"})
"""Schema keywords that frameworks add, drop or rewrite without changing which calls are meant."""


REMEMBERED = 256
"""Lists of tools whose resolution is remembered: about as many kinds of agents as one proxy meets."""


class ToolNames:
    """Resolves the tools of requests, each distinct list once: agents send the same one with every turn."""

    def __init__(self, specs: Mapping[str, ToolSpec], prefixes: Iterable[str]) -> None:
        self._specs = specs
        self._prefixes = tuple(prefixes)
        self._known: OrderedDict[bytes, dict[str, str]] = OrderedDict()

    def resolve(self, offered: tuple[RequestTool, ...]) -> dict[str, str]:
        """See `resolve_tools`."""
        key = msgspec.msgpack.encode(offered)
        if key not in self._known:
            self._known[key] = resolve_tools(offered, self._specs, self._prefixes)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]


def resolve_tools(
    offered: Iterable[RequestTool], specs: Mapping[str, ToolSpec], prefixes: Iterable[str]
) -> dict[str, str]:
    """The request's tool names that mean a gateway tool, with that tool's name. Ambiguous ones are left out."""
    prefixes = ("", *prefixes)
    found: dict[str, str] = {}
    for tool in offered:
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
    return bool(_bare(one, in_properties=False) == _bare(other, in_properties=False))


def _bare(schema: Any, *, in_properties: bool) -> Any:
    """The schema without wordless keywords; names of properties are never keywords."""
    if isinstance(schema, dict):
        kept = {key: part for key, part in schema.items() if in_properties or key not in WORDLESS}
        if not in_properties and not kept.get("required", True):
            del kept["required"]
        return {
            key: _bare(part, in_properties=key == "properties" and not in_properties)
            if key != "required"
            else sorted(part, key=str)
            for key, part in kept.items()
        }
    if isinstance(schema, list):
        return [_bare(part, in_properties=False) for part in schema]
    return schema
