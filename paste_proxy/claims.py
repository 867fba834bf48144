"""Calls of wrapped tools that wait for what becomes of them, and who is told.

Such a call is run by whoever asked for it. So its client is told at once where the result is or will be, or
that it runs the tool itself; what that gives it knows best.
"""

from collections.abc import Callable
from typing import Protocol

from paste_proxy.errors import PasteError
from paste_proxy.events import AnswerCall, Decision, DropResult, FailCall, TellClient


class Claimant(Protocol):
    """Nothing here raises."""

    def told(self, told: TellClient) -> None:
        """What becomes of the call. It comes twice where a run that the call joined has failed."""
        ...

    def refused(self, error: PasteError) -> None:
        """Nothing becomes of it."""
        ...

    def done(self) -> None:
        """Whoever runs it has ended: nothing more is told."""
        ...


class Claims:
    def __init__(self) -> None:
        self.drop: Callable[[DropResult], None] = lambda _drop: None
        """Told of the results that clients keep and nobody wants any more."""
        self._waiting: dict[str, Claimant] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def expect(self, call: str, claimant: Claimant) -> None:
        self._waiting[call] = claimant

    def leave(self, call: str) -> bool:
        """Nobody waits any more. False if nobody did."""
        return self._waiting.pop(call, None) is not None

    def refuse_all(self, error: PasteError) -> None:
        waiting, self._waiting = self._waiting, {}
        for claimant in waiting.values():
            claimant.refused(error)

    def carry_out(self, decision: Decision) -> bool:
        """False if it is not of a wrapped tool's call."""
        match decision:
            case TellClient(call):
                if (claimant := self._waiting.get(call)) is not None:
                    claimant.told(decision)
            case DropResult():
                self.drop(decision)
            case AnswerCall(call) if call in self._waiting:
                self._waiting.pop(call).done()
            case FailCall(call, _, error) if call in self._waiting:
                self._waiting.pop(call).refused(error)
            case _:
                return False
        return True
