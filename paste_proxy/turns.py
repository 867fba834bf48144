"""The LLM side of the core: sessions, what their models ask for, what they may ask for next."""

from collections.abc import Callable, Mapping
from typing import Any

from paste_proxy.broker.broker import Broker
from paste_proxy.broker.naming import ToolNames
from paste_proxy.broker.speculation import Speculation
from paste_proxy.broker.ties import Ties
from paste_proxy.broker.writes import OpenWrites
from paste_proxy.client_tools import EVERYTHING, ClientTools
from paste_proxy.config import ClientToolConfig, SpeculationConfig
from paste_proxy.deadlines import Deadlines
from paste_proxy.events import Identity, SessionOver
from paste_proxy.expectations import Expectations
from paste_proxy.grammar.events import (
    GrammarEvent,
)
from paste_proxy.grammar.requests import ChatRequest, MessageCall
from paste_proxy.predict.model import Predictor
from paste_proxy.replies import Replies
from paste_proxy.sessions.state import SessionState
from paste_proxy.sessions.table import Resolution, SessionTable
from paste_proxy.sessions.turn import Turn
from paste_proxy.turn_writes import TurnWrites


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
        listed = ClientTools(client_tools)
        self.expectations = Expectations(predictor, broker, speculation, listed)
        self._may_write = TurnWrites(broker, self.writes, listed)
        self._replies = Replies(broker, self.table, self.ties, self._may_write, self.expectations)
        self._broker = broker
        self._names = ToolNames(broker.specs, prefixes)
        self._permits = permits
        self._turns: dict[str, Turn] = {}

    # -- the request --------------------------------------------------------------------------------------

    def requested(self, turn: str, identity: Identity, request: ChatRequest | None, now: float) -> None:
        session = None
        if request is not None:
            request = self.table.whole(identity, request)
        if request is not None and request.messages:
            resolution = self.table.resolve(identity, request, now)
            session = self._session(resolution, identity, request)
            self._take_history(session, resolution, turn, request, now)
            self.table.turn_opened(session.id, turn)
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
                unseen |= self._may_write.of(session, one.tool)
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

    def request_of_turn(self, turn_id: str) -> ChatRequest | None:
        """With all that it leaves out."""
        turn = self._turns.get(turn_id)
        return turn.request if turn is not None else None

    def calls_of_turn(self, turn_id: str) -> tuple[str, tuple[MessageCall, ...]] | None:
        """What its reply says, and those calls that are no part of the text; None where it asks for none, or
        where nobody can say what its client will send back."""
        turn = self._turns.get(turn_id)
        if turn is None or not (turn.ended and turn.one_reply and turn.sealed) or turn.unreadable:
            return None
        return "".join(turn.text), tuple(turn.told_calls)

    def is_final(self, turn_id: str) -> bool:
        """Its client says that the session ends with it."""
        turn = self._turns.get(turn_id)
        return turn is not None and turn.final

    def session_of_turn(self, turn_id: str) -> SessionState | None:
        turn = self._turns.get(turn_id)
        return turn.session if turn is not None else None

    # -- predictions --------------------------------------------------------------------------------------

    def sent(self, turn_id: str, now: float) -> None:
        """The request is on its way: now there is time to read what it brought, and to predict. Once: another
        backend that it is sent to reads the same."""
        turn = self._turns.get(turn_id)
        if turn is None or turn.sent:
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
        self._replies.hear(turn, turn.session, event, now)

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
            why = "the reply was not read" if unread else "several replies were asked for"
            self._may_write.unclear(turn, why, now)
        self._replies.drop_foreseen(turn, session, now)
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


def _in_common(identity: Identity, request: ChatRequest, kin: list[str]) -> list[tuple[str, ...]]:
    """By what another session may be the same agent's: its name, or that of whose sub-agent it is; without any,
    and without a session that it goes on from, what it began with, up to what the user said first."""
    names = [("name", name) for name in (identity.session, identity.parent) if name]
    if not names and not kin:
        users = (at for at, message in enumerate(request.messages) if message.role == "user")
        names = [("began", request.chain[next(users, 0)].hex())]
    return [(identity.tenant, *name) for name in names]
