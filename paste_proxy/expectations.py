"""What may come next in the turns under way: asks the predictor as each turn goes on, and hands on what is new.

In mode `on` the broker takes candidates on, in mode `shadow` they are only held against what is asked for then.
A predictor's bug costs the predictions of a turn, and nothing else.
"""

import json
import logging
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from paste_proxy.broker.broker import Broker
from paste_proxy.broker.egress import refusal
from paste_proxy.broker.keys import canonical_text
from paste_proxy.config import ClientToolConfig, NetworkConfig, SpeculationConfig
from paste_proxy.errors import InvalidArgumentsError
from paste_proxy.grammar.digests import digest
from paste_proxy.grammar.events import CallSealed
from paste_proxy.predict.model import Call, Candidate, Prediction, Predictor, TurnPredictor
from paste_proxy.predict.shadow import Shadow
from paste_proxy.predict.value import MONEY, price_at
from paste_proxy.sessions.history import decode_object
from paste_proxy.sessions.state import SessionState
from paste_proxy.sessions.turn import Turn
from paste_proxy.tools.arguments import decode_arguments
from paste_proxy.tools.ports import RunClass, RunContext
from paste_proxy.tools.spec import Effect

log = logging.getLogger(__name__)

CONTEXT, MENTION, NAME, ARGUMENTS = range(4)
"""The levels of evidence."""
LOOK_AFTER = 128
"""Characters of text between two looks at the candidates, some thirty tokens: a look takes some hundred
microseconds, hearing a chunk less than ten."""
LOOK_EVERY = 512
"""The same, for a predictor that does not say whether it heard anything new: a hundred tokens, a few seconds of
a turn; in long turns half of what was heard."""
PAID = 1
"""Candidates with a price that one turn may have: what is wasted of them is money."""
LOOKS = 128
"""Looks at the candidates of one turn: beyond them it says nothing new."""

_encode = msgspec.json.Encoder(order="sorted").encode


