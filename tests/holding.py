"""A core that holds turns, and requests that wait there: for transcripts of what becomes of them."""

import json
from typing import Any

from paste_proxy.config import BackendConfig, Config, LimitsConfig
from paste_proxy.config_schedule import ScheduleConfig
from paste_proxy.core import Core
from paste_proxy.events import (
    AdmitTurn,
    Attempt,
    FailTurn,
    Identity,
    TurnClosed,
    TurnRequested,
    TurnSent,
    TurnStreamed,
)
from paste_proxy.grammar.events import ContentText, TurnEnded
from paste_proxy.grammar.requests import ChatRequest, parse_chat_request
from paste_proxy.tools.table import ToolTable
from tests.broker.cast import OFFERED, SPECS
from tests.talk import NoPredictor

FIRST, AGAIN, THIRD = Attempt(number=0), Attempt(number=1), Attempt(number=2)


def request(*said: str, **fields: Any) -> ChatRequest:
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(said or ("go",))]
    return parse_chat_request(json.dumps({"messages": messages, "tools": OFFERED, **fields}).encode())


class Site:
    """A core with one slot for turns; what it decides of them is kept as text."""

    def __init__(self, *, queued: int = 100, max_hold_s: float = 300.0, slots: int = 1) -> None:
        config = Config(
            backend=BackendConfig(max_turns=slots),
            limits=LimitsConfig(queued_turns=queued),
            schedule=ScheduleConfig(max_hold_s=max_hold_s),
        )
        self.core = Core(ToolTable(SPECS), config, NoPredictor())
        self.now = 0.0

    def tell(self, event: Any, at: float | None = None) -> list[str]:
        self.now = self.now if at is None else at
        return [
            f"{one.turn} goes" if isinstance(one, AdmitTurn) else f"{one.turn} {one.error.code}"
            for one in self.core.handle(event, self.now)
            if isinstance(one, AdmitTurn | FailTurn)
        ]

    def ask(
        self,
        turn: str,
        body: ChatRequest | None = None,
        attempt: Attempt = FIRST,
        at: float | None = None,
        who: Identity | None = None,
    ) -> list[str]:
        return self.tell(TurnRequested(turn, who or Identity(), body or request(turn), attempt), at)

    def answer(self, turn: str, text: str = "well") -> list[str]:
        self.tell(TurnSent(turn))
        self.tell(TurnStreamed(turn, ContentText(text)))
        self.tell(TurnStreamed(turn, TurnEnded("stop")))
        return self.tell(TurnClosed(turn, complete=True))

    def leave(self, turn: str, at: float | None = None) -> list[str]:
        return self.tell(TurnClosed(turn, complete=False), at)

    def notes(self, turn: str) -> list[str]:
        session = self.core.turns.session_of_turn(turn)
        assert session is not None
        return [note.what for note in session.notes]

    def relation(self, turn: str) -> str:
        session = self.core.turns.session_of_turn(turn)
        assert session is not None
        turns = [note for note in session.notes if note.what == "turn"]
        return str(turns[-1].detail["relation"])

    @property
    def ledger(self) -> Any:
        return self.core.holds.ledger
