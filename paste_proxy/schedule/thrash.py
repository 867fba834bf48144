"""How much of what leases hold the engine has lost, and what they may hold together by that.

No thrash, no holding: until some was seen, leases may fill the whole memory and a little more. Then there is
a budget, which falls while leased sessions find their prompts gone, and rises while they don't.
"""

from collections.abc import Sequence

WINDOW_S = 10.0
"""Two or three turns of every session under way: fewer say little."""
HIGH, LOW = 0.20, 0.03
"""Shares of the prompts that were lost. Below 3 % memory is not the bottleneck: a tenth of a session's prompt
is new each turn anyway. Above 20 % the engine reads more of what is lost than of what is new; at 10 %, in the
lab, nobody was done sooner, and sessions waited at loads where without an order hardly one does."""
LESS = 0.92
"""Falls faster than it rises: each window above costs everybody."""
FULL = 0.92
"""Of the size at which memory overflows, as it is known or was found: where leases may grow to at once. In the
lab 0.9 to 0.97 are alike, at 1.0 thrash begins: sessions that are over are there still, the newest of all."""
LEAST = 0.75
"""Of that size: the budget never falls below. What thrashes beyond is not the leases' doing but that of turns
without one, and to lease less would only make more of those."""
CALM = 1.05
"""Of that size: where leases may grow to before there was thrash. Sessions away for long make room for others,
so that a little more than fits costs nothing, while to hold somebody back at once costs him his wait."""
GROWN = 1.10
"""Of that size: what they may have grown to before there was thrash and one has to go. He would wait for his
place again, which is the longest wait that anyone has where the memory is only just too small."""
QUIET = 6
"""Windows without a session that waits, after which it is as if there had been no thrash."""
STEP, PROBE = 0.5, 0.02
"""Of a session's tokens in a window: how fast the budget rises below that, and above. Sessions may share a long
beginning, or the size be another than it was, and then more fits; but to find the edge costs thrash."""


class Budget:
    def __init__(self) -> None:
        self.thrash = 0.0
        """Of the last window."""
        self.tokens: float | None = None
        """What leases may hold together; None: any number. Asked for with each turn, it is kept ready."""
        self._tokens: float | None = None
        """Once there was thrash; None: nobody knows."""
        self._tight = False
        """There was, of late."""
        self._quiet = 0
        """Windows in a row without a session that waits."""
        self._overflows = 0.0
        """About where; 0: nobody knows."""
        self._memory = 0
        self._prompts = 0
        self._lost = 0
        self._ends = 0.0

    def knows(self, memory: int) -> None:
        """The engine's memory has so many tokens; 0: nobody knows."""
        if memory != self._memory:
            self._memory, self._overflows = memory, memory
            self._tokens = FULL * memory if memory else None
            self._limit_leases()

    @property
    def grown(self) -> float | None:
        """What they may have grown to together."""
        return GROWN * self._memory if self._memory and not self._tight else self._tokens

    @property
    def safe(self) -> float | None:
        """What they may hold without risk: what nobody waits for is not worth any. None: nobody knows."""
        return self._tokens

    def used(self, prompt: int, lost: int) -> None:
        self._prompts += prompt
        self._lost += lost

    def is_due(self, now: float) -> bool:
        return now >= self._ends

    def adjust(self, leases: Sequence[int], now: float, *, holds: bool) -> None:
        """`leases`: what each holds. `holds`: sessions wait for one."""
        if not self.is_due(now):
            return
        if self._ends and self._prompts:
            self.thrash = self._lost / self._prompts
            self._change(leases, holds=holds)
            self._limit_leases()
        self._prompts = self._lost = 0
        self._ends = now + WINDOW_S

    def _limit_leases(self) -> None:
        calm = self._memory and not self._tight
        self.tokens = CALM * self._memory if calm else self._tokens

    def _change(self, leases: Sequence[int], *, holds: bool) -> None:
        self._quiet = 0 if holds else self._quiet + 1
        self._tight = self.thrash > HIGH or (self._tight and self._quiet < QUIET)
        held = sum(leases)
        if not held:
            return
        if self.thrash > HIGH:
            top = min(held, self._tokens or held)
            self._overflows = self._memory or self._overflows or top
            self._tokens = max(LESS * top, LEAST * self._overflows)
        elif self.thrash < LOW and self._tokens is not None and holds and self._tight:
            step = STEP if self._tokens < FULL * self._overflows else PROBE
            self._tokens += step * held / len(leases)
