"""What is one session's own: the world that its agent has for itself, as a sandbox or a checkout of its own.

Sessions that may be one agent's have it in common, so that a write of one of them is seen by all: those of one
name, of one line of descent, and those without a name that began alike. More in common than there really is
costs results that were run ahead; less would give out old ones.
"""

from collections import Counter

from paste_proxy.broker.scopes import OWN, Epochs

NOTHING: frozenset[str] = frozenset()


class Owners:
    def __init__(self, epochs: Epochs) -> None:
        self._epochs = epochs
        self._own: dict[str, frozenset[str]] = {}
        self._sessions: Counter[str] = Counter()
        """By scope, how many have it."""

    def enter(self, session: str, names: list[tuple[str, ...]], kin: list[str]) -> None:
        """A session begins. `names`: what it may have in common with others; `kin`: sessions whose agent may be
        its agent."""
        own = {OWN + "\0".join(name) for name in names}.union(*(self.of(one) for one in kin))
        self._own[session] = frozenset(own)
        self._sessions.update(own)

    def of(self, session: str) -> frozenset[str]:
        """Nothing, of a session that is not known."""
        return self._own.get(session, NOTHING)

    def read(self, scopes: frozenset[str], session: str) -> frozenset[str]:
        """What a tool that reads `scopes` reads for this session: whatever reads anything may read what is
        the session's own."""
        return scopes | self.of(session) if scopes else scopes

    def forget(self, session: str) -> None:
        """It is over, and with it what ran ahead for it."""
        for scope in self._own.pop(session, NOTHING):
            self._sessions[scope] -= 1
            if not self._sessions[scope]:
                del self._sessions[scope]
                self._epochs.forget(scope)
