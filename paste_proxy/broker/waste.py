"""The cap on waste: a tool whose runs ahead serve nobody too often stays at home for a while, by itself.

Waste is unused runs per authoritative call, of a tool and of a tenant's calls of all tools. Both counts fade,
so that what was long ago says little; and a tool that was put off comes back when its waste has faded, or when
calls have come meanwhile.
"""

from typing import TypeAlias

HALF_LIFE_S = 600.0
"""An hour ago counts as a sixtieth: sessions, and what they ask for, are others by then."""
STEP_S = 1.0
"""Counts fade in steps: of a second, which is a thousandth of what is left."""
EVIDENCE = 20.0
"""Unused runs before anything is put off: with fewer, bad luck looks the same."""
BACK = 0.5
"""The share of the cap at which it comes back: at the cap itself it would go on and off."""
KEPT = 1024
"""Tools and tenants that are known; the longest unused is forgotten first."""

Whose: TypeAlias = tuple[str, str]
"""("tool", its name) or ("tenant", its name)."""


class _Faded:
    """Two counts that halve with time."""

    __slots__ = ("at", "calls", "off", "unused")

    def __init__(self, now: float) -> None:
        self.unused = self.calls = 0.0
        self.at = now
        self.off = False

    def fade(self, now: float) -> None:
        if now - self.at < STEP_S:
            return
        left = 0.5 ** ((now - self.at) / HALF_LIFE_S)
        self.unused *= left
        self.calls *= left
        self.at = now


class WasteCap:
    def __init__(self, cap: float) -> None:
        """`cap`: unused runs per authoritative call; 0: none."""
        self.cap = cap
        self._counts: dict[Whose, _Faded] = {}

    def unused(self, tool: str, tenant: str, now: float) -> None:
        """A run ahead was started and served nobody."""
        for one in self._of(tool, tenant, now):
            one.unused += 1

    def called(self, tool: str, tenant: str, now: float) -> None:
        """An authoritative call came."""
        for one in self._of(tool, tenant, now):
            one.calls += 1

    def puts_off(self, tool: str, tenant: str, now: float) -> bool:
        """Whether the tool is to stay at home now."""
        return bool(self.cap) and any(map(self._is_off, self._of(tool, tenant, now)))

    @property
    def off(self) -> list[str]:
        """Tools that were put off when they were last asked for."""
        return sorted(name for (level, name), one in self._counts.items() if level == "tool" and one.off)

    def _is_off(self, one: _Faded) -> bool:
        if one.off:
            one.off = one.unused >= EVIDENCE * BACK and one.unused >= BACK * self.cap * one.calls
        else:
            one.off = one.unused >= EVIDENCE and one.unused > self.cap * one.calls
        return one.off

    def _of(self, tool: str, tenant: str, now: float) -> tuple[_Faded, _Faded]:
        found = self._known(("tool", tool), now), self._known(("tenant", tenant), now)
        while len(self._counts) > KEPT:
            del self._counts[next(iter(self._counts))]
        return found

    def _known(self, whose: Whose, now: float) -> _Faded:
        """Which is now the one used last."""
        found = self._counts.pop(whose, None) or _Faded(now)
        found.fade(now)
        self._counts[whose] = found
        return found
