"""The LLM side of the core: sessions, what their models ask for, what they may ask for next."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from paste_proxy.broker.broker import Broker
from paste_proxy.broker.keys import canonical_text
from paste_proxy.broker.naming import ToolNames
from paste_proxy.broker.ties import ModelCall, Ties
from paste_proxy.broker.writes import OpenWrite, OpenWrites
from paste_proxy.config import ClientToolConfig, SpeculationConfig
from paste_proxy.errors import InvalidArgumentsError
from paste_proxy.events import Identity
from paste_proxy.grammar.events import (
    CallOpened,
    CallSealed,
    ContentText,
    GrammarEvent,
    Malformed,
    ReplyNamed,
    TurnEnded,
)
from paste_proxy.grammar.requests import ChatRequest, MessageCall
from paste_proxy.predict.model import Call, Candidate, Predictor
from paste_proxy.sessions.history import decode_object
from paste_proxy.sessions.state import SessionState
from paste_proxy.sessions.table import Resolution, SessionTable
from paste_proxy.tools.arguments import decode_arguments
from paste_proxy.tools.ports import RunClass, RunContext
from paste_proxy.tools.spec import GLOBAL_SCOPE, Effect

log = logging.getLogger(__name__)

EVERYTHING = frozenset({GLOBAL_SCOPE})
UNSEEN = -1
"""The place, in a turn, of a write that can't be told from the reply: it could not be read, or not wholly."""
SEALED_LIMIT = 64 * 1024
"""Characters of arguments that are still compared with calls: a model writes more only into files."""


@dataclass(eq=False, slots=True)
class Turn:
    """One LLM request and its reply, as far as it has come."""

    id: str
    session: SessionState | None
    request: ChatRequest | None
    opened: float
    calls: list[MessageCall] = field(default_factory=list)
    in_text: bool = False
    """The calls were read from the text: the client's history will hold that text, and no calls."""
    text: list[str] = field(default_factory=list)
    ended: bool = False
    final: bool = False
    """The client says that the session ends with this turn."""

    @property
    def one_reply(self) -> bool:
        """With several replies asked for (`n`), nobody can say which one the agent will follow."""
        return self.request is not None and self.request.choices == 1

    @property
    def told_calls(self) -> list[MessageCall]:
        """The calls that the client's history will hold as calls."""
        return [] if self.in_text else self.calls

    @property
    def offers_tools(self) -> bool:
        return self.request is not None and bool(self.request.tools)


