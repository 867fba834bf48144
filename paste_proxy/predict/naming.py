"""How well a text names each of some symbols: by the words of their names that come close together, and when.

An agent that thinks aloud says `let me get the reservation's details` well before it asks for
get_reservation_details. A word that few of the names have says more than one that many have.
"""

import math
from collections.abc import Collection, Hashable, Sequence
from functools import lru_cache

from paste_proxy.predict.heard import NAME, Heard, stems_of
from paste_proxy.predict.symbols import Symbol

WINDOW = 8
"""Words within which those of one name are said: `get the details of this reservation` takes six."""
FULL = 0.75
"""Share of a name's words, by their worth, that makes it said: small ones are left out."""
HALF = 24
"""Words, a sentence or two, after which a name that was said counts half."""
STRENGTHS = (0.15, 0.4, 0.7)
"""Shares of a name that are told apart; so are how far others are behind."""
BEHIND = (0.0, 0.4, 0.7)
TEXT = 2048
"""Words of texts whose stems are kept, per vocabulary: texts use the same few hundred."""
LENGTH = 30
"""Words by which lengths of texts are told apart: a sentence or two."""


class Vocabulary:
    """The words in the names of some symbols, and what they are worth."""

    def __init__(self, symbols: Sequence[Symbol]) -> None:
        stems = tuple(map(_stems, symbols))
        having: dict[str, list[int]] = {}
        for number, several in enumerate(stems):
            for one in several:
                having.setdefault(one, []).append(number)
        worth = {one: math.log((len(symbols) + 1) / len(numbers)) for one, numbers in having.items()}
        self.shares = tuple(_shares([(one, worth[one]) for one in several]) for several in stems)
        """Of each symbol the stems of its name, and which share of it each is."""
        self.having = having
        """The symbols that have a stem."""


class Known(dict[str, tuple[str, ...]]):
    """Of texts' words the stems that any name had: texts use the same few hundred, and names few of them."""

    def __init__(self) -> None:
        super().__init__()
        self._stems: set[str] = set()

    def include(self, stems: Collection[str]) -> None:
        if not self._stems.issuperset(stems):
            self._stems = {*(self._stems if len(self._stems) < TEXT else ()), *stems}
            self.clear()

    def __missing__(self, word: str) -> tuple[str, ...]:
        if len(self) >= TEXT:
            self.clear()
        found = self[word] = tuple(one for one in stems_of(word) if one in self._stems)
        return found


def _shares(worth: Sequence[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    whole = sum(one for _, one in worth)
    return tuple((stem, one / whole) for stem, one in worth)


def vocabulary(symbols: tuple[Symbol, ...]) -> Vocabulary:
    """Kept, since an agent has the same tools in each turn; but not of names of any length."""
    return _kept(symbols) if all(len(one.tool) <= NAME for one in symbols) else Vocabulary(symbols)


@lru_cache(maxsize=512)
def _kept(symbols: tuple[Symbol, ...]) -> Vocabulary:
    return Vocabulary(symbols)


def _stems(symbol: Symbol) -> tuple[str, ...]:
    """Of the words of its name, and of its command."""
    texts = (symbol.tool, *(part for part in symbol.parts if isinstance(part, str)))
    return tuple(dict.fromkeys(one for text in texts for one in stems_of(text)))


class Naming:
    def __init__(self, symbols: Sequence[Symbol], known: Known) -> None:
        self.symbols = tuple(symbols)
        self._names = vocabulary(self.symbols)
        self._known = known
        known.include(self._names.having.keys())
        self._read = 0
        self._now = 0
        self._last: dict[str, int] = {}
        """Where each word came last, unless it has told a name."""
        self._best = [(0.0, 0)] * len(symbols)
        """Of each symbol: the share of its name that was said, and where."""
        self._said = [-1] * len(symbols)
        """Where its name was said."""
        self._latest = -1
        """The symbol that was said last."""

    def read(self, heard: Heard, upto: int | None = None) -> bool:
        """What came since the last time. Whether another name was said last before."""
        start, words = heard.since(self._read)
        if upto is not None:
            words = words[: max(0, upto - start)]
        self._read = start + len(words)
        known, latest = self._known, self._latest
        for place, stems in [(place, stems) for place, one in enumerate(words, start) if (stems := known[one])]:
            self._hear(stems, place)
        return self._latest != latest

    def _hear(self, stems: Sequence[str], place: int) -> None:
        having, last = self._names.having, self._last
        touched: Sequence[int] = ()
        for one in stems:
            if (numbers := having.get(one)) is not None:
                last[one] = place
                touched = sorted({*touched, *numbers}) if touched else numbers
        if touched:
            self._now = place + 1
            self._touch(touched, place)

    def _touch(self, numbers: Sequence[int], place: int) -> None:
        """These symbols have a word there."""
        names, best, last, start = self._names.shares, self._best, self._last.get, place - WINDOW
        said: list[int] = []
        for number in numbers:
            share = 0.0
            for one, worth in names[number]:
                if last(one, start) > start:
                    share += worth
            before, at = best[number]
            if share >= before or share >= before * 0.5 ** ((place - at) / HALF):
                best[number] = share, place
            if share >= FULL:
                said.append(number)
        for number in said:
            self._said[number], self._latest = place, said[0]
            for one, _ in names[number]:
                self._last.pop(one, None)  # it is used up: another name needs words of its own

    def _score(self, number: int) -> float:
        share, place = self._best[number]
        return share * float(0.5 ** ((self._now - place) / HALF))

    def features(self) -> list[list[Hashable]]:
        """Of each symbol: how its name's words compare with those of the best, and which was said last."""
        scores = self._scores()
        best = max(scores, default=0.0)
        strength = _step(best, STRENGTHS)
        tied = scores.count(best) > 1
        latest = sorted({place for place in self._said if place >= 0}, reverse=True)
        features: list[list[Hashable]] = []
        for score, said in zip(scores, self._said, strict=True):
            near = "tied" if tied else "best"
            how = near if score == best else _step(score / best, BEHIND)
            mine: list[Hashable] = [("words", how, strength)]
            if latest:
                order = min(latest.index(said), 2) if said >= 0 else -1
                mine.append(("said", order, min(len(latest), 3)))
            features.append(mine)
        return features

    @property
    def says_any(self) -> bool:
        """Whether a word of any name was said."""
        return self._now > 0

    def kind(self) -> Hashable:
        """How much of any name a text of which length said: whether a call comes at all."""
        strength = _step(max(self._scores(), default=0.0), STRENGTHS)
        return strength, max(self._said, default=-1) >= 0, min(self._now // LENGTH, 3)

    def _scores(self) -> list[float]:
        return [self._score(number) for number in range(len(self._best))]


def _step(value: float, steps: Sequence[float]) -> int:
    return sum(value > one for one in steps)
