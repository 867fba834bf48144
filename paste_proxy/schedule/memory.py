"""What is left of each session in an engine's memory, by our own account: the longest unused goes first."""

from collections import OrderedDict

SESSIONS = 10_000
"""Of which it is kept at most: where the memory's size is not known, nothing else ends the account."""


class Memory:
    def __init__(self) -> None:
        self.tokens = 0
        """What fits; 0: nobody knows."""
        self._held: OrderedDict[str, int] = OrderedDict()
        self._total = 0

    def holds(self, session: str) -> int:
        return self._held.get(session, 0)

    def used(self, session: str, tokens: int) -> None:
        """The session's prompt and reply are there now, the newest of all."""
        self.drop(session)
        self._held[session] = tokens
        self._total += tokens
        while len(self._held) > SESSIONS or (self.tokens and self._total > self.tokens and len(self._held) > 1):
            self._total -= self._held.popitem(last=False)[1]

    def touched(self, session: str) -> None:
        """A turn of it goes there: what is there of it is used again."""
        if session in self._held:
            self._held.move_to_end(session)

    def clear(self) -> None:
        self._held.clear()
        self._total = 0

    def drop(self, session: str) -> None:
        self._total -= self._held.pop(session, 0)
