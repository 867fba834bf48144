"""The pattern table: how often which pattern was right in which context (DESIGN section 6, level 0).

Counting happens twice. A *slot* (an argument of a tool) counts how well each binding has explained its
values, over all contexts. A *context* counts turns and patterns: of the bindings that explain a call the best
one alone is credited. So the counts of a context are of different events, and patterns that give the same
call add up.
"""

import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Annotated, TypeAlias, TypeVar

import msgspec

from paste_proxy.predict.bindings import (
    ArgumentBinding,
    Binding,
    IterationBinding,
    PathBinding,
    Slot,
    family,
)
from paste_proxy.predict.shapes import is_field, is_tool
from paste_proxy.predict.signatures import Context

K = TypeVar("K")
Count: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]
"""Halves and quarters come from ageing."""

HORIZON = 1024.0
"""Turns after which a context's counts are halved: a share of 3 % is then known within 0.6 points, and a change
of habits shows after some hundred turns."""
BACKOFF = 16.0
"""Turns that the shorter context's estimate counts for: strengths of 12 to 20 are usual for such shrinkage."""
CONFIDENCE = 1.0
"""Standard deviations from the estimate to its lower bound: five times in six the true share is above it."""
_WIDTH = 64
"""Patterns per context, bindings per slot: a context's probable patterns are a dozen."""
_SLOTS = 4096
"""Arguments of all tools together: the largest tool sets have some hundred tools of a few arguments."""
_FAINT = 0.5
"""A count halved below this is forgotten: one sighting, two halvings ago."""


class Pattern(msgspec.Struct, frozen=True):
    """A tool and where each of its arguments is found, sorted by argument: their set is part of the pattern."""

    tool: str
    bindings: tuple[tuple[str, Binding], ...]

    def copies(self) -> bool:
        """Whether all arguments come from earlier calls: only then the call may be one that was made before."""
        return all(isinstance(binding, ArgumentBinding) for _, binding in self.bindings)

    def __str__(self) -> str:
        return f"{self.tool}({', '.join(f'{name} = {binding}' for name, binding in self.bindings)})"


class Estimate(msgspec.Struct, frozen=True):
    """The share of a context's turns in which a pattern was right; `turns` is the evidence that it rests on."""

    share: float
    turns: float

    def lower_bound(self) -> float:
        """Wilson's lower bound of the share, `CONFIDENCE` deviations down; 0 without evidence."""
        if self.turns <= 0:
            return 0.0
        n, z2, share = self.turns, CONFIDENCE**2, min(self.share, 1.0)
        spread = math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
        return max(0.0, (share + z2 / (2 * n) - CONFIDENCE * spread) / (1 + z2 / n))


class Counts(msgspec.Struct):
    """One context: its turns, those without a call, calls that no binding explains, turns with each pattern."""

    turns: float = 0.0
    silent: float = 0.0
    unexplained: float = 0.0
    patterns: dict[Pattern, float] = {}

    def halve(self) -> None:
        self.turns /= 2
        self.silent /= 2
        self.unexplained /= 2
        self.patterns = _halved(self.patterns)


class SavedContext(msgspec.Struct, frozen=True):
    """A context's counts as they are stored. Shapes and counts alone: no value of any session."""

    context: Context
    turns: Count
    silent: Count
    unexplained: Count
    patterns: tuple[tuple[Pattern, Count], ...]


class Changes(msgspec.Struct, frozen=True):
    """What a store must do to have the table's state again."""

    saved: tuple[SavedContext, ...] = ()
    dropped: tuple[Context, ...] = ()


class Merits(msgspec.Struct):
    """One slot: how well each binding (less its rank) has explained its values."""

    total: float = 0.0
    merits: dict[Binding, float] = {}
    lone: dict[Binding, Hashable] = {}
    """The session in which a binding was right, as long as it was right in no other."""


