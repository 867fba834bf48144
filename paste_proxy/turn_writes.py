"""What models ask for as writes: which scopes a call of a turn may write, from when on, and what counts as
written where nobody can tell."""

from paste_proxy.broker.broker import Broker
from paste_proxy.broker.writes import OpenWrite, OpenWrites
from paste_proxy.client_tools import EVERYTHING, ClientTools
from paste_proxy.grammar.events import CallOpened, CallSealed
from paste_proxy.sessions.state import SessionState
from paste_proxy.sessions.turn import Turn
from paste_proxy.tools.spec import Effect

UNSEEN = -1
"""The place, in a turn, of a write that can't be told from the reply: it could not be read, or not wholly."""
FORESEEN = -2
"""The place of the first call in a turn that was only foreseen yet; those of the others are below."""


class TurnWrites:
    def __init__(self, broker: Broker, writes: OpenWrites, client_tools: ClientTools) -> None:
        self._broker = broker
        self._writes = writes
        self._client_tools = client_tools

    def of(self, session: SessionState, tool: str) -> frozenset[str]:
        """The scopes that a call of `tool` (the client's name for it) writes; of unknown tools, everything."""
        ours = session.names.get(tool)
        # The second: it is gone since the request.
        if ours is None or not self._broker.specs.is_of(ours, session.tenant):
            return self._client_tools.writes(tool, self._broker.owners.of(session.id))
        spec = self._broker.specs[ours]
        return frozenset() if spec.effect is Effect.READ else spec.writes

    def asked(self, turn: Turn, session: SessionState, call: CallOpened | CallSealed, now: float) -> None:
        """A write is open from the call's name on: whatever becomes of its arguments, the agent may run it."""
        ours = session.names.get(call.name, "")
        scopes = self.of(session, call.name)
        self._open(turn, call.ordinal, call.call_id, scopes, now, call.name, ours)
        session.calls_in_text |= call.in_text
        if call.ordinal in turn.foreseen_writes:
            turn.foreseen_writes.discard(call.ordinal)
            self._writes.close((turn.id, FORESEEN - call.ordinal))

    def foreseen(self, turn: Turn, session: SessionState, call: CallOpened | CallSealed, now: float) -> None:
        """The client has not been told of the call yet. In case it is told, a write is open."""
        if call.ordinal not in turn.foreseen_writes and (scopes := self.of(session, call.name)):
            turn.foreseen_writes.add(call.ordinal)
            self._open(turn, FORESEEN - call.ordinal, "", scopes, now)

    def drop_foreseen(self, turn: Turn) -> None:
        """It was never told."""
        for ordinal in turn.foreseen_writes:
            self._writes.close((turn.id, FORESEEN - ordinal))

    def unclear(self, turn: Turn, why: str, now: float) -> None:
        """What the agent may do now is not known: until it asks again, take it for a write of everything."""
        session = turn.session
        if session is not None and (turn.may_hold_calls or session.calls_in_text):
            session.note(now, "unclear", why=why)
            self._open(turn, UNSEEN, "", EVERYTHING, now)

    def _open(
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
        if self._writes.opened((turn.id, place), write):
            self._broker.begin_write(scopes, now)