@dataclass(eq=False, slots=True)
class _Expecting:
    """One turn, as far as it has been heard."""

    session: SessionState
    tools: frozenset[str]
    predictor: TurnPredictor
    application: bytes
    """What tells agents apart whose turns last differently: the model and the tools that are offered."""
    sent: float
    looks: int = LOOKS
    level: int = CONTEXT
    taken: int = 0
    """Candidates of this level for the call that comes next."""
    paid: int = 0
    """Those among all of the turn's that cost money."""
    unseen: int = 0
    """Characters of text that came since the last look."""
    news: bool = False
    """Something among them may have changed what is expected."""
    heard: int = 0
    """All of them."""
    known: set[tuple[str, str]] = field(default_factory=set)
    """What was taken on or asked for, by tool and canonical arguments: a run that failed is not tried again."""
    ordinal: int = -1
    """Of the call that is being written."""
    named: float | None = None
    """When its name came."""
    told: dict[str, Any] = field(default_factory=dict)
    """Its arguments that are known: the model's own words."""
    kept_back: set[tuple[str, str]] = field(default_factory=set)
    """Tools whose candidates the egress rule held back, and why."""
    best: list[tuple[str, str]] = field(default_factory=list)
    """What was found likeliest at the last look, by tool and canonical arguments."""

    def hears(self, characters: int, news: bool | None) -> bool:
        """Whether the candidates are to be looked at again. `news`: what the predictor says of it."""
        self.unseen += characters
        self.heard += characters
        self.news = self.news or bool(news)
        if news is None:
            return self.unseen >= max(LOOK_EVERY, self.heard // 2)
        return self.news and self.unseen >= LOOK_AFTER

    @property
    def since(self) -> tuple[bool, float]:
        """From when the lead of the next call counts: whether from its name."""
        return (False, self.sent) if self.named is None else (True, self.named)


class Expectations:
    def __init__(
        self,
        predictor: Predictor,
        broker: Broker,
        speculation: SpeculationConfig,
        client_tools: Mapping[str, ClientToolConfig],
    ) -> None:
        self.failures = 0
        self.kept_back = 0
        """Candidates that the egress rule held back, by tool, reason and turn."""
        self.listens = speculation.mode == "shadow" or (speculation.mode == "on" and bool(speculation.allow))
        """Whether anybody asks what turns say beside their calls."""
        self.shadow = Shadow(self.reads, broker.values.served)
        self._predictor = predictor
        self._broker = broker
        self.speculation = speculation
        self._client_tools = client_tools
        self._turns: dict[str, _Expecting] = {}

    # -- tools --------------------------------------------------------------------------------------------

    def reads(self, tool: str) -> bool:
        """Whether it is known to write nothing. `tool` is our name for it, or the client's."""
        if (spec := self._broker.specs.get(tool)) is not None:
            return spec.effect is Effect.READ
        return tool in self._client_tools and not self._client_tools[tool].writes

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
        return tool in self._client_tools and bool(self._client_tools[tool].writes)

    @property
    def is_shadow(self) -> bool:
        return self.speculation.mode == "shadow"

    # -- a turn -------------------------------------------------------------------------------------------

    def begin(self, turn: Turn, session: SessionState, now: float) -> None:
        """The request is on its way, and its history is read."""
        self.shadow.left(session.id, session.history.unanswered)
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
        self._turns[turn.id] = expecting = _Expecting(session, tools, predictor, _application(turn), now)
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
        expecting.ordinal, expecting.named = ordinal, now
        expecting.told.clear()
        try:
            news = expecting.predictor.named(tool)
        except Exception:  # noqa: BLE001 - boundary, as in `begin`
            self._failed(turn)
            return
        if not self._is_settled(expecting, tool, news):
            self._look(turn, expecting, NAME, now)

    def _is_settled(self, expecting: _Expecting, tool: str, news: bool | None) -> bool:
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
        expecting.taken = 0
        if self._told(turn, expecting.predictor.asked, call):
            self._look(turn, expecting, CONTEXT, now)

    def _sealed(self, expecting: _Expecting, tool: str, now: float) -> None:
        """Learn how long it took."""
        values, application = self._broker.values, expecting.application
        values.sealed(application, tool, now - expecting.sent)
        if expecting.named is not None:
            values.sealed(application, tool, now - expecting.named, named=True)
        expecting.named = None

    def _call_of_theirs(self, session: SessionState, said: CallSealed) -> tuple[Call, str]:
        call = Call(session.names.get(said.name, said.name), decode_object(said.arguments))
        return call, said.canonical or self.canonical(call.tool, call.arguments)

    def ended(self, turn: str, session: SessionState, now: float) -> None:
        """The model has stopped, or nobody listens to it any more."""
        self._turns.pop(turn, None)
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
        self._turns.pop(turn, None)
        self.failures += 1
        if self.failures == 1:
            log.exception("the predictor failed; later failures are only counted")

    # -- candidates ---------------------------------------------------------------------------------------

    def _look(self, turn: str, expecting: _Expecting, level: int, now: float) -> None:
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

    def _worthy(
        self, turn: str, expecting: _Expecting, limit: int, now: float
    ) -> list[tuple[float, Candidate, str]]:
        """The new candidates that are worth a run, the worthiest first."""
        likeliest = self._candidates(turn, expecting, limit)
        expecting.best = [(candidate.tool, arguments) for candidate, arguments in likeliest]
        found = [
            (self._worth(expecting, candidate, now), candidate, arguments)
            for candidate, arguments in likeliest
            if (candidate.tool, arguments) not in expecting.known and not _is_written(expecting, candidate)
        ]
        return sorted((one for one in found if one[0] > 0), key=lambda one: -one[0])

    def _worth(self, expecting: _Expecting, candidate: Candidate, now: float) -> float:
        """Nothing runs in the shadow, so there nothing presses."""
        price = price_at(0.0 if self.is_shadow else self._broker.pressure(candidate.tool))
        if self._is_paid(candidate.tool):
            price = max(price, MONEY)
        chance = candidate.estimate or candidate.probability
        named, since = expecting.since
        return self._broker.values.value(
            expecting.application, candidate.tool, chance, now - since, price, named=named
        )

    def _is_paid(self, tool: str) -> bool:
        return tool in self._broker.specs and self._broker.specs[tool].price > 0

    def _candidates(self, turn: str, expecting: _Expecting, limit: int) -> list[tuple[Candidate, str]]:
        """The candidates that can be calls, whatever a predictor may answer; with their canonical arguments."""
        found: list[tuple[Candidate, str]] = []
        try:
            for candidate in islice(expecting.predictor.candidates(limit), limit):
                likely = candidate.probability >= self.speculation.min_probability
                if candidate.tool in expecting.tools and likely:
                    with suppress(InvalidArgumentsError):  # no call: its tool would refuse it
                        found.append(self._checked(candidate))
        except Exception:  # noqa: BLE001 - boundary, as in `begin`
            self._failed(turn)
        return found

    def _checked(self, candidate: Candidate) -> tuple[Candidate, str]:
        """Its arguments as if they had come from a model, and canonical. Raises on what is no call."""
        text = json.dumps(candidate.arguments, allow_nan=False)
        spec = self._broker.specs.get(candidate.tool)
        arguments = (
            msgspec.json.decode(text, type=dict[str, Any])
            if spec is None
            else decode_arguments(spec, text.encode())
        )
        checked = Candidate(
            candidate.tool,
            arguments,
            round(float(candidate.probability), 4),
            str(candidate.why),
            round(float(candidate.estimate), 4),
        )
        return checked, self.canonical(checked.tool, arguments)

    def canonical(self, tool: str, arguments: dict[str, Any]) -> str:
        """Equal for equal calls. Of a tool that the agent runs itself no defaults are known."""
        spec = self._broker.specs.get(tool)
        return canonical_text(spec, arguments) if spec is not None else _encode(arguments).decode()

    def _take(
        self, expecting: _Expecting, candidate: Candidate, arguments: str, worth: float, now: float
    ) -> bool:
        if (paid := self._is_paid(candidate.tool)) and expecting.paid >= PAID:
            return False
        if not self._may_leave(expecting, candidate, now):
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

    def _may_leave(self, expecting: _Expecting, candidate: Candidate, now: float) -> bool:
        """The egress rule, for tools that hand their arguments to others."""
        spec = self._broker.specs.get(candidate.tool)
        if spec is None or not spec.network:
            return True
        rule = self.speculation.network.get(candidate.tool, NetworkConfig())
        history = expecting.session.history.history
        refused = refusal(spec, candidate.arguments, expecting.told, history, rule)
        if refused and (candidate.tool, refused) not in expecting.kept_back:
            expecting.kept_back.add((candidate.tool, refused))
            expecting.session.note(now, "kept back", tool=candidate.tool, why=refused)
            self.kept_back += 1
        return not refused

    def _offer(self, expecting: _Expecting, candidate: Candidate, prediction: Prediction, now: float) -> bool:
        session, values = expecting.session, self._broker.values
        named, since = expecting.since
        prediction.start_by = now + values.start_within(
            expecting.application, candidate.tool, now - since, named=named
        )
        call = Call(candidate.tool, candidate.arguments)
        context = RunContext(session.tenant, session.id)
        return self._broker.offer(context, call, RunClass.SPECULATIVE, now, prediction)


def _is_written(expecting: _Expecting, candidate: Candidate) -> bool:
    """All its arguments are told: the call is complete in a moment, and starts then without a guess."""
    return expecting.level == ARGUMENTS and candidate.arguments.keys() <= expecting.told.keys()


def _application(turn: Turn) -> bytes:
    request = turn.request
    names = (request.model, *(tool.name for tool in request.tools)) if request is not None else ()
    return digest("\0".join(names).encode("utf-8", "replace"))