class Turns:
    def __init__(
        self,
        broker: Broker,
        predictor: Predictor,
        table: SessionTable,
        *,
        speculation: SpeculationConfig,
        client_tools: Mapping[str, ClientToolConfig],
        prefixes: tuple[str, ...],
    ) -> None:
        self.table = table
        self.ties = Ties()
        self.writes = OpenWrites(broker.epochs)
        self.sessions: dict[str, SessionState] = {}
        self.predictor_failures = 0
        self._broker = broker
        self._predictor = predictor
        self._speculation = speculation
        self._client_writes = {name: frozenset(tool.writes) for name, tool in client_tools.items()}
        self._names = ToolNames(broker.specs, prefixes)
        self._turns: dict[str, Turn] = {}

    # -- the request --------------------------------------------------------------------------------------

    def requested(self, turn: str, identity: Identity, request: ChatRequest | None, now: float) -> None:
        session = None
        if request is not None:
            request = self.table.whole(identity, request)
        if request is not None and request.messages:
            resolution = self.table.resolve(identity, request, now)
            session = self._session(resolution, identity)
            self._take_history(session, resolution, turn, request, now)
            self.table.turn_opened(session.id, turn, now)
        self._turns[turn] = Turn(turn, session, request, now, final=identity.final)

    def _session(self, resolution: Resolution, identity: Identity) -> SessionState:
        session = self.sessions.get(resolution.session)
        if session is None:
            session = SessionState(resolution.session, identity.tenant, resolution.parent, resolution.relation)
            session.name = identity.session
            self.sessions[session.id] = session
        return session

    def _take_history(
        self, session: SessionState, resolution: Resolution, turn: str, request: ChatRequest, now: float
    ) -> None:
        session.turns += 1
        session.turn = turn
        session.names = self._names.resolve(request.tools)
        fresh = request.messages[resolution.fresh_from :]
        unseen: set[str] = set()
        asked = {call.call_id: call.name for message in fresh for call in message.calls}
        for call_id in session.history.take(fresh, session.names):
            self.ties.answered(session.id, call_id)
            if not self.writes.answered(session.tenant, call_id) and call_id in asked:
                unseen |= self._writes_of(session, asked[call_id])
        self.writes.left(session.id, session.history.unanswered, turn)
        if unseen:
            self._broker.begin_write(frozenset(unseen), now)
            self._broker.end_write(frozenset(unseen), now)
        if resolution.in_doubt:
            self._broker.discard_session(session.id, now)
        session.note(now, "turn", relation=resolution.relation, messages=len(request.messages))

    def _writes_of(self, session: SessionState, tool: str) -> frozenset[str]:
        """The scopes that a call of `tool` (the client's name for it) writes; of unknown tools, everything."""
        if (ours := session.names.get(tool)) is None:
            return self._client_writes.get(tool, EVERYTHING)
        spec = self._broker.specs[ours]
        return frozenset() if spec.effect is Effect.READ else spec.writes

    # -- predictions --------------------------------------------------------------------------------------

    def sent(self, turn_id: str, now: float) -> None:
        """The request is on its way: now there is time to read what it brought, and to predict."""
        turn = self._turns.get(turn_id)
        if turn is None or turn.session is None:
            return
        session = turn.session
        self._learn(session)
        session.history.read()
        if not turn.one_reply:
            return
        tools = {name for name in session.names.values() if self._may_run(name)}
        if not tools:
            return
        for candidate in self._predict(session, tools):
            call = Call(candidate.tool, candidate.arguments)
            if self._broker.offer(_context(session), call, RunClass.SPECULATIVE, candidate.why, now):
                session.note(
                    now,
                    "predicted",
                    tool=call.tool,
                    arguments=call.arguments,
                    probability=candidate.probability,
                    why=candidate.why,
                )

    def _may_run(self, tool: str) -> bool:
        return self._broker.may_run_ahead(self._broker.specs[tool])

    def _predict(self, session: SessionState, tools: set[str]) -> list[Candidate]:
        """The candidates that can be calls: whatever a predictor may answer."""
        limit, found = self._speculation.candidates, []
        try:
            for candidate in islice(self._predictor.predict(session.history.history, tools, limit), limit):
                if candidate.tool in tools and candidate.probability >= self._speculation.min_probability:
                    found.append(self._checked(candidate))
        except Exception:  # noqa: BLE001 - boundary: a predictor's bug costs predictions, never the request
            self._predictor_failed()
        return found

    def _checked(self, candidate: Candidate) -> Candidate:
        """Its arguments as if they had come from a model. Raises on what is no call."""
        spec = self._broker.specs[candidate.tool]
        arguments = decode_arguments(spec, json.dumps(candidate.arguments, allow_nan=False).encode())
        canonical_text(spec, arguments)
        return Candidate(spec.name, arguments, round(float(candidate.probability), 4), str(candidate.why))

    def _predictor_failed(self) -> None:
        self.predictor_failures += 1
        if self.predictor_failures == 1:
            log.exception("the predictor failed; later failures are only counted")

    # -- the reply ----------------------------------------------------------------------------------------

    def streamed(self, turn_id: str, event: GrammarEvent, now: float) -> None:
        turn = self._turns.get(turn_id)
        if turn is None or turn.session is None or turn.session.id not in self.sessions:
            return
        if isinstance(event, ContentText):
            turn.text.append(event.text)
        elif isinstance(event, CallOpened):
            self._open_write(turn, event.ordinal, event.call_id, self._writes_of(turn.session, event.name), now)
        elif isinstance(event, CallSealed):
            turn.calls.append(MessageCall(event.call_id, event.name, event.arguments))
            turn.in_text = event.in_text
            self._sealed(turn, turn.session, event, now)
        elif isinstance(event, ReplyNamed):
            self.table.reply_named(turn.session.id, turn.id, event.reply_id)
        elif isinstance(event, Malformed):
            self._unclear(turn, event.why, now)
        elif isinstance(event, TurnEnded):
            if event.reason == "function_call" and not turn.calls:
                self._unclear(turn, "a call in the form that came before tool_calls", now)
            self._ended(turn, turn.session, now)

    def _open_write(self, turn: Turn, ordinal: int, call_id: str, scopes: frozenset[str], now: float) -> None:
        """Open from the call's name on: whatever becomes of its arguments, the agent may run it."""
        session = turn.session
        if session is None or not scopes:
            return
        write = OpenWrite(session.tenant, session.id, call_id, scopes)
        if self.writes.opened((turn.id, ordinal), write):
            self._broker.begin_write(scopes, now)

    def _unclear(self, turn: Turn, why: str, now: float) -> None:
        """What the agent may do now is not known: until it asks again, take it for a write of everything."""
        if turn.session is not None and turn.offers_tools:
            turn.session.note(now, "unclear", why=why)
            self._open_write(turn, UNSEEN, "", EVERYTHING, now)

    def _sealed(self, turn: Turn, session: SessionState, call: CallSealed, now: float) -> None:
        """A call is complete, though the turn may go on: a read starts now."""
        session.note(now, "sealed", tool=call.name, call_id=call.call_id, arguments=call.arguments)
        self._open_write(turn, call.ordinal, call.call_id, self._writes_of(session, call.name), now)
        name = session.names.get(call.name)
        if name is None or len(call.arguments) > SEALED_LIMIT:
            return
        spec = self._broker.specs[name]
        try:
            arguments = decode_arguments(spec, call.arguments.encode())
            canonical = canonical_text(spec, arguments)
        except InvalidArgumentsError:
            return
        self.ties.expect(ModelCall(session.tenant, session.id, call.call_id, name, canonical))
        if turn.one_reply and self._may_run(name):
            self._broker.offer(_context(session), Call(name, arguments), RunClass.DECIDED, "sealed", now)

    def _ended(self, turn: Turn, session: SessionState, now: float) -> None:
        """The model has stopped. The client may go on before the reply's last bytes are through."""
        turn.ended = True
        self.table.turn_replied(session.id, turn.id, now, text="".join(turn.text), calls=turn.told_calls)
        if turn.one_reply:
            session.unlearnt = [
                Call(session.names.get(c.name, c.name), decode_object(c.arguments)) for c in turn.calls
            ]

    def closed(self, turn_id: str, now: float, *, complete: bool, unread: bool) -> None:
        turn = self._turns.pop(turn_id, None)
        if turn is None or turn.session is None or turn.session.id not in self.sessions:
            return
        session, complete = turn.session, complete and turn.ended
        if unread or not turn.one_reply:
            self._unclear(turn, "the reply was not read" if unread else "several replies were asked for", now)
        if session.turn == turn_id:
            self._broker.discard_waiting(session.id, now)
        self.table.turn_closed(
            session.id, turn_id, now, complete=complete, text="".join(turn.text), calls=turn.told_calls
        )
        session.note(now, "turn ended", complete=complete, calls=len(turn.calls))
        self._learn(session)
        if turn.final:
            self.table.forget(session.id)
            self.forget(session.id, now)

    def _learn(self, session: SessionState) -> None:
        """Learn from the last turn: before its session's history grows, and off the reply's own path."""
        calls, session.unlearnt = session.unlearnt, None
        if calls is None:
            return
        try:
            self._predictor.learn(session.history.history, calls)
        except Exception:  # noqa: BLE001 - boundary, as in _predict
            self._predictor_failed()

    # -- sessions -----------------------------------------------------------------------------------------

    def session_of_call(self, identity: Identity, tool: str, canonical: str, call_id: str) -> str:
        named = self.table.by_name(identity.tenant, identity.session) if identity.session else None
        return self.ties.claim(identity.tenant, tool, canonical, call_id=call_id, named=named)

    def expire(self, now: float) -> None:
        for session in self.table.expire(now):
            self.forget(session, now)

    def forget(self, session_id: str, now: float) -> None:
        self.sessions.pop(session_id, None)
        self.ties.forget(session_id)
        self.writes.forget(session_id)
        self._broker.discard_session(session_id, now)


def _context(session: SessionState) -> RunContext:
    return RunContext(session.tenant, session.id)
