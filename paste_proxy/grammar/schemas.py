"""Why the schema that a request gives for a tool refuses the arguments of a call; a hint, never an error.

Schema and arguments come from a client and its model, so both may be hostile, and neither may hold the loop:
nothing is fetched, patterns match in linear time, and what could take long is not validated. That includes
schemas that contain themselves: with two ways into each level of the arguments, the time doubles per level.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import jsonschema_rs
import msgspec

from paste_proxy.grammar.digests import digest
from paste_proxy.grammar.requests import RequestTool

TEXT_LIMIT = 64 * 1024
"""Characters of a schema. The largest of well-known servers have about 20,000."""

WEIGHT_LIMIT = 10_000
"""Values in a schema, references followed. Compiling takes 2 us each; ordinary tools have 20 to 300."""

WORK_LIMIT = 4_000_000
"""Values in the schema times characters of the arguments: a bound on how often one is held against the other.
An ordinary schema of 50 values sees 80,000 characters; the most hostile ones found took 0.2 s at this limit."""

DEPTH_LIMIT = 64
"""Levels of objects and lists in a schema, references followed. Those of tools have up to twenty."""

PATTERN_WEIGHT = 100
"""Of a regular expression, which may take half a millisecond to compile and 4 us per character to match."""

FLOAT_WEIGHT = 32
"""Of a fraction: comparing it takes 3 us, where a string takes 50 ns."""

PATTERN_BYTES = 64 * 1024
"""Of a compiled regular expression: enough for 64 times `\\w`, or 256 characters of a class."""

SCHEMAS_KEPT = 256
"""Compiled ones. A session sends its 10 to 50 tools with every turn; sessions of one agent send the same."""

WHY_LIMIT = 200
"""Characters of a reason: it may list every value that would have been allowed."""

_ELSEWHERE = frozenset({"$dynamicRef", "$recursiveRef"})
"""Keywords of references whose target depends on more than a path; so does any `$ref` below another `$id`."""

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder().decode


class Schemas:
    """The schemas of one request's tools. Costs nothing until a call is sealed; then, for a tool of ten
    parameters, 100 us to compile its schema, once for all requests that give it, 30 us to know it again, once
    a request, and 6 us per call."""

    __slots__ = ("_by_name", "_compiled", "_tools")

    def __init__(self, tools: Iterable[RequestTool]) -> None:
        self._tools = tools
        self._by_name: dict[str, Mapping[str, object]] | None = None
        self._compiled: dict[str, _Compiled | None] = {}
        """Of the tools that were called."""

    def refusal(self, tool: str, arguments: dict[str, Any], size: int) -> str:
        """Why these arguments, of `size` characters, are refused; empty if they are not, or if nobody can
        say: no schema, one that is none, or one that would take too long. Never raises."""
        if self._by_name is None:
            self._by_name = {}
            for one in self._tools:
                # Of two tools with one name nobody knows which the model was shown.
                self._by_name[one.name] = {} if one.name in self._by_name else one.parameters
        schema = self._by_name.get(tool)
        if not schema:
            return ""
        try:
            if tool not in self._compiled:
                self._compiled[tool] = _compiled(schema)
            compiled = self._compiled[tool]
            if compiled is None or compiled.weight * size > WORK_LIMIT:
                return ""
            return _refusal(compiled.validator, arguments)
        except BaseException as error:
            if not _is_fault(error):
                raise
            return ""


class _Compiled(msgspec.Struct, frozen=True):
    validator: jsonschema_rs.Validator
    weight: int


_kept: OrderedDict[bytes, _Compiled | None] = OrderedDict()
"""By digest of the schema, the one that was asked for last at the end."""


def _compiled(schema: Mapping[str, object]) -> _Compiled | None:
    if not _is_short(schema):
        return None
    text = _encode(schema)
    key = digest(text)
    compiled = _kept.pop(key) if key in _kept else _compile(text)
    _kept[key] = compiled
    if len(_kept) > SCHEMAS_KEPT:
        _kept.popitem(last=False)
    return compiled


def _is_short(schema: Any) -> bool:
    """Whether it may have no more than `TEXT_LIMIT` characters as text: found without making the text."""
    waiting, size = [schema], 0
    while waiting and size <= TEXT_LIMIT:
        value = waiting.pop()
        if isinstance(value, str):
            size += len(value)
        elif isinstance(value, dict):
            size += len(value)
            if size <= TEXT_LIMIT:
                size += sum(map(len, value))
                waiting.extend(value.values())
        elif isinstance(value, list):
            size += len(value)
            if size <= TEXT_LIMIT:
                waiting.extend(value)
    return size <= TEXT_LIMIT


def _compile(text: bytes) -> _Compiled | None:
    if len(text) > TEXT_LIMIT:
        return None
    schema = _decode(text)
    try:
        if (weight := _Scales(schema).weight()) > WEIGHT_LIMIT:
            return None
        validator = jsonschema_rs.validator_for(
            schema,
            validate_formats=False,  # An annotation, says the standard since 2019; and one of them is `regex`.
            pattern_options=jsonschema_rs.RegexOptions(PATTERN_BYTES, PATTERN_BYTES),
            mask="the value",
            offline=True,
        )
    except BaseException as error:
        if not _is_fault(error):
            raise
        return None
    return _Compiled(validator, weight)


def _is_fault(error: BaseException) -> bool:
    """Something was wrong with a schema or in the library: a panic of Rust code is no `Exception`."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def _refusal(validator: jsonschema_rs.Validator, arguments: dict[str, Any]) -> str:
    try:
        validator.validate(arguments)
    except jsonschema_rs.ValidationError as error:
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
        why = f"${path}: {error.message}"
        return why if len(why) <= WHY_LIMIT else f"{why[:WHY_LIMIT]}..."
    return ""


