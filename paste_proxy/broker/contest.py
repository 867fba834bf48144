"""The predicted runs that wait for a slot: the worthiest of all sessions, as many as may run at once."""

from paste_proxy.broker.speculation import Speculation
from paste_proxy.tools.ports import RunClass


class Contest:
    def __init__(self, places: int) -> None:
        self._places = places
        self._waiting: dict[str, Speculation] = {}

    def enter(self, speculation: Speculation) -> None:
        """Sealed calls take no part: they are certain."""
        if speculation.run_class is RunClass.SPECULATIVE:
            self._waiting[speculation.id] = speculation

    def leave(self, speculation_id: str) -> None:
        self._waiting.pop(speculation_id, None)

    def admits(self, worth: float) -> bool:
        """Whether there is a place for a candidate, or one that is worth less has it."""
        least = self._least()
        return len(self._waiting) < self._places or (least is not None and least.worth < worth)

    def loser(self) -> Speculation | None:
        """The one that has to go."""
        return self._least() if len(self._waiting) > self._places else None

    def _least(self) -> Speculation | None:
        if len(self._waiting) < self._places:
            return None
        return min(self._waiting.values(), key=lambda one: one.worth, default=None)
