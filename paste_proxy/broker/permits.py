"""Which tools may run ahead now: those that the operator allowed, less what was put off since."""

import msgspec

from paste_proxy.broker.budgets import Budgets
from paste_proxy.broker.waste import WasteCap
from paste_proxy.config import SpeculationConfig
from paste_proxy.tools.ports import RunContext
from paste_proxy.tools.spec import Effect, ToolSpec

EVERY_TOOL = ""
"""In the place of a tool's name: all of them."""


class Permits:
    def __init__(self, allowed: frozenset[str], budgets: Budgets, waste: WasteCap) -> None:
        self.budgets = budgets
        self.waste = waste
        self.volatile: dict[str, ToolSpec] = {}
        """Tools that gave other results than declared when hits were run again. Until the next start, or until
        another tool has the name: one that goes and comes again, with its client, is the same."""
        self.switched_off: set[str] = set()
        """Tools that the operator switched off while running; `EVERY_TOOL` for all."""
        self._allowed = allowed

    def configure(self, allowed: frozenset[str], speculation: SpeculationConfig) -> frozenset[str]:
        """Returns the tools that were allowed until now."""
        gone, self._allowed = self._allowed - allowed, allowed
        self.budgets.configure(msgspec.structs.asdict(speculation.budgets))
        self.waste.cap = speculation.waste
        return gone

    def lists(self, tool: str) -> bool:
        """Whether the operator has listed it."""
        return tool in self._allowed

    def allows(self, spec: ToolSpec) -> bool:
        """Default deny: its author declared an effect, the operator listed it, and nothing has put it off."""
        return (
            spec.effect is not Effect.NEVER
            and spec.name in self._allowed
            and spec.name not in self.volatile
            and self.switched_off.isdisjoint((spec.name, EVERY_TOOL))
        )

    def offered(self, spec: ToolSpec) -> None:
        """What was found of a former tool of this name says nothing of this one."""
        if self.volatile.get(spec.name, spec) != spec:
            del self.volatile[spec.name]

    def admits(self, spec: ToolSpec, context: RunContext, now: float) -> bool:
        """Whether one more predicted run of it is within the budgets and the cap on waste."""
        return self.budgets.admits(spec, context, now) and not self.waste.puts_off(
            spec.name, context.tenant, now
        )

    def reasons(self) -> dict[str, str]:
        """Tools that are put off, and why; `EVERY_TOOL` among them where all are."""
        return {
            **dict.fromkeys(self.waste.off, "waste"),
            **dict.fromkeys(sorted(self.volatile), "volatile"),
            **dict.fromkeys(sorted(self.switched_off), "switched off"),
        }
