"""What running ahead would have saved: candidates that nobody runs, held against what the model asks for then.

Sans-IO, and bounded per session and in tools. It counts as cautiously as the broker would release: a guess is
good for one call of its session that is exactly equal, for as long as a result would be kept, and no call of a
tool that may write lies between, or waits for its result when the guess is made. What a call would have gained
is the lesser of its lead (from the guess to the seal: what is sealed could start without one) and of its
service time as the agent's next request shows it.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from paste_proxy.predict.model import LEVELS, Prediction

HELD_S = 60.0
"""How long a guess is good: the default `max_age` of a tool's results."""
HELD = 64
"""Guesses of a session that are held: more than three candidates per turn make in a minute of quick turns."""
AWAITED = 256
"""Calls of a session that wait for their result: more parallel calls than any agent issues."""
TOOLS = 256
"""Tools that are told apart: clients choose their names. A large set has some hundred. The rest is counted
together."""


@dataclass(slots=True)
class Tally:
    """One tool's figures. Lists are by level of evidence."""

    calls: int = 0
    """What the model asked for, guessed or not."""
    answered: int = 0
    service_s: float = 0.0
    """Of all that were answered, together."""
    used: list[int] = field(default_factory=lambda: [0] * len(LEVELS))
    """Guesses that were right."""
    unused: list[int] = field(default_factory=lambda: [0] * len(LEVELS))
    saved_s: list[float] = field(default_factory=lambda: [0.0] * len(LEVELS))


@dataclass(eq=False, slots=True)
class _Guess:
    tool: str
    level: int
    known: float
    prediction: Prediction


@dataclass(eq=False, slots=True)
class _Awaited:
    """A call that the model asked for."""

    tool: str
    sealed: float
    issued: float | None = None
    """The end of its turn, as agents run tools then."""
    guess: _Guess | None = None


@dataclass(eq=False, slots=True)
class _Session:
    held: dict[tuple[str, str], _Guess] = field(default_factory=dict)
    """By tool and canonical arguments, the oldest first."""
    awaited: dict[str, _Awaited] = field(default_factory=dict)
    """By call id, or place where it has none; the oldest first."""
    places: int = 0


class Shadow:
    def __init__(self, reads: Callable[[str], bool], served: Callable[[str, float], None]) -> None:
        """`reads`: whether a tool is known to write nothing; `served` is told each observed service time."""
        self.tallies: dict[str, Tally] = {}
        self.others = Tally()
        """Of the tools beyond `TOOLS`."""
        self._reads = reads
        self._served = served
        self._sessions: dict[str, _Session] = {}

    def expect(
        self, session: str, tool: str, arguments: str, level: int, prediction: Prediction, now: float
    ) -> bool:
        """Hold a guess; `arguments` is canonical text. False: it is held already, or a write is under way."""
        state = self._sessions.setdefault(session, _Session())
        self._drop_old(state, now)
        if (tool, arguments) in state.held or self._is_written(state, tool):
            return False
        prediction.outcome = "held"
        state.held[tool, arguments] = _Guess(tool, level, now, prediction)
        if len(state.held) > HELD:
            self._end(state, next(iter(state.held)), "unused")
        return True

    def asked(self, session: str, call_id: str, tool: str, arguments: str, now: float) -> None:
        """The model asked for a call."""
        tally = self._tally(tool)
        tally.calls += 1
        state = self._sessions.setdefault(session, _Session())
        self._drop_old(state, now)
        guess = state.held.pop((tool, arguments), None)
        if guess is not None:
            tally.used[guess.level] += 1
            guess.prediction.outcome = "used"
        if not self._reads(tool):
            for key, one in list(state.held.items()):
                # A row tells what its tool would give if it only read.
                if one.tool != tool:
                    self._end(state, key, "voided")
        state.places += 1
        state.awaited[call_id or f" {state.places}"] = _Awaited(tool, now, guess=guess)
        if len(state.awaited) > AWAITED:
            del state.awaited[next(iter(state.awaited))]

    def turn_ended(self, session: str, now: float) -> None:
        if (state := self._sessions.get(session)) is not None:
            for call in state.awaited.values():
                if call.issued is None:
                    call.issued = now

    def answered(self, session: str, call_ids: Collection[str], now: float) -> None:
        """A request brought these results. Calls without an id are answered by any.

        Results that come together share the time that passed: whether the agent ran them side by side or one
        after another, hiding one of them would not have hidden the others.
        """
        state = self._sessions.get(session)
        if state is None:
            return
        places = [place for place in state.awaited if place in call_ids or place.startswith(" ")]
        calls = [state.awaited.pop(place) for place in places]
        for call in calls:
            issued = call.issued if call.issued is not None else call.sealed
            self._settle(call, max(0.0, now - issued) / len(calls))

    def left(self, session: str, waiting: Collection[str]) -> None:
        """The session asks again: of its calls, only those in `waiting` may still be answered."""
        if (state := self._sessions.get(session)) is not None:
            for place in [place for place in state.awaited if place not in waiting]:
                del state.awaited[place]

    def expire(self, now: float) -> None:
        """What nobody asked for in time was for nothing, though its session may never come back."""
        for state in self._sessions.values():
            self._drop_old(state, now)

    def forget(self, session: str) -> None:
        """The session is over."""
        if (state := self._sessions.pop(session, None)) is not None:
            for key in list(state.held):
                self._end(state, key, "unused")

    @property
    def all(self) -> list[Tally]:
        return [*self.tallies.values(), self.others]

    @property
    def held(self) -> int:
        return sum(len(state.held) for state in self._sessions.values())

    def _settle(self, call: _Awaited, service_s: float) -> None:
        tally = self._tally(call.tool)
        tally.answered += 1
        tally.service_s += service_s
        self._served(call.tool, service_s)
        if (guess := call.guess) is not None:
            tally.saved_s[guess.level] += min(call.sealed - guess.known, service_s)

    def _drop_old(self, state: _Session, now: float) -> None:
        for key in _older(state.held, now - HELD_S):
            self._end(state, key, "unused")

    def _end(self, state: _Session, key: tuple[str, str], outcome: str) -> None:
        guess = state.held.pop(key)
        guess.prediction.outcome = outcome
        self._tally(guess.tool).unused[guess.level] += 1

    def _is_written(self, state: _Session, tool: str) -> bool:
        """Whether a call of another tool that may write has no result yet."""
        return any(one.tool != tool and not self._reads(one.tool) for one in state.awaited.values())

    def _tally(self, tool: str) -> Tally:
        """That of the others for one tool too many."""
        if tool not in self.tallies and len(self.tallies) < TOOLS:
            self.tallies[tool] = Tally()
        return self.tallies.get(tool, self.others)


def _older(held: dict[tuple[str, str], _Guess], than: float) -> Iterable[tuple[str, str]]:
    """They are in the order of their times."""
    old = []
    for key, guess in held.items():
        if guess.known >= than:
            break
        old.append(key)
    return old
