"""One turn's text as it comes, and what of that which is expected it touches: the rest stays as it was."""

from collections.abc import Mapping

from paste_proxy.predict.filling import Filled
from paste_proxy.predict.heard import BATCH, Heard, words_of
from paste_proxy.predict.hearing import Hearing
from paste_proxy.predict.naming import Naming
from paste_proxy.predict.symbols import Slot, Symbol
from paste_proxy.predict.values import Key

TELLING = 0.02
"""Of the likeliest value's chance: the mention of one that has less hardly makes it the likeliest. Of a list
of ten of which the first is taken in half the cases, the others have a fifteenth of its chance down to a
sixtieth."""


class Listening:
    def __init__(self, hearing: Hearing, heard: Heard) -> None:
        self.heard = heard
        self._hearing = hearing
        self._naming: Naming | None = None
        """Of the symbols that were asked about."""
        self._values: dict[Slot, list[tuple[float, Key]]] = {}
        self._slots: dict[str, list[Slot]] = {}
        """By the words that name their values."""
        self._listed: set[Slot] = set()
        self._expected: list[tuple[Slot, Filled]] = []
        """Slots whose values are not listed by their words yet: there may be no text."""
        self._telling: set[str] = set()
        """Those words that have not come yet, of values that are not far from the likeliest."""
        self._stale: set[Symbol] = set()
        self.changes = 0
        """Times that something was taken in."""

    def hear(self, text: str) -> bool:
        """A piece of text: whether it named something that was not named before."""
        heard = self.heard
        heard.waiting += text  # `Heard.hear`, without the call: this is done for every chunk
        return len(heard.waiting) >= BATCH and self.take_in()

    def take_in(self, *, whole: bool = False) -> bool:
        if self.heard.waits:
            while self._expected:  # before the words are known: what they name first is news, too
                self._list(*self._expected.pop())
        words = self.heard.take_in(whole=whole)
        if not words:
            return False
        self.changes += 1
        fresh = self._naming is None or self._naming.read(self.heard)
        slots = self._slots
        for word in [word for word in words if word in slots]:
            self._touch(slots[word])
            if word in self._telling:
                self._telling.remove(word)
                fresh = True
        return fresh

    def _touch(self, slots: list[Slot]) -> None:
        for slot in slots:
            if self._values.pop(slot, None) is not None:
                self._stale.add(slot.symbol)

    def take_stale(self) -> set[Symbol]:
        """Symbols whose values are weighed anew."""
        stale, self._stale = self._stale, set()
        return stale

    def move_on(self) -> None:
        """Other symbols are expected now, and other values."""
        self._naming = None
        self._values, self._slots = {}, {}
        self._listed, self._telling, self._stale = set(), set(), set()
        self._expected = []

    def symbols(self, chances: Mapping[Symbol, float]) -> Mapping[Symbol, float]:
        """Of all that may come next, the same ones until it moves on."""
        if self._naming is None:
            self._naming = self._hearing.naming(chances)
        self._naming.read(self.heard)
        return self._hearing.symbols(chances, self._naming) if self.heard else chances

    def values(self, slot: Slot, filled: Filled) -> list[tuple[float, Key]]:
        if slot not in self._values:
            self._list(slot, filled)
            weighed = self._hearing.values(slot, filled.keys, filled.chances, self.heard)
            self._values[slot] = list(zip(weighed, filled.keys, strict=False))
        return list(self._values[slot])

    def expect(self, slot: Slot, filled: Filled) -> None:
        """Before anything is said: its values are listened for."""
        self._expected.append((slot, filled))

    def _list(self, slot: Slot, filled: Filled) -> None:
        if slot in self._listed:
            return
        self._listed.add(slot)
        most = max(filled.chances[:-1], default=0.0)
        for key, chance in zip(filled.keys, filled.chances, strict=False):
            for word in words_of(key):
                self._slots.setdefault(word, []).append(slot)
                if chance > most * TELLING and not self.heard.has(word):
                    self._telling.add(word)
