"""Files of recorded sessions, one JSON object a line.

All of a file is read first: for what sessions exist and which tools they call, and so that a bad line is told
at once and not an hour later. Of each session its line is kept, and read again when it is played.
"""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from paste_proxy.errors import ConfigError

T = TypeVar("T")
Name = Annotated[str, msgspec.Meta(min_length=1)]
Time = Annotated[float, msgspec.Meta(ge=0)]
"""A negative one is a mistake of whoever recorded it."""
SUFFIXES = (".jsonl.gz", ".jsonl")


class RawCall(msgspec.Struct, frozen=True):
    name: Name
    arguments: dict[str, Any]
    id: str | None = None


class Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class RawTurn(msgspec.Struct, frozen=True):
    """One message."""

    role: str
    content: str | None = None
    reasoning: str | None = None
    tool_calls: tuple[RawCall, ...] = ()
    tool_call_id: str | None = None
    ts: Time | None = None
    """When it was complete: unix seconds."""
    tool_ms: Time | None = None
    """Of a tool's result: what the tool took, where that was told apart from waiting."""
    usage: Usage | None = None

    @property
    def text(self) -> str:
        return self.content or ""


class RawSession(msgspec.Struct, frozen=True):
    turns: tuple[RawTurn, ...]
    model: str = ""


class _Line(RawSession, frozen=True, kw_only=True):
    session_id: str
    task: str
    source: str = ""
    tools: tuple[str | dict[str, Any], ...] = ()
    meta: dict[str, Any] = {}


class Trace(msgspec.Struct, frozen=True):
    """One session as it lies in its file: what has to be known of all."""

    line: bytes
    where: str
    source: str
    session_id: str
    task: str
    group: str
    """Sessions of one group have the same tools: a benchmark's domain, else the source."""
    tools: tuple[str, ...]
    """That it was offered or called."""
    offered: tuple[str, ...] = ()
    """Those that it lists, which many a file doesn't."""

    def read(self) -> RawSession:
        return _decoded(self.line, RawSession, self.where)

    @property
    def name(self) -> str:
        return f"{self.source}/{self.session_id}"


def read_traces(path: Path) -> list[Trace]:
    """Raises `ConfigError`. Left out are sessions in which a model says nothing but a greeting; one is left."""
    try:
        lines = _lines(path)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"{path}: can't be read: {error}", param="workload") from error
    found = [_trace(line, f"{path}: line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    traces = [trace for trace in found if trace is not None]
    if not traces:
        said = "is empty" if not found else f"has {len(found)} sessions, but a model speaks in none of them"
        raise ConfigError(f"{path} {said}", param="workload")
    return traces


def _lines(path: Path) -> Sequence[bytes]:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.name.endswith(".gz") else data).splitlines()


def _trace(line: bytes, where: str) -> Trace | None:
    read = _decoded(line, _Line, where)
    if not any(
        turn.role == "assistant" and (place or turn.tool_calls) for place, turn in enumerate(read.turns)
    ):
        return None
    called = (call.name for turn in read.turns for call in turn.tool_calls)
    offered = tuple(_tool_name(tool, where) for tool in read.tools)
    names = tuple(dict.fromkeys([*offered, *called]))
    group = "/".join(filter(None, (read.source, str(read.meta.get("domain", "")))))
    return Trace(line, where, read.source, read.session_id, read.task, group, names, offered)


def _decoded(line: bytes, kind: type[T], where: str) -> T:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ConfigError(f"{where} is no session: {error}", param="workload") from error


def _tool_name(tool: str | dict[str, Any], where: str) -> str:
    """A tool is listed by its name or by its schema, which may be wrapped as in chat requests."""
    schema = tool.get("function", tool) if isinstance(tool, dict) else {"name": tool}
    name = schema.get("name") if isinstance(schema, dict) else None
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{where} lists a tool without a name: {tool!r:.80}", param="workload")
    return name


def trace_file(name: str, folder: Path | None) -> Path:
    """The file of a source in the folder of traces. Raises `ConfigError`."""
    if folder is None:
        raise ConfigError(
            f"the workload needs the traces of {name}: say where they are with --traces or PASTE_TRACES",
            param="traces",
        )
    for path in _candidates(folder, name):
        if path.is_file():
            return path
    raise ConfigError(f"{folder} has no {name}{SUFFIXES[0]} and no {name}{SUFFIXES[1]}", param="traces")


def _candidates(folder: Path, name: str) -> Iterator[Path]:
    for suffix in SUFFIXES:
        yield folder / f"{name}{suffix}"


def source_name(path: Path) -> str:
    """What a file of traces is called, less its suffix; empty if it is none by its name."""
    return next((path.name.removesuffix(end) for end in SUFFIXES if path.name.endswith(end)), "")
