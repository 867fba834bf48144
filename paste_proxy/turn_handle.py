"""One admitted turn as its plane tells of it: what the core needs of a reply, in pieces of one size."""

from collections.abc import Iterable
from typing import Protocol

from paste_proxy.core import Core
from paste_proxy.events import AdmitTurn, Event, TurnBegan, TurnClosed, TurnSent, TurnStreamed
from paste_proxy.grammar.events import (
    ArgumentSealed,
    CallOpened,
    CallSealed,
    ContentText,
    Foreseen,
    GrammarEvent,
    Malformed,
    ReasoningText,
    ReplyNamed,
    TurnEnded,
    UsageReported,
)

TOLD = frozenset({CallOpened, CallSealed, Malformed, ReplyNamed, TurnEnded, UsageReported})
"""The events of a reply that the core hears of one by one; and of those that are foreseen, the same kinds."""
TEXT_LIMIT = 4 * 1024 * 1024
"""Characters of a reply's text that are kept to recognise it by: a million tokens. A session whose reply was
longer is not recognised by its next request."""


PIECE = 256
"""Characters of text after which a core that listens is told: sixty tokens, so that a chunk costs little."""


class Telling(Protocol):
    """What it needs of the runtime."""

    core: Core

    def tell(self, event: Event) -> bool: ...

    async def admit_again(self, turn: str) -> AdmitTurn | None: ...


class TurnHandle:
    """One admitted LLM turn. No method raises; `close` must be called exactly once.

    Of the reply's events the core needs few. Text is collected here and told in large pieces, or in one if it
    does not listen: an event of plain text, by far the commonest, costs an append.
    """

    def __init__(self, runtime: Telling, turn: str, admission: AdmitTurn | None = None) -> None:
        self.turn = turn
        self.admission = admission or AdmitTurn(turn)
        """To which backend it goes."""
        self._runtime = runtime
        self._listens = runtime.core.listens
        self._reasoning = Pieces(ReasoningText)
        self._text = Pieces(ContentText)
        self._room = TEXT_LIMIT
        self._began = False

    def sent(self) -> None:
        """The request is on its way to the backend."""
        self._runtime.tell(TurnSent(self.turn))

    async def refused(self) -> bool:
        """The backend did not take it. True once another shall: `admission` says which."""
        admission = await self._runtime.admit_again(self.turn)
        if admission is not None:
            self.admission = admission
        return admission is not None

    def feed(self, events: Iterable[GrammarEvent]) -> None:
        if not self._began:
            self._began = True
            self._runtime.tell(TurnBegan(self.turn))
        for event in events:
            kind = type(event)
            if kind is ContentText:
                self._room -= len(event.text)  # type: ignore[union-attr]
                if self._room >= 0:
                    self._collect(self._text, event.text)  # type: ignore[union-attr]
            elif kind is ReasoningText and self._listens:
                self._collect(self._reasoning, event.text)  # type: ignore[union-attr]
            elif self._is_told(event):
                self._tell_text()
                self._runtime.tell(TurnStreamed(self.turn, event))

    def _is_told(self, event: GrammarEvent) -> bool:
        if type(event) is Foreseen:
            event = event.event
        if type(event) is ArgumentSealed:
            return self._listens and len(event.path) == 1
        return type(event) in TOLD

    def _collect(self, pieces: "Pieces", text: str) -> None:
        pieces.parts.append(text)
        pieces.size += len(text)
        if pieces.size >= PIECE and self._listens:
            for event in pieces.whole():
                self._runtime.tell(TurnStreamed(self.turn, event))

    def close(self, *, complete: bool, unread: bool = False) -> None:
        """`unread`: the client got a reply that was not read, or not to its end."""
        self._tell_text()
        self._runtime.tell(TurnClosed(self.turn, complete, unread))

    def _tell_text(self) -> None:
        for pieces in (self._reasoning, self._text):
            if pieces.size:
                self._runtime.tell(TurnStreamed(self.turn, pieces.rest()))


class Pieces:
    """Text that waits to be told: in pieces of one size, so that it is heard alike however it was cut."""

    __slots__ = ("_kind", "parts", "size")

    def __init__(self, kind: type[ContentText] | type[ReasoningText]) -> None:
        self._kind = kind
        self.parts: list[str] = []
        self.size = 0

    def whole(self) -> list[ContentText | ReasoningText]:
        """The pieces that are complete."""
        text = "".join(self.parts)
        told = len(text) - len(text) % PIECE
        self.parts, self.size = [text[told:]], len(text) - told
        return [self._kind(text[at : at + PIECE]) for at in range(0, told, PIECE)]

    def rest(self) -> ContentText | ReasoningText:
        text = "".join(self.parts)
        self.parts, self.size = [], 0
        return self._kind(text)
