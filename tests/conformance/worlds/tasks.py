"""Worlds of others as the tests see them: tasks with the calls that solve them, and tools that really run."""

import copy
import json
import random
import re
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from paste_proxy.errors import ToolError
from paste_proxy.lab.virtual.bfcl_dialogues import Instances, load_classes, load_dialogues
from tests.conformance.install_worlds import find_worlds

_NOW = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+")
"""When something was written in this very run; the worlds' own times have no fractions of a second."""
SERVER = Path(__file__).with_name("serve_agentdojo.py")


class Task(msgspec.Struct, frozen=True):
    name: str
    calls: list[tuple[str, dict[str, Any]]]
    reads: frozenset[str]
    """Its tools that change nothing."""


class Worlds(Protocol):
    """One world at a time, that of the task opened last."""

    def tasks(self) -> list[Task]: ...

    def open(self, task: Task) -> None: ...

    def run(self, tool: str, arguments: dict[str, Any]) -> str: ...

    def state(self) -> str: ...


class AgentDojo:
    """Its process runs in an environment of its own."""

    def __init__(self) -> None:
        python = find_worlds()
        assert python is not None
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([python, SERVER], stdin=pipe, stdout=pipe, text=True)

    def tasks(self) -> list[Task]:
        return msgspec.convert(self._ask("tasks"), list[Task])

    def open(self, task: Task) -> None:
        self._ask("open", task.name)

    def run(self, tool: str, arguments: dict[str, Any]) -> str:
        return _NOW.sub("now", str(self._ask("run", tool, arguments)))

    def state(self) -> str:
        return _NOW.sub("now", str(self._ask("state")))

    def close(self) -> None:
        self._process.communicate()

    def _ask(self, what: str, *details: Any) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps([what, *details]) + "\n")
        stdin.flush()
        return json.loads(stdout.readline())


class Bfcl:
    """`bfcl_eval` must be importable."""

    def __init__(self) -> None:
        reads = load_classes().reads
        self._dialogues = {one.name: one for one in load_dialogues()}
        self._reads = frozenset().union(*reads.values())
        self._now: Instances | None = None

    def tasks(self) -> list[Task]:
        return [
            Task(name, [(call.tool, call.arguments) for turn in one.calls for call in turn], self._reads)
            for name, one in self._dialogues.items()
        ]

    def open(self, task: Task) -> None:
        self._now = Instances(self._dialogues[task.name])

    def run(self, tool: str, arguments: dict[str, Any]) -> str:
        assert self._now is not None
        try:
            return self._now.run(tool, copy.deepcopy(arguments))  # which it keeps, and changes later
        except ToolError as error:
            return error.message

    def state(self) -> str:
        assert self._now is not None
        objects = {id(method.__self__): method.__self__ for method in self._now._methods.values()}  # type: ignore[attr-defined]
        return json.dumps([_told(one) for one in objects.values()], sort_keys=True)


def _told(value: Any, depth: int = 0) -> Any:
    """What an object holds, as JSON; a generator of random numbers by its state."""
    assert depth < 50, "an object that holds itself"
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, datetime):
        return "now"  # the only ones that are no text
    if isinstance(value, random.Random):
        return repr(value.getstate())
    if isinstance(value, dict):
        return {str(key): _told(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_told(item, depth + 1) for item in value]
    held = {key: item for key, item in vars(value).items() if key not in ("parent", "_parent")}
    return _told(held, depth + 1)
