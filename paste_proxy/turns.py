"""The LLM side of the core: sessions, what their models ask for, what they may ask for next."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from paste_proxy.broker.broker import Broker
from paste_proxy.broker.keys import canonical_text
from paste_proxy.broker.naming import ToolNames
from paste_proxy.broker.ties import ModelCall, Ties
from paste_proxy.config import ClientToolConfig, SpeculationConfig
from paste_proxy.errors import InvalidArgumentsError
from paste_proxy.events import Identity
from paste_proxy.grammar.events import CallSealed, ContentText, GrammarEvent, TurnEnded
from paste_proxy.grammar.requests import ChatRequest, MessageCall
from paste_proxy.predict.model import Call, Candidate, Predictor
from paste_proxy.sessions.history import decode_object
from paste_proxy.sessions.state import SessionState
from paste_proxy.sessions.table import Resolution, SessionTable
from paste_proxy.tools.arguments import decode_arguments
from paste_proxy.tools.ports import RunClass, RunContext
from paste_proxy.tools.spec import GLOBAL_SCOPE, Effect

log = logging.getLogger(__name__)

EVERYTHING = ClientToolConfig(writes=(GLOBAL_SCOPE,))


@dataclass(eq=False, slots=True)
class Turn:
    """One LLM request and its reply, as far as it has come."""

    id: str
    session: SessionState | None
    request: ChatRequest | None
    opened: float
    calls: list[MessageCall] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    ended: bool = False
    final: bool = False
    """The client says that the session ends with this turn."""

    @property
    def one_reply(self) -> bool:
        """With several replies asked for (`n`), nobody can say which one the agent will follow."""
        return self.request is not None and self.request.choices == 1


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
        self.sessions: dict[str, SessionState] = {}
        self.predictor_failures = 0
        self._broker = broker
        self._predictor = predictor
        self._speculation = speculation
        self._client_tools = client_tools
        self._names = ToolNames(broker.specs, prefixes)
        self._turns: dict[str, Turn] = {}

    # -- the request --------------------------------------------------------------------------------------

    def requested(self, turn: str, identity: Identity, request: ChatRequest | None, now: float) -> None:
        session = None
        if request is not None and request.messages:
            resolution = self.table.resolve(identity, request, now)
            session = self._session(resolution, identity)
            if resolution.relation == "edited":
                self._supersede(resolution.parent, now)
            self._take_history(session, resolution, request, now)
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
        self, session: SessionState, resolution: Resolution, request: ChatRequest, now: float
    ) -> None:
        session.turns += 1
        session.names = self._names.resolve(request.tools)
        answered = session.history.take(request.messages[resolution.fresh_from :], session.names)
        for call_id in answered:
            self.ties.answered(session.id, call_id)
        self._close_writes(session, now)
        if resolution.in_doubt:
            self._broker.discard_session(session.id, now)
        session.note(now, "turn", relation=resolution.relation, messages=len(request.messages))

    def _close_writes(self, session: SessionState, now: float) -> None:
        """Close the writes that the history does not wait for: answered, or dropped by the client."""
        for call_id in [one for one in session.open_writes if one not in session.history.unanswered]:
            self._broker.end_write(session.open_writes.pop(call_id), now)

    def _supersede(self, parent: str, now: float) -> None:
        """The client has gone back behind what `parent` asked for: it waits for no result of it any more."""
        session = self.sessions.get(parent)
        if session is not None:
            while session.open_writes:
                self._broker.end_write(session.open_writes.popitem()[1], now)

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
            if candidate.probability >= self._speculation.min_probability:
                call = Call(candidate.tool, candidate.arguments)
                if self._broker.offer(_context(session), call, RunClass.SPECULATIVE, candidate.why, now):
                    session.note(
                        now,
                        "predicted",
                        tool=call.tool,
                        arguments=call.arguments,
                        probability=round(candidate.probability, 4),
                        why=candidate.why,
                    )

    def _may_run(self, tool: str) -> bool:
        return self._broker.may_run_ahead(self._broker.specs[tool])

    def _predict(self, session: SessionState, tools: set[str]) -> list[Candidate]:
        try:
            return self._predictor.predict(session.history.history, tools, self._speculation.candidates)
        except Exception:  # noqa: BLE001 - boundary: a predictor's bug costs the prediction, never the request
            self._predictor_failed()
            return []

    def _predictor_failed(self) -> None:
        self.predictor_failures += 1
        if self.predictor_failures == 1:
            log.exception("the predictor failed; later failures are only counted")

    # -- the reply ----------------------------------------------------------------------------------------

    def streamed(self, turn_id: str, event: GrammarEvent, now: float) -> None:
        turn = self._turns.get(turn_id)
        if turn is None or turn.session is None:
            return
        if isinstance(event, ContentText):
            turn.text.append(event.text)
        elif isinstance(event, CallSealed):
            turn.calls.append(MessageCall(event.call_id, event.name, event.arguments))
            self._sealed(turn.session, event, now, alone=turn.one_reply)
        elif isinstance(event, TurnEnded):
            self._ended(turn, turn.session, now)

    def _sealed(self, session: SessionState, call: CallSealed, now: float, *, alone: bool) -> None:
        """A call is complete, though the turn may go on: a read starts now, a write shuts its scopes."""
        session.note(now, "sealed", tool=call.name, call_id=call.call_id, arguments=call.arguments)
        name = session.names.get(call.name)
        if name is None:
            self._open_write(
                session, call.call_id, frozenset(self._client_tools.get(call.name, EVERYTHING).writes), now
            )
            return
        spec = self._broker.specs[name]
        try:
            arguments = decode_arguments(spec, call.arguments.encode())
        except InvalidArgumentsError:
            arguments = None
        if arguments is not None:
            canonical = canonical_text(spec, arguments)
            self.ties.expect(ModelCall(session.tenant, session.id, call.call_id, name, canonical))
        if spec.effect is not Effect.READ:
            self._open_write(session, call.call_id, spec.writes, now)
        elif arguments is not None and alone and self._may_run(name):
            self._broker.offer(_context(session), Call(name, arguments), RunClass.DECIDED, "sealed", now)

    def _open_write(self, session: SessionState, call_id: str, scopes: frozenset[str], now: float) -> None:
        if scopes and call_id not in session.open_writes:
            session.open_writes[call_id] = scopes
            self._broker.begin_write(scopes, now)

    def _ended(self, turn: Turn, session: SessionState, now: float) -> None:
        """The model has stopped. The client may go on before the reply's last bytes are through."""
        turn.ended = True
        self.table.turn_replied(session.id, turn.id, now, text="".join(turn.text), calls=turn.calls)
        if turn.one_reply:
            session.unlearnt = [
                Call(session.names.get(c.name, c.name), decode_object(c.arguments)) for c in turn.calls
            ]

    def closed(self, turn_id: str, now: float, *, complete: bool) -> None:
        turn = self._turns.pop(turn_id, None)
        if turn is None or turn.session is None:
            return
        session, complete = turn.session, complete and turn.ended
        self.table.turn_closed(
            session.id, turn_id, now, complete=complete, text="".join(turn.text), calls=turn.calls
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
        named = self.table.by_name(identity.tenant, identity.session) if identity.session else ()
        return self.ties.claim(identity.tenant, tool, canonical, call_id=call_id, named=named)

    def expire(self, now: float) -> None:
        for session in self.table.expire(now):
            self.forget(session, now)

    def forget(self, session_id: str, now: float) -> None:
        session = self.sessions.pop(session_id, None)
        self.ties.forget(session_id)
        self._broker.discard_session(session_id, now)
        if session is not None:
            for scopes in session.open_writes.values():
                self._broker.end_write(scopes, now)


def _context(session: SessionState) -> RunContext:
    return RunContext(session.tenant, session.id)
