"""What services do to calls under load: they let so many a second begin, and fail a share of them.

Equal calls of a task fail alike in every cell, run ahead or not, so that cells stay comparable. What a run
ahead takes of a rate is missing for others, as it is in production: that is what this is there to show.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from paste_proxy.broker.keys import canonical_text
from paste_proxy.lab.sizes import CHARACTERS_PER_TOKEN
from paste_proxy.lab.virtual.world import ToolAnswer, World
from paste_proxy.lab.workload import Draws
from paste_proxy.tools.ports import Output
from paste_proxy.tools.spec import ToolSpec

REFUSED = "the service refused the call"


class ToolLimits(msgspec.Struct, frozen=True):
    per_s: float = 0.0
    """Runs that a tool begins a second; those beyond it wait at the service. 0: any number."""
    failures: float = 0.0
    """Share of the calls that are refused, at once and without effect."""

    seed: int = 0
    """Of which calls these are."""

    def times(self, services: int) -> "ToolLimits":
        """Of so many equal ones."""
        return msgspec.structs.replace(self, per_s=self.per_s * services)


UNLIMITED = ToolLimits()


def limited(world: World, limits: ToolLimits, now: Callable[[], float]) -> World:
    return LimitedWorld(world, limits, now) if limits.per_s or limits.failures else world


class LimitedWorld:
    """`World`: another one, all of whose tools are behind such services."""

    def __init__(self, world: World, limits: ToolLimits, now: Callable[[], float]) -> None:
        self.specs: Mapping[str, ToolSpec] = world.specs
        self._world = world
        self._limits = limits
        self._draws = Draws(f"{limits.seed}/tools")
        self._now = now
        self._free: dict[str, float] = {}
        """Of each tool: when it next lets a run begin."""

    def answer(self, task: str, tool: str, arguments: Mapping[str, Any]) -> ToolAnswer:
        spec = self.specs[tool]
        wait = self._wait(tool)
        if self._draws.uniform(task, tool, canonical_text(spec, arguments)) < self._limits.failures:
            return ToolAnswer(Output(b"", is_text=True), wait, REFUSED)
        answer = self._world.answer(task, tool, arguments)
        return msgspec.structs.replace(answer, seconds=answer.seconds + wait)

    def tokens(self, tool: str, arguments: Mapping[str, Any], text: str) -> int:
        if REFUSED in text:
            return -(-len(text) // CHARACTERS_PER_TOKEN)
        return self._world.tokens(tool, arguments, text)

    def _wait(self, tool: str) -> float:
        """One that is cancelled while it waits has asked all the same."""
        if not self._limits.per_s:
            return 0.0
        now = self._now()
        begins = max(now, self._free.get(tool, now))
        self._free[tool] = begins + 1 / self._limits.per_s
        return begins - now
