"""Which tools page by a cursor: an argument that names a place in somebody's list may move it or use it up.

Whether it does can't be told from a schema. So such a tool of a server, of an agent or at an address is never
run ahead, unless the operator says that it is harmless (`speculation.pages`).
"""

import re
from collections.abc import Container, Mapping
from typing import Any

from msgspec.structs import replace

from paste_proxy.tools.spec import Effect, ToolSpec

DEPTH = 4
"""Levels of objects in a schema that are looked into; where a cursor is nested it is one or two."""

_CURSOR = re.compile(
    r"(?:next|prev|previous|page|start|end|after|before)?cursor(?:id|mark)?"
    r"|(?:next|page|nextpage|pagination|continuation|sync|nextsync|delta|resume|scroll|starting|skip)token"
    r"|continuation|scrollid|deltalink|nextlink|(?:next|start)?marker|startingafter|endingbefore"
    r"|exclusivestartkey|lastevaluatedkey|resumptiontoken|nonce"
)
"""Of a name without its case, `_` and `-`. Numbers of pages and offsets name a place and nothing else."""


def cursor_of(spec: ToolSpec) -> str:
    """The argument that looks like one; "" where there is none."""
    return _cursor_in(spec.parameters, DEPTH)


def held_back(spec: ToolSpec, harmless: Container[str]) -> ToolSpec:
    """The tool, which never runs ahead if it pages and is not `harmless`. It is a read all the same."""
    if spec.effect is not Effect.READ or spec.name in harmless or not cursor_of(spec):
        return spec
    return replace(spec, effect=Effect.NEVER)


def why_never(spec: ToolSpec) -> str:
    """Of a tool that never runs ahead."""
    if spec.volatile or spec.consumes:
        return f"it is declared {'volatile' if spec.volatile else 'to consume what it gives'}"
    if not spec.writes and (cursor := cursor_of(spec)):
        return (
            f"its argument {cursor!r} may be a cursor that moves or is used up; speculation.pages lists tools "
            "where it is not"
        )
    return "it is declared with no effect: `read`, `warm` or `dry_run`"


def _cursor_in(schema: Mapping[str, Any], depth: int) -> str:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or not depth:
        return ""
    for name, part in properties.items():
        if _CURSOR.fullmatch(re.sub(r"[_\-. ]", "", str(name)).lower()):
            return str(name)
        if isinstance(part, Mapping) and (inner := _cursor_in(part, depth - 1)):
            return inner
    return ""