class PatternTable:
    """Counts, learnt online, bounded: what was least supported or longest unused is forgotten first.

    `limit` bounds the patterns of all contexts together. 50,000 of two arguments take about 30 MB.
    """

    def __init__(self, limit: int = 50_000) -> None:
        self._limit = limit
        self._size = 0
        self._contexts: dict[Context, Counts] = {}
        self._slots: dict[Slot, Merits] = {}
        self._changed: dict[Context, None] = {}

    def __len__(self) -> int:
        """The number of patterns held."""
        return self._size

    # -- learning -----------------------------------------------------------------------------------------

    def choose(self, slot: Slot, explanations: Sequence[Binding], session: Hashable) -> Binding | None:
        """Credit all bindings that explain a value of `slot`, and return the one that has done so best.

        A binding gains 1/(rank + 1) in merit: to explain a value as first of a list is worth more than as
        tenth. Of equals the first given is taken. None without explanations.
        """
        if not explanations:
            return None
        known = self._merits(slot)
        for binding in explanations:
            _gain(known, family(binding), 1 / (binding.rank + 1), session)
        known.total += 1
        if known.total > HORIZON:
            known.total /= 2
            known.merits = _halved(known.merits)
        return max(explanations, key=lambda binding: known.merits.get(family(binding), 0.0))

    def count(self, contexts: Iterable[Context], patterns: Sequence[Pattern | None]) -> None:
        """One turn in `contexts` made the calls of `patterns` (None: an unexplained one); none: it made no
        call."""
        for context in contexts:
            counts = self._counts(context)
            self._size -= len(counts.patterns)
            _count(counts, patterns)
            self._size += len(counts.patterns)
            self._changed[context] = None
        self._forget()

    def _counts(self, context: Context) -> Counts:
        """The counts of a context, which is now the most recently used."""
        counts = self._contexts.pop(context, None) or Counts()
        self._contexts[context] = counts
        return counts

    def _merits(self, slot: Slot) -> Merits:
        known = self._slots.pop(slot, None) or Merits()
        self._slots[slot] = known
        if len(self._slots) > _SLOTS:
            del self._slots[next(iter(self._slots))]
        return known

    def _forget(self) -> None:
        """Drop contexts, the longest unused first, until the limit holds; each counts as one pattern more."""
        while len(self._contexts) > 2 and self._size + len(self._contexts) > self._limit:
            context = next(iter(self._contexts))
            self._size -= len(self._contexts.pop(context).patterns)
            self._changed[context] = None

    # -- estimating ---------------------------------------------------------------------------------------

    def estimates(
        self, short: Context, long: Context, tools: frozenset[str]
    ) -> Iterator[tuple[Pattern, Estimate]]:
        """The patterns of `tools` seen in either context, with the share of turns in which they are right.

        Backed off: the long context's counts, plus `BACKOFF` turns at the short one's share, which itself is
        shrunk towards none likewise.
        """
        brief, full = self._contexts.get(short) or Counts(), self._contexts.get(long) or Counts()
        known = BACKOFF * brief.turns / (brief.turns + BACKOFF)
        for pattern in dict.fromkeys([*full.patterns, *brief.patterns]):
            if pattern.tool in tools:
                prior = brief.patterns.get(pattern, 0.0) / (brief.turns + BACKOFF)
                share = (full.patterns.get(pattern, 0.0) + BACKOFF * prior) / (full.turns + BACKOFF)
                yield pattern, Estimate(share=share, turns=full.turns + known)

    # -- keeping ------------------------------------------------------------------------------------------

    def take_changes(self) -> Changes:
        """What changed since the last time, for a store; to be handed to `put_back` if it can't be saved."""
        saved = [self._saved(c, self._contexts[c]) for c in self._changed if c in self._contexts]
        dropped = [context for context in self._changed if context not in self._contexts]
        self._changed = {}
        return Changes(saved=tuple(s for s in saved if s), dropped=tuple(dropped))

    def put_back(self, changes: Changes) -> None:
        """Have the contexts of `changes` saved again next time."""
        for context in [*(saved.context for saved in changes.saved), *changes.dropped]:
            self._changed[context] = None

    def load(self, contexts: Iterable[SavedContext]) -> None:
        """Add what was stored: to be called once, on an empty table."""
        for saved in contexts:
            counts = self._counts(saved.context)
            counts.turns, counts.silent, counts.unexplained = saved.turns, saved.silent, saved.unexplained
            for pattern, count in saved.patterns[:_WIDTH]:
                counts.patterns[pattern] = count
                self._trust(pattern, count)
            self._size += len(counts.patterns)
        self._forget()
        self._changed = {}

    def _trust(self, pattern: Pattern, count: float) -> None:
        """A stored pattern's bindings have proved themselves: their merit is what they were credited with."""
        for name, binding in pattern.bindings:
            _add(self._merits(Slot(pattern.tool, name)).merits, family(binding), count / (binding.rank + 1))

    def _saved(self, context: Context, counts: Counts) -> SavedContext | None:
        if not all(is_tool(signature.tool) for signature in context if signature.tool):
            return None
        patterns = tuple((p, n) for p, n in counts.patterns.items() if self._is_shape(p))
        return SavedContext(context, counts.turns, counts.silent, counts.unexplained, patterns)

    def _is_shape(self, pattern: Pattern) -> bool:
        """Whether a pattern says nothing of a session's values, so that it may be stored.

        Its names must look like names, and each binding must have been right in two sessions: a path that was
        right in one alone may have that session's data among its keys, as in {"ann": {"mail": ...}}.
        """
        return is_tool(pattern.tool) and all(
            is_field(name) and _is_named(binding) and self._is_common(Slot(pattern.tool, name), binding)
            for name, binding in pattern.bindings
        )

    def _is_common(self, slot: Slot, binding: Binding) -> bool:
        known, kind = self._slots.get(slot), family(binding)
        return known is not None and kind in known.merits and kind not in known.lone


def _is_named(binding: Binding) -> bool:
    """Whether all names in a binding look like names of a schema."""
    names: Sequence[str] = ()
    if isinstance(binding, PathBinding | IterationBinding):
        names = [step for step in binding.path if isinstance(step, str)]
    elif isinstance(binding, ArgumentBinding):
        names = [binding.argument]
    return is_tool(binding.tool) and all(map(is_field, names))


def _count(counts: Counts, patterns: Sequence[Pattern | None]) -> None:
    counts.turns += 1
    counts.silent += not patterns
    counts.unexplained += patterns.count(None)
    for pattern in dict.fromkeys(patterns):
        if pattern is not None:
            _add(counts.patterns, pattern, 1.0)
    if counts.turns > HORIZON:
        counts.halve()


def _gain(known: Merits, kind: Binding, merit: float, session: Hashable) -> None:
    if kind not in known.merits:
        known.lone[kind] = session
    elif known.lone.get(kind, session) != session:
        del known.lone[kind]
    _add(known.merits, kind, merit)
    if len(known.lone) > _WIDTH:
        known.lone = {k: v for k, v in known.lone.items() if k in known.merits}


def _add(counts: dict[K, float], key: K, amount: float) -> None:
    """Add to a count; where the dict is full the least one makes room."""
    if key not in counts and len(counts) >= _WIDTH:
        del counts[min(counts, key=counts.__getitem__)]
    counts[key] = counts.get(key, 0.0) + amount


def _halved(counts: dict[K, float]) -> dict[K, float]:
    return {key: count / 2 for key, count in counts.items() if count / 2 >= _FAINT}