class _TooHeavyError(Exception):
    """This schema could hold the loop."""


class _Scales:
    """Weighs a schema: how many values it has if every reference is written out. Methods raise
    `_TooHeavyError`, for schemas in themselves too."""

    def __init__(self, schema: Any) -> None:
        self._root = schema
        self._known: dict[str, int | None] = {"#": None}
        """Of what references name; None while it is weighed."""
        self._seen = 0

    def weight(self) -> int:
        return self._weigh(self._root, 0)

    def _weigh(self, value: Any, depth: int) -> int:
        self._seen += 1
        if depth > DEPTH_LIMIT or self._seen > WEIGHT_LIMIT:
            raise _TooHeavyError
        if isinstance(value, dict):
            return 1 + sum(self._weigh_member(key, member, depth + 1) for key, member in value.items())
        if isinstance(value, list):
            return 1 + sum(self._weigh(item, depth + 1) for item in value)
        return FLOAT_WEIGHT if isinstance(value, float) else 1

    def _weigh_member(self, key: str, member: Any, depth: int) -> int:
        """Keywords and names of properties look the same; names are taken for keywords, to be safe."""
        weight = self._weigh(member, depth)
        if isinstance(member, str):
            if key == "$ref":
                return weight + self._weigh_target(member, depth)
            if key in _ELSEWHERE or (key == "$id" and depth > 1):
                raise _TooHeavyError
            return weight + PATTERN_WEIGHT if key == "pattern" else weight
        if key == "patternProperties" and isinstance(member, dict):
            return weight + PATTERN_WEIGHT * len(member)
        return weight

    def _weigh_target(self, reference: str, depth: int) -> int:
        weight = self._known.get(reference, 0)
        if weight is None:
            raise _TooHeavyError
        if not weight:
            self._known[reference] = None
            weight = self._known[reference] = self._weigh(self._target(reference), depth)
        return weight

    def _target(self, reference: str) -> Any:
        start, *steps = reference.split("/")
        if start != "#" or not steps or "%" in reference:
            raise _TooHeavyError
        value = self._root
        for step in steps:
            step = step.replace("~1", "/").replace("~0", "~")
            try:
                value = value[int(step) if isinstance(value, list) else step]
            except (KeyError, ValueError, IndexError, TypeError) as error:
                raise _TooHeavyError from error
        return value
