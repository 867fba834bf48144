"""The LLM side of the core: sessions, what their models ask for, what they may ask for next."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from paste_proxy.broker.broker import Broker
from paste_proxy.broker.keys import canonical_text
from paste_proxy.broker.naming import ToolNames
from paste_proxy.broker.speculation import Speculation
from paste_proxy.broker.ties import ModelCall, Ties
from paste_proxy.broker.writes import OpenWrite, OpenWrites
from paste_proxy.client_tools import EVERYTHING, ClientTools
from paste_proxy.config import ClientToolConfig, SpeculationConfig
from paste_proxy.deadlines import Deadlines
from paste_proxy.errors import InvalidArgumentsError
from paste_proxy.events import Identity, SessionOver
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
from paste_proxy.grammar.requests import ChatRequest
from paste_proxy.predict.model import Call, Predictor
from paste_proxy.sessions.history import decode_object
from paste_proxy.sessions.state import SessionState
from paste_proxy.sessions.table import Resolution, SessionTable
from paste_proxy.sessions.turn import Turn
from paste_proxy.tools.arguments import decode_arguments
from paste_proxy.tools.ports import RunClass, RunContext
from paste_proxy.tools.spec import Effect

UNSEEN = -1
"""The place, in a turn, of a write that can't be told from the reply: it could not be read, or not wholly."""
FORESEEN = -2
"""The place of the first call in a turn that was only foreseen yet; those of the others are below."""
WHOLE = ("stop", "tool_calls", "function_call", "end_turn", "tool_use", "stop_sequence", "completed")
"""Reasons to end of turns that are learnt from: what was cut off says nothing of what comes next."""
SEALED_LIMIT = 64 * 1024
"""Characters of arguments that are still compared with calls: a model writes more only into files."""


Hearer: TypeAlias = Callable[[Turn, SessionState, Any, float], None]
"""Takes one kind of event; an event of any other kind means nothing here."""


