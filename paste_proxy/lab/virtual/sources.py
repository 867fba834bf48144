"""Sessions to play as a workload: some are measured, others are learnt from, and no task is on both sides."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Protocol

from paste_proxy.grammar.requests import RequestTool
from paste_proxy.lab.virtual.derivable import Derivable
from paste_proxy.lab.virtual.recorded import RecordedCall, RecordedScript, Session
from paste_proxy.lab.virtual.world import World

FOLDS = 5
"""A fifth of the tasks is measured, the others are learnt from: the usual split, and in five seeds each task is
measured once."""
REHEARSALS = 100
"""Of the 700 sessions that `assistant` has to learn from, the other 600 would add a tenth to the hits, and
eight seconds to every cell."""


class Source:
    """One session. It is built when it is first played: of thousands a run plays some hundred."""

    def __init__(
        self, name: str, task: str, offered: tuple[RequestTool, ...], build: Callable[[], Session]
    ) -> None:
        self.task = task
        self.offered = offered
        self._name = name
        self._build = build

    @cached_property
    def session(self) -> Session:
        return self._build()

    @property
    def fold(self) -> int:
        """By the task: several sessions may be of one."""
        return int.from_bytes(hashlib.sha256(self.task.encode()).digest()[:8]) % FOLDS

    @property
    def order(self) -> bytes:
        """Files are sorted by model and benchmark; this is sorted by nothing."""
        return hashlib.sha256(self._name.encode()).digest()


class SessionWorld(World, Protocol):
    """A world that is told which tasks are under way."""

    def enter(self, script: RecordedScript) -> None:
        """The task begins. One of the same name is forgotten."""

    def leave(self, task: str) -> None: ...


class RecordedWorkload:
    """`experiment.LabWorkload`."""

    def __init__(self, name: str, world: SessionWorld, sources: Sequence[Source], fold: int) -> None:
        """The tasks of `fold` are measured."""
        self.name = name
        self.world = world
        ordered = sorted(sources, key=lambda source: source.order)
        self.measured = [source for source in ordered if source.fold == fold]
        self.others = [source for source in ordered if source.fold != fold]
        self.derivable = Derivable(world.specs, self._learnt_calls())

    @property
    def tasks(self) -> int:
        return len(self.measured)

    @property
    def rehearsals(self) -> int:
        return min(REHEARSALS, len(self.others))

    def script(self, task: int) -> RecordedScript:
        return self._script(self.measured[task % len(self.measured)], f"{self.name}-{task}")

    def rehearsal(self, number: int) -> RecordedScript | None:
        if number >= len(self.others):
            return None
        return self._script(self.others[number], f"{self.name}-rehearsal-{number}")

    def _script(self, source: Source, task: str) -> RecordedScript:
        script = RecordedScript(
            source.session,
            task,
            source.offered,
            derivable=self.derivable.calls,
            ended=self.world.leave,
        )
        self.world.enter(script)
        return script

    def _learnt_calls(self) -> Iterator[tuple[str, RecordedCall]]:
        for source in self.others:
            for turn in source.session.turns:
                for call in turn.calls:
                    yield source.task, call
