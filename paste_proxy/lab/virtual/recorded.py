"""A recorded session, and the script that plays it: its model says what it said, whatever comes back."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from paste_proxy.grammar.requests import RequestTool
from paste_proxy.lab.virtual.world import Answered, Said, SaidCall, Saying
from paste_proxy.predict.model import Call


class RecordedCall(msgspec.Struct, frozen=True):
    tool: str
    arguments: dict[str, Any]
    text: str
    """The arguments as the model writes them."""
    canonical: str
    """The arguments as calls are compared."""
    result: str
    seconds: float


class RecordedTurn(msgspec.Struct, frozen=True):
    """One turn of the model, and what followed it."""

    reasoning: str
    text: str
    calls: tuple[RecordedCall, ...]
    tokens: tuple[int, ...]
    """Of the reasoning, of the text, and of each call, as the engine writes them."""
    kept: int
    """Of all but the reasoning, as later prompts hold them."""
    interlude: tuple[Said, ...]
    pause: float


class Session:
    """At least one turn."""

    def __init__(self, name: str, opening: Sequence[Said], turns: Sequence[RecordedTurn]) -> None:
        """`name` is unique among all sessions."""
        self.name = name
        self.opening = opening
        self.turns = turns
        self._made: dict[tuple[str, str], list[tuple[int, RecordedCall]]] = {}
        for number, turn in enumerate(turns):
            for call in turn.calls:
                self._made.setdefault((call.tool, call.canonical), []).append((number, call))

    def call(self, tool: str, canonical: str, turn: int) -> RecordedCall | None:
        """The first such call that is made in `turn` or later."""
        calls = self._made.get((tool, canonical), ())
        return next((call for number, call in calls if number >= turn), None)


class RecordedScript:
    """`world.Script`."""

    def __init__(
        self,
        session: Session,
        task: str,
        offered: tuple[RequestTool, ...],
        *,
        derivable: Callable[[Session, int], Sequence[Call]],
        ended: Callable[[str], None],
    ) -> None:
        """`derivable` calls from a turn on; `ended` hears the task's name when it is over."""
        self.session = session
        self.task = task
        self.offered = offered
        self.turn = 0
        """The turn that comes next, or whose calls are under way."""
        self._derivable = derivable
        self._ended = ended

    @property
    def opening(self) -> Sequence[Said]:
        return self.session.opening

    @property
    def over(self) -> bool:
        return self.turn == len(self.session.turns)

    def next_turn(self) -> Saying:
        turn = self.session.turns[self.turn]
        reasoning, text, *calls = turn.tokens
        return Saying(
            text=((turn.text, text),),
            calls=tuple(
                # Recorded ids are not unique: programs number their calls, and sessions are played again.
                SaidCall(f"{self.task}.{self.turn}.{place}", call.tool, call.text, tokens)
                for place, (call, tokens) in enumerate(zip(turn.calls, calls, strict=True))
            ),
            reasoning=((turn.reasoning, reasoning),) if turn.reasoning else (),
            kept=turn.kept,
        )

    def answered(self, answers: Sequence[Answered]) -> None:
        """What came back changes nothing."""
        self.turn += 1
        if self.over:
            self._ended(self.task)

    def interlude(self) -> Sequence[Said]:
        return self.session.turns[self.turn - 1].interlude

    def derivable(self) -> Sequence[Call]:
        return self._derivable(self.session, self.turn)

    def pause(self) -> float:
        return self.session.turns[self.turn - 1].pause
