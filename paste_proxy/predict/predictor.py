"""The predictor of level 0: patterns of one or two signatures, learnt online (DESIGN section 6)."""

from collections.abc import Hashable, Iterable, Sequence
from itertools import islice

from paste_proxy.predict.bindings import Slot, View, explain
from paste_proxy.predict.model import Call, Candidate, History
from paste_proxy.predict.patterns import Estimate, Pattern, PatternTable
from paste_proxy.predict.shapes import Key, exact
from paste_proxy.predict.signatures import contexts

_ARGUMENTS = 8
"""A call with more arguments is not explained: the calls that can be bound have one to four."""
_CALLS = 32
"""Calls of one turn that are learnt from: parallel calls are a handful."""
_TRIED = 64
"""Patterns evaluated per prediction, the likeliest first."""
_FLOOR = 0.001
"""A pattern below this share is not evaluated: nobody would start it."""


class PatternPredictor:
    """Implements `Predictor` over a `PatternTable`. Deterministic: equal tables and histories, equal
    candidates.

    A call whose arguments come from outputs must be a new one: an unspecific binding would propose above all to
    open again the page just read. A call of earlier arguments alone may be repeated, as tests are after an
    edit.
    """

    def __init__(self, table: PatternTable) -> None:
        self.table = table

    def learn(self, history: History, calls: Sequence[Call]) -> None:
        """After `history` the model's turn asked for `calls`; empty: the turn had no call, an outcome too."""
        view = View(history.calls)
        session = _session(history)
        patterns = [self._explained(view, call, session) for call in islice(calls, _CALLS)]
        self.table.count(contexts(history.calls), patterns)

    def predict(self, history: History, tools: Iterable[str], limit: int) -> list[Candidate]:
        """At most `limit` concrete calls of `tools` that may come next, the likeliest first.

        Patterns that give the same call add up. `probability` is Wilson's lower bound of `estimate`.
        """
        view = View(history.calls)
        short, long = contexts(history.calls)
        likely = [
            (pattern, estimate)
            for pattern, estimate in self.table.estimates(short, long, frozenset(tools))
            if estimate.share >= _FLOOR
        ]
        likely.sort(key=lambda item: -item[1].share)
        candidates = map(_candidate, _calls(view, likely[:_TRIED]).values())
        return sorted(candidates, key=lambda candidate: -candidate.probability)[: max(limit, 0)]

    def _explained(self, view: View, call: Call, session: Hashable) -> Pattern | None:
        """The pattern that the call is credited to, or None."""
        if len(call.arguments) > _ARGUMENTS:
            return None
        bindings = []
        for name in sorted(call.arguments):
            slot = Slot(call.tool, name)
            binding = self.table.choose(slot, explain(view, slot, call.arguments[name]), session)
            if binding is None:
                return None
            bindings.append((name, binding))
        pattern = Pattern(call.tool, tuple(bindings))
        return pattern if _bound(view, pattern) is not None else None


class _Bound:
    """A concrete call, and the patterns that give it."""

    def __init__(self, pattern: Pattern, arguments: dict[str, Key]) -> None:
        self.pattern = pattern
        self.arguments = arguments
        self.share = 0.0
        self.turns = 0.0

    def add(self, estimate: Estimate) -> None:
        self.share += estimate.share
        self.turns = estimate.turns


def _calls(view: View, likely: Iterable[tuple[Pattern, Estimate]]) -> dict[Hashable, _Bound]:
    found: dict[Hashable, _Bound] = {}
    for pattern, estimate in likely:
        arguments = _bound(view, pattern)
        if arguments is not None:
            call = (pattern.tool, frozenset(arguments.items()))
            found.setdefault(call, _Bound(pattern, arguments)).add(estimate)
    return found


def _bound(view: View, pattern: Pattern) -> dict[str, Key] | None:
    """The arguments that a pattern gives now; None where one has no value, or it repeats a call that it may
    not."""
    arguments: dict[str, Key] = {}
    for name, binding in pattern.bindings:
        key = binding.find(view, Slot(pattern.tool, name))
        if key is None:
            return None
        arguments[name] = key
    return None if not pattern.copies() and view.repeats(pattern.tool, arguments) else arguments


def _candidate(bound: _Bound) -> Candidate:
    total = Estimate(share=bound.share, turns=bound.turns)
    return Candidate(
        tool=bound.pattern.tool,
        arguments={name: key[1] for name, key in bound.arguments.items()},
        probability=total.lower_bound(),
        why=f"{bound.pattern}: {total.share:.0%} of {total.turns:.0f} turns",
        estimate=min(total.share, 1.0),
    )


def _session(history: History) -> Hashable:
    """What tells sessions apart: the id; without one, the first call by its scalar arguments."""
    if history.session or not history.calls:
        return history.session
    first = history.calls[0]
    return first.tool, frozenset((name, exact(value)) for name, value in first.arguments.items())
