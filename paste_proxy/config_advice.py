"""What the configuration should have said: the choices and keys that there are, beside msgspec's error."""

import re
from difflib import get_close_matches
from typing import Any

import msgspec

_STEP = re.compile(r"\.([^.\[]+)|\[[^\]]*\]")
"""Of a path as msgspec tells it: `$.plugins[0].path`, `$.client_tools[...].writes`."""
_MISNAMED = re.compile(r"Expected `str` matching regex '(.*)' - at `key` in `\$\.(.*)`")
_NO_TEXT = re.compile(r"Expected `str`(?:, got `.*`)? - at `key` in `\$(.*)`")
_UNLIKE = re.compile(r"Expected `str` matching regex '.*'")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)


def advised(reason: str, where: str, root: type[msgspec.Struct]) -> str:
    """The error's text, and what fits at that place; `where` is the path below `root`, without the `$`."""
    node = _node_at(where, root)
    if isinstance(node, msgspec.inspect.Metadata):
        described = (node.extra_json_schema or {}).get("description")
        return f"{_UNLIKE.sub('not one of the choices', reason)}: choose {described}" if described else reason
    if isinstance(node, msgspec.inspect.LiteralType):
        return f"{reason}: choose one of {', '.join(sorted(map(str, node.values)))}"
    unknown = _UNKNOWN.fullmatch(reason)
    if unknown is None or not isinstance(node, msgspec.inspect.StructType):
        return reason
    keys = [field.encode_name for field in node.fields]
    near = " or ".join(f"`{key}`" for key in get_close_matches(unknown[1], keys))
    return f"{reason}{f': did you mean {near}?' if near else ':'} The keys here are {', '.join(keys)}"


def named(where: str, data: object, root: type[msgspec.Struct]) -> str:
    """The path with the names that msgspec leaves out: of all entries of a mapping it says `[...]`."""
    while "[...]" in where:
        above, _, below = where.partition("[...]")
        steps = above.removeprefix(".").split(".")
        entries = _entries(data, steps)
        wrong = [name for name in entries if _fails({name: entries[name]}, steps, root)]
        if not wrong:
            return where
        name = wrong[0]
        where = f"{above}.{name}{below}"
    return where


def misnamed(message: str, data: object, root: type[msgspec.Struct]) -> tuple[str, str] | None:
    """Of a name in a mapping that may not be one: why, and the path. msgspec tells a pattern, and not which."""
    if (untold := _NO_TEXT.fullmatch(message)) is not None:
        where = named(untold[1], data, root).removeprefix(".")
        return f"{_no_text(data, where)} is no text, as names are: write it in quotes", where
    found = _MISNAMED.fullmatch(message)
    if found is None:
        return None
    steps = found[2].split(".")
    entries = _entries(data, steps)
    name = next((one for one in entries if _fails({one: entries[one]}, steps, root)), "")
    dot = "`.`, " if "." in found[1] else ""
    return f"{name!r} is no name for one: letters, digits, {dot}`_` and `-`, at most 64", found[2]


def _no_text(data: object, where: str) -> str:
    """The first name there that YAML takes for something else, as it is written."""
    entries = _entries(data, where.split(".") if where else [])
    names = [name for name in entries if not isinstance(name, str)]
    return msgspec.json.encode(names[0]).decode() if names else "a name"


def _entries(data: Any, steps: list[str]) -> dict[Any, Any]:
    for step in steps:
        data = data.get(step) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def _fails(entry: dict[Any, Any], steps: list[str], root: type[msgspec.Struct]) -> bool:
    """Whether this entry alone is an error."""
    nested: dict[Any, Any] = entry
    for step in reversed(steps):
        nested = {step: nested}
    try:
        msgspec.convert(nested, root)
    except msgspec.ValidationError:
        return True
    return False


def _node_at(where: str, root: type[msgspec.Struct]) -> msgspec.inspect.Type | None:
    """The type of the value there; None where no type is declared."""
    node: msgspec.inspect.Type | None = msgspec.inspect.type_info(root)
    for step in _STEP.finditer(where):
        node = _below(node, step[1])
    return node


def _below(node: msgspec.inspect.Type | None, key: str | None) -> msgspec.inspect.Type | None:
    """The type one step further down: a struct's field, or (None) what is in a list or mapping."""
    match node.type if isinstance(node, msgspec.inspect.Metadata) else node:
        case msgspec.inspect.StructType() as struct:
            return next((field.type for field in struct.fields if field.encode_name == key), None)
        case msgspec.inspect.VarTupleType() as items:
            return items.item_type
        case msgspec.inspect.DictType() as mapping:
            return mapping.value_type
    return None