class Turns:
    def __init__(
        self,
        broker: Broker,
        predictor: Predictor,
        table: SessionTable,
        *,
        deadlines: Deadlines,
        speculation: SpeculationConfig,
        client_tools: Mapping[str, ClientToolConfig],
        prefixes: tuple[str, ...],
        permits: Callable[[str, str], bool],
    ) -> None:
        """`permits` says of a tenant and a tool whether there is one for the other."""
        self.table = table
        self.ties = Ties()
        self.writes = OpenWrites(broker.epochs, deadlines)
        self.sessions: dict[str, SessionState] = {}
        self._client_tools = ClientTools(client_tools)
        self.expectations = Expectations(predictor, broker, speculation, self._client_tools)
        self._broker = broker
        self._names = ToolNames(broker.specs, prefixes)
        self._permits = permits
        self._turns: dict[str, Turn] = {}
        self._hearers: dict[type[Any], Hearer] = {
            ArgumentSealed: self._argued,
            CallOpened: self._named,
            CallSealed: self._sealed,
            ContentText: self._said,
            Foreseen: self._foreseen,
            Malformed: self._malformed,
            ReasoningText: lambda turn, _session, event, now: self.expectations.heard(turn.id, event.text, now),
            ReplyNamed: lambda turn, session, event, _now: self.table.reply_named(
                session.id, turn.id, event.reply_id
            ),
            TurnEnded: self._ended,
        }

    # -- the request --------------------------------------------------------------------------------------

    def requested(self, turn: str, identity: Identity, request: ChatRequest | None, now: float) -> None:
        session = None
        if request is not None:
            request = self.table.whole(identity, request)
        if request is not None and request.messages:
            resolution = self.table.resolve(identity, request, now)
            session = self._session(resolution, identity, request)
            self._take_history(session, resolution, turn, request, now)
            self.table.turn_opened(session.id, turn, now)
        self._turns[turn] = Turn(turn, session, request, now, final=identity.final)

    def _session(self, resolution: Resolution, identity: Identity, request: ChatRequest) -> SessionState:
        session = self.sessions.get(resolution.session)
        if session is None:
            session = SessionState(resolution.session, identity.tenant, resolution.parent, resolution.relation)
            session.name = identity.session
            if (origin := self.sessions.get(resolution.parent)) is not None:
                session.history.history.origin = origin.history.history.origin or origin.id
            self.sessions[session.id] = session
            self._broker.clients.inherit(session.id, resolution.parent)
            kin = [one for one in (resolution.parent, *resolution.contested) if one in self.sessions]
            self._broker.owners.enter(session.id, _in_common(identity, request, kin), kin)
        return session

    def _take_history(
        self, session: SessionState, resolution: Resolution, turn: str, request: ChatRequest, now: float
    ) -> None:
        session.turns += 1
        session.turn = turn
        resolved = self._names.resolve(request.tools, session.tenant)
        session.names = {
            name: ours for name, ours in resolved.ours.items() if self._permits(session.tenant, ours)
        }
        session.history.history.offered = resolved.offered
        fresh = request.messages[resolution.fresh_from :]
        unseen: set[str] = set()
        like = self._like(resolution)
        line = self._line(session) + like
        answered = session.history.take(fresh, session.names)
        self.expectations.answered(line, {one.call_id for one in answered}, now)
        for one in answered:
            expected = self.ties.answered(session.id, one.call_id)
            if self.writes.answered(line, one.call_id):
                continue
            if one.tool is not None:
                unseen |= self._writes_of(session, one.tool)
            elif not expected:
                unseen |= EVERYTHING
        for origin in (session.id, *like):
            self.writes.left(origin, session.history.unanswered, turn)
        self.ties.left(session.id)
        if unseen:
            self._broker.begin_write(frozenset(unseen), now)
            self._broker.end_write(frozenset(unseen), now)
        if resolution.in_doubt:
            self._broker.discard_session(session.id, now)
        session.note(now, "turn", relation=resolution.relation, messages=len(request.messages))

    def _like(self, resolution: Resolution) -> list[str]:
        """One of the sessions of which this one goes on, unknown which: those with the same writes open are as
        good as each other, since as many stay open."""
        return [*resolution.contested[:1]] if self.writes.alike(resolution.contested) else []

    def _line(self, session: SessionState) -> list[str]:
        """The sessions whose results its request may bring; its first one brings those of its origin, too."""
        line, one = [session.id], session
        while session.turns == 1 and one.relation in ("child", "edited") and one.parent in self.sessions:
            one = self.sessions[one.parent]
            line.append(one.id)
        return line

    def _writes_of(self, session: SessionState, tool: str) -> frozenset[str]:
        """The scopes that a call of `tool` (the client's name for it) writes; of unknown tools, everything."""
        ours = session.names.get(tool)
        if ours is None or not self._broker.specs.is_of(
            ours, session.tenant
        ):  # the second: it is gone since the request
            return self._client_tools.writes(tool, self._broker.owners.of(session.id))
        spec = self._broker.specs[ours]
        return frozenset() if spec.effect is Effect.READ else spec.writes

    def request_of_turn(self, turn_id: str) -> ChatRequest | None:
        """With all that it leaves out."""
        turn = self._turns.get(turn_id)
        return turn.request if turn is not None else None

    def session_of_turn(self, turn_id: str) -> SessionState | None:
        turn = self._turns.get(turn_id)
        return turn.session if turn is not None else None

    # -- predictions --------------------------------------------------------------------------------------

    def sent(self, turn_id: str, now: float) -> None:
        """The request is on its way: now there is time to read what it brought, and to predict."""
        turn = self._turns.get(turn_id)
        if turn is None:
            return
        turn.sent = True
        if turn.session is None or turn.session.id not in self.sessions:
            return
        self._learn(turn.session)
        turn.session.history.read()
        self.expectations.begin(turn, turn.session, now)

    def staged(self, speculation: Speculation, now: float) -> None:
        """A run ahead gave its result. Nobody is told of it but who predicts its session's next calls."""
        session = self.sessions.get(speculation.key.session)
        if session is not None:
            self.expectations.staged(session.turn, speculation, now)

    # -- the reply ----------------------------------------------------------------------------------------

    def streamed(self, turn_id: str, event: GrammarEvent, now: float) -> None:
        turn = self._turns.get(turn_id)
        if turn is None or turn.session is None or turn.session.id not in self.sessions:
            return
        turn.sent = True
        hear = self._hearers.get(type(event))
        if hear is not None:
            hear(turn, turn.session, event, now)

    def _said(self, turn: Turn, _session: SessionState, event: ContentText, now: float) -> None:
        turn.text.append(event.text)
        self.expectations.heard(turn.id, event.text, now)

    def _named(self, turn: Turn, session: SessionState, call: CallOpened, now: float) -> None:
        self._opened(turn, session, call, now)
        self.expectations.named(turn.id, call.ordinal, session.names.get(call.name, call.name), now)

    def _argued(self, turn: Turn, _session: SessionState, event: ArgumentSealed, now: float) -> None:
        if len(event.path) == 1:
            self.expectations.argued(turn.id, event.ordinal, str(event.path[0]), event.value, now)

    def _opened(self, turn: Turn, session: SessionState, call: CallOpened | CallSealed, now: float) -> None:
        """A write is open from the call's name on: whatever becomes of its arguments, the agent may run it."""
        ours = session.names.get(call.name, "")
        scopes = self._writes_of(session, call.name)
        self._open_write(turn, call.ordinal, call.call_id, scopes, now, call.name, ours)
        session.calls_in_text |= call.in_text
        if call.ordinal in turn.foreseen_writes:
            turn.foreseen_writes.discard(call.ordinal)
            self.writes.close((turn.id, FORESEEN - call.ordinal))

    def _open_write(
        self,
        turn: Turn,
        place: int,
        call_id: str,
        scopes: frozenset[str],
        now: float,
        name: str = "",
        tool: str = "",
    ) -> None:
        """`name`: what the client calls it; `tool`: what we do."""
        session = turn.session
        if session is None or not scopes:
            return
        write = OpenWrite(session.id, call_id, scopes, tool, self._client_tools.lasts(name))
        if self.writes.opened((turn.id, place), write):
            self._broker.begin_write(scopes, now)

    def _unclear(self, turn: Turn, why: str, now: float) -> None:
        """What the agent may do now is not known: until it asks again, take it for a write of everything."""
        session = turn.session
        if session is not None and (turn.may_hold_calls or session.calls_in_text):
            session.note(now, "unclear", why=why)
            self._open_write(turn, UNSEEN, "", EVERYTHING, now)

    def _malformed(self, turn: Turn, _session: SessionState, event: Malformed, now: float) -> None:
        turn.unreadable = True
        self._unclear(turn, event.why, now)

    def _sealed(self, turn: Turn, session: SessionState, call: CallSealed, now: float) -> None:
        """A call is complete, though the turn may go on: a read starts now."""
        turn.sealed[call.ordinal] = call
        self._note_call(session, "sealed", call, now)
        self._opened(turn, session, call, now)
        ours = self._call_of_ours(session, call)
        if ours is not None:
            found, canonical = ours
            place = "" if call.call_id else f"{turn.id} {call.ordinal}"
            self.ties.expect(ModelCall(session.tenant, session.id, call.call_id, found.tool, canonical, place))
            if turn.foreseen.pop((found.tool, canonical), None) is None:
                self._decide(turn, session, call, found, now)
        self.expectations.asked(turn.id, session, call, ours, now)

    def _foreseen(self, turn: Turn, session: SessionState, event: Foreseen, now: float) -> None:
        """The client has not been told yet. So this is no call to tie or to remember: a run that starts for it
        waits for the call itself, and a write is open in case it is told."""
        call = event.event
        if isinstance(call, ArgumentSealed):
            self._argued(turn, session, call, now)
        if not isinstance(call, CallOpened | CallSealed):
            return
        if call.ordinal not in turn.foreseen_writes and (scopes := self._writes_of(session, call.name)):
            turn.foreseen_writes.add(call.ordinal)
            self._open_write(turn, FORESEEN - call.ordinal, "", scopes, now)
        self.expectations.named(turn.id, call.ordinal, session.names.get(call.name, call.name), now)
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
            self._unclear(turn, "a call in the form that came before tool_calls", now)
        turn.ended = True
        self.expectations.ended(turn.id, session, now)
        self.table.turn_replied(session.id, turn.id, now, text="".join(turn.text), calls=turn.told_calls)
        odd = any(call.invalid or len(call.arguments) > SEALED_LIMIT for call in turn.calls)
        if turn.one_reply and event.reason in WHOLE and not (odd or turn.unreadable):
            session.unlearnt = [
                Call(session.names.get(c.name, c.name), decode_object(c.arguments)) for c in turn.calls
            ]

    def closed(self, turn_id: str, now: float, *, complete: bool, unread: bool) -> None:
        turn = self._turns.get(turn_id)
        if turn is not None and not (turn.sent or complete or unread):
            self.withdrawn(turn_id, now)
            return
        self._turns.pop(turn_id, None)
        if turn is None or turn.session is None:
            return
        self.expectations.ended(turn_id, turn.session, now)
        if turn.session.id not in self.sessions:
            return
        session, complete = turn.session, complete and turn.ended
        if not complete or unread:
            session.unlearnt = None
        unread = unread or (turn.goes_on_elsewhere and not turn.ended)
        if unread or not turn.one_reply:
            self._unclear(turn, "the reply was not read" if unread else "several replies were asked for", now)
        self._drop_foreseen(turn, session, now)
        self.writes.turn_over(session.id, turn_id, now)
        if session.turn == turn_id:
            self._broker.discard_waiting(session.id, now)
        self.table.turn_closed(
            session.id, turn_id, now, complete=complete, text="".join(turn.text), calls=turn.told_calls
        )
        session.note(now, "turn ended", complete=complete, calls=len(turn.sealed))
        self._learn(session)
        if turn.final:
            self.table.forget(session.id)
            self.forget(session.id, now)

    def withdrawn(self, turn_id: str, now: float) -> None:
        """It ends unsent: no model has read it, and its client knows nothing that could mean a write."""
        turn = self._turns.pop(turn_id, None)
        if turn is not None and turn.session is not None and turn.session.id in self.sessions:
            self.table.turn_withdrawn(turn.session.id, turn_id, now)
            turn.session.note(now, "withdrawn")

    def _drop_foreseen(self, turn: Turn, session: SessionState, now: float) -> None:
        """What was foreseen and never told: nobody will ask for it."""
        for ordinal in turn.foreseen_writes:
            self.writes.close((turn.id, FORESEEN - ordinal))
        for call in turn.foreseen.values():
            self._broker.withdraw(_context(session), call, now)

    def _learn(self, session: SessionState) -> None:
        """Learn from the last turn: before its session's history grows, and off the reply's own path."""
        calls, session.unlearnt = session.unlearnt, None
        if calls is not None:
            self.expectations.learn(session, calls)

    def note(self, turn_id: str, now: float, what: str, **detail: Any) -> None:
        """A line in the timeline of the turn's session."""
        turn = self._turns.get(turn_id)
        if turn is not None and turn.session is not None:
            turn.session.note(now, what, **detail)

    def awaits_again(self, identity: Identity, request: ChatRequest) -> bool:
        """Whether a session whose turn failed waits for just this request."""
        return self.table.awaits_again(identity, self.table.whole(identity, request))

    # -- sessions -----------------------------------------------------------------------------------------

    def session_of_call(self, identity: Identity, tool: str, canonical: str, call_id: str) -> str:
        named = self.table.by_name(identity.tenant, identity.session) if identity.session else None
        return self.ties.claim(identity.tenant, tool, canonical, call_id=call_id, named=named)

    def home_of(self, identity: Identity) -> str | None:
        """The backend of the session that a request names, the latest of that name that has one."""
        named = reversed(self.table.by_name(identity.tenant, identity.session))
        homes = (self.sessions[one].home for one in named if one in self.sessions)
        return next((home for home in homes if home is not None), None)

    def expire(self, now: float) -> None:
        self.expectations.expire(now)
        for session in self.table.expire(now):
            self.forget(session, now)

    def forget(self, session_id: str, now: float) -> None:
        if self.sessions.pop(session_id, None) is not None:
            self._broker.decide(SessionOver(session_id))
        self._broker.clients.forget(session_id)
        self.ties.forget(session_id)
        self.writes.forget(session_id)
        self.expectations.forget(session_id)
        self._broker.discard_session(session_id, now)
        self._broker.owners.forget(session_id)


def _context(session: SessionState) -> RunContext:
    return RunContext(session.tenant, session.id)


def _in_common(identity: Identity, request: ChatRequest, kin: list[str]) -> list[tuple[str, ...]]:
    """By what another session may be the same agent's: its name, or that of whose sub-agent it is; without any,
    and without a session that it goes on from, what it began with, up to what the user said first."""
    names = [("name", name) for name in (identity.session, identity.parent) if name]
    if not names and not kin:
        users = (at for at, message in enumerate(request.messages) if message.role == "user")
        names = [("began", request.chain[next(users, 0)].hex())]
    return [(identity.tenant, *name) for name in names]
