"""What a model says while its reply comes: told on to predictions and to the books of writes, and to the broker
what can start now."""

from collections.abc import Callable
from typing import Any, TypeAlias

from paste_proxy.broker.broker import Broker
from paste_proxy.broker.keys import canonical_text
from paste_proxy.broker.ties import ModelCall, Ties
from paste_proxy.errors import InvalidArgumentsError
from paste_proxy.expectations import Expectations
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
)
from paste_proxy.predict.model import Call
from paste_proxy.sessions.history import decode_object
from paste_proxy.sessions.state import SessionState
from paste_proxy.sessions.table import SessionTable
from paste_proxy.sessions.turn import Turn
from paste_proxy.tools.arguments import decode_arguments
from paste_proxy.tools.ports import RunClass, RunContext
from paste_proxy.turn_writes import TurnWrites

WHOLE = ("stop", "tool_calls", "function_call", "end_turn", "tool_use", "stop_sequence", "completed")
"""Reasons to end of turns that are learnt from: what was cut off says nothing of what comes next."""
SEALED_LIMIT = 64 * 1024
"""Characters of arguments that are still compared with calls: a model writes more only into files."""

Hearer: TypeAlias = Callable[[Turn, SessionState, Any, float], None]
"""Takes one kind of event; an event of any other kind means nothing here."""


class Replies:
    def __init__(
        self, broker: Broker, table: SessionTable, ties: Ties, writes: TurnWrites, expectations: Expectations
    ) -> None:
        self._broker = broker
        self._table = table
        self._ties = ties
        self._writes = writes
        self._expectations = expectations
        self._hearers: dict[type[Any], Hearer] = {
            ArgumentSealed: self._argued,
            CallOpened: self._named,
            CallSealed: self._sealed,
            ContentText: self._said,
            Foreseen: self._foreseen,
            Malformed: self._malformed,
            ReasoningText: self._thought,
            ReplyNamed: lambda turn, session, event, _now: self._table.reply_named(
                session.id, turn.id, event.reply_id
            ),
            TurnEnded: self._ended,
        }

    def hear(self, turn: Turn, session: SessionState, event: GrammarEvent, now: float) -> None:
        hear = self._hearers.get(type(event))
        if hear is not None:
            hear(turn, session, event, now)

    def _said(self, turn: Turn, _session: SessionState, event: ContentText, now: float) -> None:
        turn.text.append(event.text)
        self._expectations.heard(turn.id, event.text, now)

    def _thought(self, turn: Turn, _session: SessionState, event: ReasoningText, now: float) -> None:
        self._expectations.heard(turn.id, event.text, now)

    def _named(self, turn: Turn, session: SessionState, call: CallOpened, now: float) -> None:
        self._writes.asked(turn, session, call, now)
        self._expectations.named(turn.id, call.ordinal, session.names.get(call.name, call.name), now)

    def _argued(self, turn: Turn, _session: SessionState, event: ArgumentSealed, now: float) -> None:
        if len(event.path) == 1:
            self._expectations.argued(turn.id, event.ordinal, str(event.path[0]), event.value, now)

    def _malformed(self, turn: Turn, _session: SessionState, event: Malformed, now: float) -> None:
        turn.unreadable = True
        self._writes.unclear(turn, event.why, now)

    def _sealed(self, turn: Turn, session: SessionState, call: CallSealed, now: float) -> None:
        """A call is complete, though the turn may go on: a read starts now."""
        turn.sealed[call.ordinal] = call
        self._note_call(session, "sealed", call, now)
        self._writes.asked(turn, session, call, now)
        ours = self._call_of_ours(session, call)
        if ours is not None:
            found, canonical = ours
            place = "" if call.call_id else f"{turn.id} {call.ordinal}"
            self._ties.expect(ModelCall(session.tenant, session.id, call.call_id, found.tool, canonical, place))
            if turn.foreseen.pop((found.tool, canonical), None) is None:
                self._decide(turn, session, call, found, now)
        self._expectations.asked(turn.id, session, call, ours, now)

    def _foreseen(self, turn: Turn, session: SessionState, event: Foreseen, now: float) -> None:
        """The client has not been told yet. So this is no call to tie or to remember: a run that starts for it
        waits for the call itself, and a write is open in case it is told."""
        call = event.event
        if isinstance(call, ArgumentSealed):
            self._argued(turn, session, call, now)
        if not isinstance(call, CallOpened | CallSealed):
            return
        self._writes.foreseen(turn, session, call, now)
        self._expectations.named(turn.id, call.ordinal, session.names.get(call.name, call.name), now)
        if isinstance(call, CallSealed):
            self._note_call(session, "foreseen", call, now)
            ours = self._call_of_ours(session, call)
            if ours is not None and self._decide(turn, session, call, ours[0], now):
                turn.foreseen[ours[0].tool, ours[1]] = ours[0]

    def _note_call(self, session: SessionState, what: str, call: CallSealed, now: float) -> None:
        refused = {"invalid": call.invalid} if call.invalid else {}
        session.note(now, what, tool=call.name, call_id=call.call_id, arguments=call.arguments, **refused)

    def _call_of_ours(self, session: SessionState, call: CallSealed) -> tuple[Call, str] | None:
        """With its canonical arguments; None if it is none of a gateway's tool."""
        name = session.names.get(call.name, "")
        if not self._broker.specs.is_of(name, session.tenant) or len(call.arguments) > SEALED_LIMIT:
            return None
        spec = self._broker.specs[name]
        try:
            arguments = decode_arguments(spec, call.arguments.encode())
            return Call(name, arguments), canonical_text(spec, arguments)
        except InvalidArgumentsError:
            return None

    def _decide(self, turn: Turn, session: SessionState, said: CallSealed, call: Call, now: float) -> bool:
        """Start it, unless it is running already, or the tool would only refuse it."""
        if not turn.one_reply or said.invalid:
            return False
        return self._broker.offer(_context(session), call, RunClass.DECIDED, now) is not None

    def _ended(self, turn: Turn, session: SessionState, event: TurnEnded, now: float) -> None:
        """The model has stopped. The client may go on before the reply's last bytes are through."""
        if event.reason == "function_call" and not turn.sealed:
            self._writes.unclear(turn, "a call in the form that came before tool_calls", now)
        turn.ended = True
        self._expectations.ended(turn.id, session, now)
        self._table.turn_replied(session.id, turn.id, text="".join(turn.text), calls=turn.told_calls)
        odd = any(call.invalid or len(call.arguments) > SEALED_LIMIT for call in turn.calls)
        if turn.one_reply and event.reason in WHOLE and not (odd or turn.unreadable):
            session.unlearnt = [
                Call(session.names.get(c.name, c.name), decode_object(c.arguments)) for c in turn.calls
            ]

    def drop_foreseen(self, turn: Turn, session: SessionState, now: float) -> None:
        """What was foreseen and never told: nobody will ask for it."""
        self._writes.drop_foreseen(turn)
        for call in turn.foreseen.values():
            self._broker.withdraw(_context(session), call, now)


def _context(session: SessionState) -> RunContext:
    return RunContext(session.tenant, session.id)
