"""What the model says before it asks: tools and values that its text names are likelier (evidence level 1).

Log-linear, as in `filling`: what was expected before is weighed by how it is named, and what each way of naming
is worth is learnt, for all tools and for each argument. The ways are shapes: the first or the last one named,
behind the argument's name; of tools, see `naming`.
"""

import math
from collections.abc import Hashable, Mapping, Sequence

from paste_proxy.predict.adagrad import Weights
from paste_proxy.predict.heard import Heard, stem, stems_of
from paste_proxy.predict.ledger import SHARED, TOTAL, Ledger
from paste_proxy.predict.naming import Known, Naming
from paste_proxy.predict.symbols import Slot, Symbol
from paste_proxy.predict.values import Key

STEP = 0.3
"""AdaGrad's step, and half of it for weights that all arguments share: of 0.15 to 0.6 all are alike."""
SHARED_STEP = 0.15
CLEAR = 2e-3
"""Errors below teach nothing."""
LEAST = 1e-4
"""A chance that is learnt from at least: what nobody expected was named, all the same."""
MOST = 3
"""Named values that are told apart by their number, and their order."""
NAMED = 12
"""Symbols whose names are listened for: as many as are followed, and half as many more."""
LIKELY = (0.03, 0.2, 0.999)
"""Of the likeliest one's chance: what was never likely is named for other reasons."""
KINDS = 8.0
"""Texts that the even share of their kinds counts for."""
PARTS = (1 / 3, 2 / 3, 1.0)
"""Of a turn's text, after which what it names is learnt: it is asked about all the way."""
BEFORE: Mapping[Hashable, float] = {
    ("order", 1, 0): 1.5,
    ("order", 2, 0): 1.0,
    ("order", 2, 1): 1.0,
    ("words", "best", 2): 1.0,
    ("words", "best", 3): 1.0,
}
"""Weights before anything is learnt: in agents with visible reasoning 35-59 % of calls have their values in
it."""


class Hearing:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known = Known()

    # -- values -------------------------------------------------------------------------------------------

    def values(self, slot: Slot, keys: Sequence[Key], chances: Sequence[float], heard: Heard) -> list[float]:
        """The chances of a slot's values, and last that of none of them, now that the text is known."""
        features = _of_values(slot, keys, chances, heard)
        return self._weighed("hearing", slot, chances, features) if features else list(chances)

    def learn_value(
        self,
        slot: Slot,
        keys: Sequence[Key],
        chances: Sequence[float],
        heard: Heard,
        right: Key,
    ) -> None:
        features = _of_values(slot, keys, chances, heard)
        if features:
            target = keys.index(right) if right in keys else len(keys)
            self._learn("hearing", slot, chances, features, target)

    # -- symbols ------------------------------------------------------------------------------------------

    def symbols(self, chances: Mapping[Symbol, float], naming: Naming) -> dict[Symbol, float]:
        """`naming`: of the `likeliest` of these symbols. The others share what they had."""
        top = {symbol: chances[symbol] for symbol in naming.symbols}
        before, named = sum(chances.values()), sum(top.values())
        weighed = self._weighed("naming", None, list(top.values()), naming.features())
        odds = before * self._odds(naming.kind())
        goes_on = odds / (odds + max(0.0, 1 - before)) if odds else 0.0
        scale = goes_on / (before or 1.0)
        rest = {symbol: chance * scale for symbol, chance in chances.items()}
        return rest | {symbol: share * named * scale for symbol, share in zip(top, weighed, strict=True)}

    def naming(self, chances: Mapping[Symbol, float]) -> Naming:
        return Naming(likeliest(chances), self._known)

    def _odds(self, kind: Hashable) -> float:
        """By what the odds change that a call comes: what agents say to people has no call behind it."""
        shares = []
        for goes_on in (True, False):
            counts = self._ledger.common.find("goes on", goes_on) or {}
            shares.append((counts.get(kind, 0.0) + 1) / (counts.get(TOTAL, 0.0) + KINDS))
        return shares[0] / shares[1]

    def learn_symbol(self, chances: Mapping[Symbol, float], heard: Heard, right: Symbol | None) -> None:
        """None: no call came any more."""
        if not heard:
            return
        naming = self.naming(chances)
        top = {symbol: chances[symbol] for symbol in naming.symbols}
        for part in PARTS:
            naming.read(heard, math.ceil(len(heard) * part))
            self._ledger.common.count("goes on", right is not None, naming.kind())
            if right is not None and right in top and naming.says_any:
                target = naming.symbols.index(right)
                self._learn("naming", None, list(top.values()), naming.features(), target)

    # -- both ---------------------------------------------------------------------------------------------

    def _weighed(
        self,
        section: str,
        slot: Slot | None,
        chances: Sequence[float],
        features: Sequence[Sequence[Hashable]],
    ) -> list[float]:
        own = (self._ledger.find(section, slot) if slot is not None else None) or {}
        shared = self._ledger.common.find(SHARED, section) or {}
        powers = []
        for chance, mine in zip(chances, features, strict=True):
            score = 0.0
            for one in mine:
                score += own.get(one, 0.0) + shared.get(one, BEFORE.get(one, 0.0))
            powers.append(chance * math.exp(score))
        whole = sum(powers) or 1.0
        return [power / whole for power in powers]

    def _learn(
        self,
        section: str,
        slot: Slot | None,
        chances: Sequence[float],
        features: Sequence[Sequence[Hashable]],
        target: int,
    ) -> None:
        before = self._weighed(section, slot, [max(chance, LEAST) for chance in chances], features)
        own = Weights(self._ledger, section, f"{section} squares", slot)
        shared = Weights(self._ledger.common, SHARED, "shared squares", section)
        for number, mine in enumerate(features):
            error = before[number] - (number == target)
            if abs(error) > CLEAR:
                if slot is not None:
                    own.move(mine, error, STEP, {})
                shared.move(mine, error, SHARED_STEP, BEFORE)


def likeliest(chances: Mapping[Symbol, float]) -> tuple[Symbol, ...]:
    """Those whose names are listened for."""
    if len(chances) <= NAMED:
        return tuple(chances)
    return tuple(sorted(chances, key=chances.__getitem__, reverse=True)[:NAMED])


def _of_values(slot: Slot, keys: Sequence[Key], chances: Sequence[float], heard: Heard) -> list[list[Hashable]]:
    """How each of a slot's values is named, and last that none of them may be meant; nothing where none is
    named."""
    labels = stems_of(slot.argument) if isinstance(slot.argument, str) else ()
    places = [None if key[0] == "str" and stem(key[1]) in labels else heard.places(key) for key in keys]
    if not any(places):
        return []
    done = {key for key in keys if (slot, key) in heard.given}
    new = [place for key, place in zip(keys, places, strict=True) if place is not None and key not in done]
    firsts, last = sorted(first for first, _ in new), max((last for _, last in new), default=-1)
    named, most = min(len(new), MOST), max(chances[:-1])
    features: list[list[Hashable]] = []
    for key, place, chance in zip(keys, places, chances, strict=False):
        if place is None or key in done:
            features.append([("silent" if place is None else "done", named)])
            continue
        likely = sum(chance > most * one for one in LIKELY)
        mine: list[Hashable] = [
            ("order", named, min(firsts.index(place[0]), MOST - 1)),
            ("last", named, place[1] == last),
            ("likely", named, likely),
        ]
        if heard.says(place[1], labels):
            mine.append("labelled")
        features.append(mine)
    features.append([("none", named)])
    return features
