"""Next to next: a result that is staged says what may follow the call that it is for, a turn ahead.

A session's predictor reads the result into a memory that is thrown away (`predict/forks.py`); nobody else sees
it. What it expects then is run behind the staged one: it ends if that ends, or if the turn does not ask for it.
"""

from typing import NamedTuple

from paste_proxy.broker.broker import Broker
from paste_proxy.broker.speculation import Speculation
from paste_proxy.candidates import Candidates
from paste_proxy.config import SpeculationConfig
from paste_proxy.expecting import CONTEXT, Expecting
from paste_proxy.predict.model import Call, Candidate, FinishedCall, ForesightedTurn
from paste_proxy.predict.signatures import finished_call
from paste_proxy.predict.value import Left, latest
from paste_proxy.tools.ports import RunClass, RunContext

EVER: Left = [(1e9, 1.0)]
"""More time than any tool takes."""


class _Reached(NamedTuple):
    """The turn after some calls that were not asked for yet."""

    estimate: float
    """Of all of them."""
    bound: float
    left: Left
    """Until its request goes out."""


class Chains:
    def __init__(self, broker: Broker, checks: Candidates, speculation: SpeculationConfig) -> None:
        self._broker = broker
        self._checks = checks
        self._speculation = speculation

    def configure(self, speculation: SpeculationConfig) -> None:
        self._speculation = speculation

    def extend(self, expecting: Expecting, staged: Speculation, now: float) -> None:
        """Run ahead what is worth it behind `staged`, once a turn. Raises what the predictor raises."""
        if staged.output is None or not staged.output.is_told:
            return
        path, limit = staged.path, self._speculation.candidates
        if len(path) > self._speculation.chain_depth or staged.id in expecting.extended:
            return
        if not isinstance(expecting.predictor, ForesightedTurn) or not self._may_lead_on(expecting, path):
            return
        reached = self._reached(expecting, path, now)
        if reached is None:
            return
        expecting.extended.add(staged.id)
        if not self._is_hopeful(expecting, reached):
            return
        results = [_finished(one) for one in path]
        likely = expecting.predictor.following(results, limit)
        after = f"after {staged.spec.name}({staged.key.arguments})"
        for candidate, arguments in self._checks.checked(likely, expecting, limit):
            tried = (candidate.tool, arguments) in expecting.known
            if tried or self._checks.is_paid(candidate.tool):
                continue
            if self._checks.may_leave(expecting, candidate, now, results):
                self._offer(expecting, staged, reached, candidate, after, now)

    def _may_lead_on(self, expecting: Expecting, path: list[Speculation]) -> bool:
        """Behind a call that the turn has asked for nothing is gained: the next turn begins in a moment. What a
        call with a price leads to would be wasted with it."""
        asked = (path[0].key.tool, path[0].key.arguments) in expecting.asked
        return not asked and not any(self._checks.is_paid(one.spec.name) for one in path)

    def _reached(self, expecting: Expecting, path: list[Speculation], now: float) -> _Reached | None:
        """None where the first one is not likely any more."""
        values, (named, since) = self._broker.values, expecting.since
        first, *others = path
        found = self._expected(expecting, first)
        if found is None:
            return None
        bound, estimate = found.probability, found.estimate or found.probability
        left = values.left(expecting.application, first.spec.name, now - since, named=named)
        for one in others:
            share = expecting.shares.get(one.id)
            if share is None:
                return None
            bound, estimate = bound * share.probability, estimate * (share.estimate or share.probability)
            left = values.left_after(left, expecting.application, one.spec.name)
        return _Reached(estimate, bound, left)

    def _expected(self, expecting: Expecting, speculation: Speculation) -> Candidate | None:
        """How likely it is by now."""
        limit, key = self._speculation.candidates, speculation.key
        candidates = self._checks.checked(expecting.predictor.candidates(limit), expecting, limit)
        fitting = (one for one, arguments in candidates if (one.tool, arguments) == (key.tool, key.arguments))
        return next(fitting, None)

    def _is_hopeful(self, expecting: Expecting, reached: _Reached) -> bool:
        """Whether anything behind it could be worth a start, however sure and however early: to look what it is
        takes milliseconds."""
        tools = (tool for tool in expecting.tools if not self._checks.is_paid(tool))
        return reached.bound >= self._speculation.min_probability and any(
            self._worth(expecting, reached, tool, 1.0, EVER) > 0 for tool in tools
        )

    def _offer(
        self,
        expecting: Expecting,
        staged: Speculation,
        reached: _Reached,
        candidate: Candidate,
        after: str,
        now: float,
    ) -> None:
        session, tool = expecting.session, candidate.tool
        share = candidate.estimate or candidate.probability
        bound = reached.bound * candidate.probability
        if bound < self._speculation.min_probability:
            return
        left = self._broker.values.left_after(reached.left, expecting.application, tool)
        worth = self._worth(expecting, reached, tool, share, left)
        if worth <= 0:
            return
        why, estimate = f"{after}: {candidate.why}", round(reached.estimate * share, 4)
        chained = Candidate(tool, candidate.arguments, round(bound, 4), why, estimate)
        prediction = session.new_prediction(now, chained, CONTEXT, worth)
        prediction.start_by = now + latest(left)
        call, context = Call(tool, candidate.arguments), RunContext(session.tenant, session.id)
        taken = self._broker.offer(context, call, RunClass.SPECULATIVE, now, prediction, staged)
        if taken is not None:
            session.predictions.append(prediction)
            expecting.shares[taken.id] = candidate

    def _worth(self, expecting: Expecting, reached: _Reached, tool: str, share: float, left: Left) -> float:
        """What is gained by starting now rather than when the turn after begins, where more is known: no more
        than that turn is too short to hide."""
        values, price = self._broker.values, self._checks.price(tool)
        next_turn = values.left(expecting.application, tool, 0.0)
        later = reached.estimate * max(0.0, values.worth(tool, share, next_turn, price))
        return values.worth(tool, reached.estimate * share, left, price) - later


def _finished(speculation: Speculation) -> FinishedCall:
    """As it will stand in the history, if it does."""
    body = speculation.output.body if speculation.output is not None else b""
    return finished_call(speculation.spec.name, speculation.arguments, body.decode("utf-8", "replace"))
