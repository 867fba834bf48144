"""What may come next in the turns under way: asks the predictor as each turn goes on, and hands on what is new.

In mode `on` the broker takes candidates on, in mode `shadow` they are only held against what is asked for then.
A predictor's bug costs the predictions of a turn, and nothing else.
"""

import logging
from collections.abc import Collection, Iterable
from typing import Any

from paste_proxy.broker.broker import Broker
from paste_proxy.broker.keys import CallKey
from paste_proxy.broker.speculation import Speculation
from paste_proxy.candidates import PAID, Candidates
from paste_proxy.chains import Chains
from paste_proxy.client_tools import ClientTools
from paste_proxy.config import SpeculationConfig
from paste_proxy.expecting import ARGUMENTS, CONTEXT, MENTION, NAME, Expecting, new_expecting
from paste_proxy.grammar.events import CallSealed
from paste_proxy.predict.model import Call, Candidate, Fixed, Prediction, Predictor
from paste_proxy.predict.shadow import Shadow
from paste_proxy.predict.value import latest
from paste_proxy.sessions.history import decode_object
from paste_proxy.sessions.state import SessionState
from paste_proxy.sessions.turn import Turn
from paste_proxy.tools.ports import RunClass, RunContext
from paste_proxy.tools.spec import Effect

log = logging.getLogger(__name__)


