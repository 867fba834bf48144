"""Files of recorded sessions, one JSON object a line.

A file is read twice: all of it for what sessions exist and which tools they call, and a session in full when it
is played.
"""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from paste_proxy.errors import ConfigError

T = TypeVar("T")
SUFFIXES = (".jsonl.gz", ".jsonl")


class RawCall(msgspec.Struct, frozen=True):
    name: str
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
    ts: float | None = None
    """When it was complete: unix seconds."""
    tool_ms: float | None = None
    """Of a tool's result: what the tool took, where that was told apart from waiting."""
    usage: Usage | None = None

    @property
    def text(self) -> str:
        return self.content or ""


class RawSession(msgspec.Struct, frozen=True):
    turns: tuple[RawTurn, ...]
    model: str = ""


class _NamedCall(msgspec.Struct, frozen=True):
    name: str


class _HeadTurn(msgspec.Struct, frozen=True):
    role: str
    tool_calls: tuple[_NamedCall, ...] = ()


class _Head(msgspec.Struct, frozen=True):
    session_id: str
    task: str
    turns: tuple[_HeadTurn, ...]
    source: str = ""
    tools: tuple[Any, ...] = ()
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

    def read(self) -> RawSession:
        return _decoded(self.line, RawSession, self.where)

    @property
    def name(self) -> str:
        return f"{self.source}/{self.session_id}"


def read_traces(path: Path) -> list[Trace]:
    """Raises `ConfigError`. Sessions in which a model says nothing but a greeting are left out."""
    try:
        lines = _lines(path)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"{path}: can't be read: {error}", param="workload") from error
    traces = [_trace(line, f"{path}: line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    return [trace for trace in traces if trace is not None]


def _lines(path: Path) -> Sequence[bytes]:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.name.endswith(".gz") else data).splitlines()


def _trace(line: bytes, where: str) -> Trace | None:
    head = _decoded(line, _Head, where)
    if not any(
        turn.role == "assistant" and (place or turn.tool_calls) for place, turn in enumerate(head.turns)
    ):
        return None
    called = (call.name for turn in head.turns for call in turn.tool_calls)
    names = dict.fromkeys([*map(_tool_name, head.tools), *called])
    group = "/".join(filter(None, (head.source, str(head.meta.get("domain", "")))))
    return Trace(line, where, head.source, head.session_id, head.task, group, tuple(filter(None, names)))


def _decoded(line: bytes, kind: type[T], where: str) -> T:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ConfigError(f"{where} is no session: {error}", param="workload") from error


def _tool_name(tool: Any) -> str:
    """A tool is listed by its name or by its schema, which may be wrapped as in chat requests."""
    if isinstance(tool, dict):
        tool = tool.get("function", tool).get("name", "")
    return str(tool)


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
