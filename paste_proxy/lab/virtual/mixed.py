"""Several workloads at once, in given shares: which one a task is of is drawn by its number."""

import bisect
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from paste_proxy.errors import ConfigError
from paste_proxy.lab.virtual.experiment import FILLERS, LabWorkload
from paste_proxy.lab.virtual.world import Script, ToolAnswer, World
from paste_proxy.lab.workload import Draws
from paste_proxy.tools.spec import ToolSpec


class MixedWorld:
    """Every tool belongs to one workload, and is answered there."""

    def __init__(self, worlds: Sequence[World]) -> None:
        """Raises `ConfigError` where a tool's name occurs twice."""
        self._of: dict[str, World] = {}
        self.specs: Mapping[str, ToolSpec] = {
            name: spec for world in worlds for name, spec in world.specs.items()
        }
        for world in worlds:
            if both := self._of.keys() & world.specs.keys():
                tools = ", ".join(sorted(both))
                raise ConfigError(f"workloads that share tools can't be mixed: {tools}", param="workload")
            self._of |= dict.fromkeys(world.specs, world)

    def answer(self, task: str, tool: str, arguments: Mapping[str, Any]) -> ToolAnswer:
        return self._of[tool].answer(task, tool, arguments)

    def tokens(self, tool: str, arguments: Mapping[str, Any], text: str) -> int:
        return self._of[tool].tokens(tool, arguments, text)


class Mixed:
    """`experiment.LabWorkload`."""

    def __init__(self, parts: Sequence[tuple[LabWorkload, float]], seed: int) -> None:
        """Workloads with their weights. Raises `ConfigError`."""
        self.name = ",".join(f"{part.name}:{weight:g}" for part, weight in parts)
        self.world = MixedWorld([part.world for part, _ in parts])
        self.rehearsals = sum(part.rehearsals for part, _ in parts)
        self._parts = [part for part, _ in parts]
        self._shares = list(itertools.accumulate(weight for _, weight in parts))
        self._draws = Draws(f"{seed}/mix")
        self._places: list[tuple[int, int]] = []
        """Of each task so far: its workload, and its number there."""
        self._placed: Counter[int] = Counter()

    @property
    def tasks(self) -> int | None:
        """Until one of the workloads has no more."""
        most = [part.tasks for part in self._parts]
        if all(tasks is None for tasks in most):
            return None
        numbers = itertools.count()
        return next(number for number in numbers if self._is_beyond(number, most))

    def script(self, task: int) -> Script:
        if task >= FILLERS:
            part, number = self._drawn(task), task
        else:
            part, number = self._place(task)
        return self._parts[part].script(number)

    def rehearsal(self, number: int) -> Script | None:
        """One workload's after the other's."""
        for part in self._parts:
            if number < part.rehearsals:
                return part.rehearsal(number)
            number -= part.rehearsals
        return None

    def _drawn(self, task: int) -> int:
        at = self._draws.uniform(task) * self._shares[-1]
        return bisect.bisect_right(self._shares, at)

    def _place(self, task: int) -> tuple[int, int]:
        while len(self._places) <= task:
            part = self._drawn(len(self._places))
            self._places.append((part, self._placed[part]))
            self._placed[part] += 1
        return self._places[task]

    def _is_beyond(self, task: int, most: Sequence[int | None]) -> bool:
        part, number = self._place(task)
        tasks = most[part]
        return tasks is not None and number >= tasks
