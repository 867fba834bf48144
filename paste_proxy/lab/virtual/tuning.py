"""The search behind E*: which semaphore of active sessions, with which order in the engine, is the best.

With fewer sessions at once engines are idle, with more of them memory thrashes: the mean falls and then rises
with the number of places. So the valley is closed in on from both sides, and a run ends as soon as it can't be
the best any more.
"""

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from paste_proxy.lab.engine.spec import PolicyName

GATES = (6, 8, 10, 12, 16, 20, 24, 32, 48, 64)
"""Places for active sessions that are tried, as far as they are below the load. Close together where they are
few: with half of the memory of `research` 8 places are slower than 10 by a tenth."""
ENGINE_POLICIES: tuple[PolicyName, ...] = ("fcfs", "lpm", "hrrn", "shortest-prefill-first")


class Tried(Protocol):
    @property
    def mean_s(self) -> float: ...


R = TypeVar("R", bound=Tried)
Attempt = Callable[[int, PolicyName, float], R | None]
"""Run with so many places (0: any number) and that policy; None once its mean is known to be above a limit."""


def gates_below(load: int) -> tuple[int, ...]:
    """By width: the last is none at all."""
    return (*(gate for gate in GATES if gate < load), 0)


def tuned(gates: Sequence[int], attempt: Attempt[R]) -> R:
    """The best gate under the engine's own order; and with it, and without any, the best order."""
    tuning = _Tuning(attempt)
    best = tuning.gate(gates)
    for gate in sorted({0, best}):
        for policy in ENGINE_POLICIES[1:]:
            tuning.improves(gate, policy)
    assert tuning.best is not None  # the first one can't be above a limit
    return tuning.best


class _Tuning(Generic[R]):
    def __init__(self, attempt: Attempt[R]) -> None:
        self.best: R | None = None
        self._attempt = attempt

    def improves(self, gate: int, policy: PolicyName) -> bool:
        """Whether it is better than any before."""
        limit = self.best.mean_s if self.best is not None else float("inf")
        run = self._attempt(gate, policy, limit)
        if run is None or run.mean_s >= limit:
            return False
        self.best = run
        return True

    def gate(self, gates: Sequence[int]) -> int:
        """`at` is the best so far of those between `low` and `high`; the wider side is halved."""
        low, at, high = -1, len(gates) // 2, len(gates)
        self.improves(gates[at], "fcfs")
        while high - low > 2:
            above = high - at > at - low
            probe = (at + high) // 2 if above else (low + at) // 2
            if self.improves(gates[probe], "fcfs"):
                low, at, high = (at, probe, high) if above else (low, probe, at)
            elif above:
                high = probe
            else:
                low = probe
        return gates[at]