class Expectations:
    def __init__(
        self,
        predictor: Predictor,
        broker: Broker,
        speculation: SpeculationConfig,
        client_tools: ClientTools,
    ) -> None:
        self.failures = 0
        self.turns = 0
        self.turns_with_tools = 0
        """Whose requests offered any."""
        self.shadow = Shadow(self.reads, broker.values.served)
        self._predictor = predictor
        self._broker = broker
        self.speculation = speculation
        self._client_tools = client_tools
        self._checks = Candidates(broker, speculation)
        self._chains = Chains(broker, self._checks, speculation)
        self._turns: dict[str, Expecting] = {}

    def configure(self, speculation: SpeculationConfig) -> None:
        """Turns under way go on as they began, less what is no longer allowed."""
        self.speculation = speculation
        self._checks.configure(speculation)
        self._chains.configure(speculation)

    @property
    def listens(self) -> bool:
        """Whether anybody asks what turns say beside their calls."""
        mode, allow = self.speculation.mode, self.speculation.allow
        return mode == "shadow" or (mode == "on" and bool(allow))

    @property
    def kept_back(self) -> int:
        """Candidates that the egress rule held back, by tool, reason and turn."""
        return self._checks.kept_back

    # -- tools --------------------------------------------------------------------------------------------

    def reads(self, tool: str) -> bool:
        """Whether it is known to write nothing. `tool` is our name for it, or the client's."""
        if (spec := self._broker.specs.get(tool)) is not None:
            return spec.effect is Effect.READ
        return self._client_tools.is_read(tool)

    def _may_come(self, turn: Turn, session: SessionState) -> frozenset[str]:
        """The tools whose calls are worth predicting."""
        ours = set(session.names.values())
        if not self.is_shadow:
            return frozenset(filter(self._broker.may_run_ahead, ours))
        offered = turn.request.tools if turn.request is not None else ()
        names = {session.names.get(tool.name, tool.name) for tool in offered}
        if not names:
            names = {call.tool for call in session.history.history.calls}
        return frozenset(name for name in names if not self.writes(name))

    def writes(self, tool: str) -> bool:
        """Whether it is declared to write; of most tools that agents run themselves nothing is declared."""
        if (spec := self._broker.specs.get(tool)) is not None:
            return spec.effect is not Effect.READ
        return self._client_tools.is_write(tool)

    @property
    def is_shadow(self) -> bool:
        return self.speculation.mode == "shadow"

    # -- a turn -------------------------------------------------------------------------------------------

    def begin(self, turn: Turn, session: SessionState, now: float) -> None:
        """The request is on its way, and its history is read."""
        self.shadow.left(session.id, session.history.unanswered)
        self.turns += 1
        self.turns_with_tools += turn.request is not None and bool(turn.request.tools)
        if self.speculation.mode == "off" or not turn.one_reply:
            return
        tools = self._may_come(turn, session)
        if not tools:
            return
        try:
            predictor = self._predictor.begin(session.history.history, tools)
        except Exception:  # noqa: BLE001 - boundary: a predictor's bug costs predictions, never the request
            self._failed(turn.id)
            return
        self._turns[turn.id] = expecting = new_expecting(turn, session, tools, predictor, now)
        self._look(turn.id, expecting, CONTEXT, now)

    def heard(self, turn: str, text: str, now: float) -> None:
        """Reasoning or visible text."""
        expecting = self._turns.get(turn)
        if expecting is None:
            return
        try:
            news = expecting.predictor.heard(text)
        except Exception:  # noqa: BLE001 - boundary, as in `begin`
            self._failed(turn)
            return
        if expecting.hears(len(text), news):
            self._look(turn, expecting, MENTION, now)

    def named(self, turn: str, ordinal: int, tool: str, now: float) -> None:
        """A call has its name: told or foreseen, whichever comes first."""
        expecting = self._turns.get(turn)
        if expecting is None or ordinal <= expecting.ordinal:
            return
        expecting.ordinal, expecting.named, expecting.writing = ordinal, now, tool
        expecting.told.clear()
        try:
            news = expecting.predictor.named(tool)
        except Exception:  # noqa: BLE001 - boundary, as in `begin`
            self._failed(turn)
            return
        if not self._is_settled(expecting, tool, news):
            self._look(turn, expecting, NAME, now)

    def _is_settled(self, expecting: Expecting, tool: str, news: bool | None) -> bool:
        """As many as may be are on their way already, all of them are of this tool, and no text since then may
        have changed it; or none may be."""
        if tool not in expecting.tools:
            return True
        if expecting.unseen and (expecting.news or news is not False):
            return False
        fit = all(one[0] == tool and one in expecting.known for one in expecting.best)
        return fit and len(expecting.best) >= self.speculation.candidates

    def argued(self, turn: str, ordinal: int, argument: str, value: Any, now: float) -> None:
        """An argument of the call that is being written is complete."""
        expecting = self._turns.get(turn)
        if expecting is None or ordinal != expecting.ordinal or argument in expecting.told:
            return
        expecting.told[argument] = value
        if self._told(turn, expecting.predictor.argued, argument, value):
            self._look(turn, expecting, ARGUMENTS, now)

    def asked(
        self, turn: str, session: SessionState, said: CallSealed, ours: tuple[Call, str] | None, now: float
    ) -> None:
        """A call is complete: from here on the turn's next call is expected. `ours`, if it is one of a gateway
        tool's, with its canonical arguments."""
        expecting = self._turns.get(turn)
        if not self.listens:
            return
        call, arguments = ours or self._call_of_theirs(session, said)
        if self.is_shadow:
            self.shadow.asked(session.id, said.call_id, call.tool, arguments, now)
        if expecting is None:
            return
        self._sealed(expecting, call.tool, now)
        expecting.ordinal = max(expecting.ordinal, said.ordinal)
        expecting.known.add((call.tool, arguments))
        expecting.told.clear()
        expecting.asked.add((call.tool, arguments))
        expecting.taken = 0
        if self._told(turn, expecting.predictor.asked, call):
            self._look(turn, expecting, CONTEXT, now)

    def _sealed(self, expecting: Expecting, tool: str, now: float) -> None:
        """Learn how long it took."""
        values, application = self._broker.values, expecting.application
        values.sealed(application, tool, now - expecting.sent)
        if expecting.named is not None:
            values.sealed(application, tool, now - expecting.named, named=True)
        expecting.named = None

    def _call_of_theirs(self, session: SessionState, said: CallSealed) -> tuple[Call, str]:
        call = Call(session.names.get(said.name, said.name), decode_object(said.arguments))
        return call, said.canonical or self._checks.canonical(call.tool, call.arguments)

    def ended(self, turn: str, session: SessionState, now: float) -> None:
        """The model has stopped, or nobody listens to it any more."""
        if (expecting := self._turns.pop(turn, None)) is not None:
            self._broker.end_chains(session.id, expecting.asked, now)
        self.shadow.turn_ended(session.id, now)

    def answered(self, line: Iterable[str], call_ids: Collection[str], now: float) -> None:
        """A request brought these results to one of these sessions."""
        for session in line:
            self.shadow.answered(session, call_ids, now)

    def expire(self, now: float) -> None:
        self.shadow.expire(now)

    def forget(self, session: str) -> None:
        self.shadow.forget(session)

    def learn(self, session: SessionState, calls: list[Call]) -> None:
        if not self.listens:
            return
        try:
            self._predictor.learn(session.history.history, calls)
        except Exception:  # noqa: BLE001 - boundary, as in `begin`
            self._failed()

    def _told(self, turn: str, tell: Any, *said: Any) -> bool:
        try:
            tell(*said)
        except Exception:  # noqa: BLE001 - boundary, as in `begin`
            self._failed(turn)
            return False
        return True

    def _failed(self, turn: str = "") -> None:
        if (expecting := self._turns.get(turn)) is not None:
            expecting.predictor = Fixed(())
        self.failures += 1
        if self.failures == 1:
            log.exception("the predictor failed; later failures are only counted")

    # -- candidates ---------------------------------------------------------------------------------------

    def _look(self, turn: str, expecting: Expecting, level: int, now: float) -> None:
        """Take on what is new among the candidates, now that more is known."""
        expecting.unseen, expecting.news = 0, False
        if level != expecting.level:
            expecting.level, expecting.taken = level, 0
        limit = self.speculation.candidates
        if not expecting.looks or expecting.taken >= limit:
            expecting.best = []  # of what was heard by now it is not known
            return
        expecting.looks -= 1
        for worth, candidate, arguments in self._worthy(turn, expecting, limit, now):
            if expecting.taken < limit and self._take(expecting, candidate, arguments, worth, now):
                expecting.taken += 1
                expecting.known.add((candidate.tool, arguments))
        self._look_beyond(turn, expecting, now)

    def _look_beyond(self, turn: str, expecting: Expecting, now: float) -> None:
        """Of what is likely some may have its result since an earlier turn."""
        session = expecting.session
        for tool, arguments in expecting.best if self.speculation.chain_depth else ():
            staged = self._broker.staged(CallKey(session.tenant, session.id, tool, arguments))
            if staged is not None:
                self.staged(turn, staged, now)

    def staged(self, turn: str, speculation: Speculation, now: float) -> None:
        """A speculation of the turn, or for the one after, has its result."""
        if (expecting := self._turns.get(turn)) is None:
            return
        try:
            self._chains.extend(expecting, speculation, now)
        except Exception:  # noqa: BLE001 - boundary, as in `begin`
            self._failed(turn)

    def _worthy(
        self, turn: str, expecting: Expecting, limit: int, now: float
    ) -> list[tuple[float, Candidate, str]]:
        """The new candidates that are worth a run, the worthiest first."""
        likeliest = self._candidates(turn, expecting, limit)
        expecting.best = [(candidate.tool, arguments) for candidate, arguments in likeliest]
        found = [
            (self._worth(expecting, candidate, now), candidate, arguments)
            for candidate, arguments in likeliest
            if (candidate.tool, arguments) not in expecting.known and not expecting.is_written(candidate)
        ]
        return sorted((one for one in found if one[0] > 0), key=lambda one: -one[0])

    def _worth(self, expecting: Expecting, candidate: Candidate, now: float) -> float:
        chance = candidate.estimate or candidate.probability
        named, since = expecting.since
        return self._broker.values.value(
            expecting.application,
            candidate.tool,
            chance,
            now - since,
            self._checks.price(candidate.tool),
            named=named,
        )

    def _candidates(self, turn: str, expecting: Expecting, limit: int) -> list[tuple[Candidate, str]]:
        try:
            return self._checks.checked(expecting.predictor.candidates(limit), expecting, limit)
        except Exception:  # noqa: BLE001 - boundary, as in `begin`
            self._failed(turn)
            return []

    def _take(
        self, expecting: Expecting, candidate: Candidate, arguments: str, worth: float, now: float
    ) -> bool:
        if (paid := self._checks.is_paid(candidate.tool)) and expecting.paid >= PAID:
            return False
        if not self._checks.may_leave(expecting, candidate, now):
            return False
        session, level = expecting.session, expecting.level
        prediction = session.new_prediction(now, candidate, level, worth)
        if self.is_shadow:
            taken = self.shadow.expect(session.id, candidate.tool, arguments, level, prediction, now)
        else:
            taken = self._offer(expecting, candidate, prediction, now)
        if taken:
            session.predictions.append(prediction)
            expecting.paid += paid
        return taken

    def _offer(self, expecting: Expecting, candidate: Candidate, prediction: Prediction, now: float) -> bool:
        session, values = expecting.session, self._broker.values
        named, since = expecting.since
        left = values.left(expecting.application, candidate.tool, now - since, named=named)
        prediction.start_by = now + latest(left)
        call = Call(candidate.tool, candidate.arguments)
        context = RunContext(session.tenant, session.id)
        return self._broker.offer(context, call, RunClass.SPECULATIVE, now, prediction) is not None
