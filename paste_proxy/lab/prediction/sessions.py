"""Recorded sessions as the predictor meets them: turn by turn, each with what its request brings."""

import hashlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec

from paste_proxy.errors import ConfigError
from paste_proxy.grammar.requests import Message, MessageCall
from paste_proxy.lab.virtual.replay import Exchange, parted, results_of
from paste_proxy.lab.virtual.traces import SUFFIXES, RawCall, Trace, read_traces, source_name
from paste_proxy.predict.model import Call


class Written(msgspec.Struct, frozen=True):
    """One argument as the model writes it."""

    name: str
    value: Any
    characters: int
    compared: bool
    """False for a rationale: the predictor never hears of it."""


class TurnCall(msgspec.Struct, frozen=True):
    call: Call
    """Without rationales."""
    canonical: str
    """Its arguments as they are compared."""
    head: int
    """Characters up to its first argument."""
    written: tuple[Written, ...]
    result: str | None

    @property
    def characters(self) -> int:
        return self.head + sum(one.characters for one in self.written)


class Turn(msgspec.Struct, frozen=True):
    fresh: tuple[Message, ...]
    """What its request holds beyond that of the turn before."""
    reasoning: str
    text: str
    calls: tuple[TurnCall, ...]

    @property
    def characters(self) -> int:
        return len(self.reasoning) + len(self.text) + sum(call.characters for call in self.calls)


class Session(msgspec.Struct, frozen=True):
    name: str
    task: str
    offered: tuple[str, ...]
    """Tools that it lists."""
    turns: tuple[Turn, ...]

    @property
    def thinks(self) -> bool:
        """Its model's reasoning can be read."""
        return any(turn.reasoning for turn in self.turns)

    def fold(self, folds: int) -> int:
        """By the task: several sessions may be of one."""
        return fold_of(self.task, folds)


def fold_of(task: str, folds: int) -> int:
    return int(hashlib.sha256(task.encode()).hexdigest(), 16) % folds


def trace_files(path: Path, only: Collection[str] = ()) -> dict[str, Path]:
    """The files of a folder, or the one file, by their stem. Raises `ConfigError`."""
    if path.is_dir():
        found = {source_name(file): file for file in sorted(path.glob(f"*{SUFFIXES[0]}"))}
        if not found:
            raise ConfigError(f"{path} holds no file *{SUFFIXES[0]}", param="traces")
    else:
        found = {source_name(path) or path.stem: path}
    unknown = [name for name in only if name not in found]
    if unknown:
        raise ConfigError(f"{path} has no {unknown[0]}; it has {', '.join(found)}", param="only")
    return {name: file for name, file in found.items() if not only or name in only}


def read_sessions(path: Path, ignored: Collection[str]) -> list[Session]:
    """`ignored` arguments are rationales. Raises `ConfigError` with file and line."""
    return [_session(trace, place, ignored) for place, trace in enumerate(read_traces(path))]


def canonical(arguments: dict[str, Any]) -> str:
    return json.dumps(arguments, sort_keys=True)


def _session(trace: Trace, place: int, ignored: Collection[str]) -> Session:
    opening, exchanges = parted(trace.read().turns)
    fresh = [Message(turn.role, turn.text) for turn in opening]
    turns = []
    for number, exchange in enumerate(exchanges):
        calls = _calls(exchange, ignored)
        turns.append(Turn(tuple(fresh), exchange.said.reasoning or "", exchange.said.text, calls))
        fresh = _after(exchange, calls, number)
    return Session(f"{trace.name} {place}", trace.task, trace.offered, tuple(turns))


def _calls(exchange: Exchange, ignored: Collection[str]) -> tuple[TurnCall, ...]:
    pairs = zip(exchange.said.tool_calls, results_of(exchange), strict=True)
    return tuple(_call(call, None if result is None else result.text, ignored) for call, result in pairs)


def _call(call: RawCall, result: str | None, ignored: Collection[str]) -> TurnCall:
    compared = {name: value for name, value in call.arguments.items() if name not in ignored}
    written = tuple(
        Written(name, value, len(json.dumps({name: value}, ensure_ascii=False)), name in compared)
        for name, value in call.arguments.items()
    )
    head = len(json.dumps({"name": call.name, "arguments": {}}, ensure_ascii=False))
    return TurnCall(Call(call.name, compared), canonical(compared), head, written, result)


def _after(exchange: Exchange, calls: Sequence[TurnCall], number: int) -> list[Message]:
    """What the next request brings. Recorded ids are not unique in a session: calls get new ones."""
    ids = [f"{number}.{place}" for place in range(len(calls))]
    asked = tuple(
        MessageCall(call_id, one.call.tool, json.dumps(one.call.arguments))
        for call_id, one in zip(ids, calls, strict=True)
    )
    results = [
        Message("tool", one.result, call_id=call_id)
        for call_id, one in zip(ids, calls, strict=True)
        if one.result is not None
    ]
    said = Message("assistant", exchange.said.text, asked)
    return [said, *results, *(Message(turn.role, turn.text) for turn in exchange.users)]
