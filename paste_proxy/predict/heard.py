"""What a turn has said so far: its words and where they stand. Each is taken in once, as it comes."""

import re
from collections.abc import Collection
from functools import lru_cache
from itertools import chain

from paste_proxy.predict.symbols import Filling, Slot, Symbol
from paste_proxy.predict.values import Key

BATCH = 96
"""Characters that are taken in together, six chunks or so: half the cost of one after the other."""
LONGEST = 512
"""Characters without a space that are still words, and no content: addresses and paths stay below."""
WORDS = 2048
"""Words that are remembered at least, some 12,000 characters: what a longer turn began with is forgotten."""
GIVEN = 256
"""Arguments of the turn's calls that are remembered: parallel calls are a handful."""
LABEL = 4
"""Words before a value that may say what it is: `the user id is`."""
NAME = 256
"""Characters of a name whose words count. It bounds what is kept of names, which models make up."""
STEM = 5
"""Letters that tell words apart whatever their ending: cancel and cancelling, baggage and baggages."""
ENDINGS = ("ations", "ation", "ing", "ion", "ies", "ed", "es", "s", "e", "y")
_WORD = re.compile(
    r"([a-z][a-z0-9+.-]{0,15}+://[^\s\"'`<>\\(){}\[\]|]{3,400}|(?:[#@~/.][./@:~+#-]*+)?+\w++(?:[./@:~+#-]++\w++)*+)|[#@~/.][./@:~+#-]*+"
)
"""As that of `values.spoken`, addresses of any scheme among them; plain words are of interest here."""
_CASES = re.compile(r"([a-z])([A-Z])")
_LETTERS = re.compile(r"[A-Za-z]+")


class Heard:
    """Places count all words of the turn."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._forgotten = 0
        self._last: dict[str, int] = {}
        self._first: dict[str, int] = {}
        """Of as many words as were there when somebody asked."""
        self._asked = 0
        self.waiting = ""
        """What came and is not taken in yet."""
        self.given: set[tuple[Slot, Key]] = set()
        """What earlier calls of the turn have as arguments."""

    def __len__(self) -> int:
        return self._forgotten + len(self._words)

    def hear(self, text: str) -> bool:
        """Whether enough came to be taken in."""
        self.waiting += text
        return len(self.waiting) >= BATCH

    def take_in(self, *, whole: bool = False) -> list[str]:
        """The words that came. The last one waits for its rest, unless the text is over: `whole`."""
        text = self.waiting
        end = len(text) if whole else max(text.rfind(" "), text.rfind("\n")) + 1
        if not end and len(text) > LONGEST:
            end = len(text)
        if not end:
            return []
        self.waiting = text[end:]
        words = _words(text[:end])
        start = len(self)
        self._last.update(zip(words, range(start, start + len(words)), strict=True))
        self._words += words
        if len(self._words) >= 2 * WORDS:
            self._forget()
        return words

    def _forget(self) -> None:
        self._forgotten += WORDS
        del self._words[:WORDS]
        self._first, self._asked = {}, 0
        self._last = {word: place for word, place in self._last.items() if place >= self._forgotten}

    def end(self) -> None:
        """All was said, and no call is complete yet: from here on it is learnt from."""
        self.take_in(whole=True)
        self.given = set()

    @property
    def waits(self) -> bool:
        """Something came that is not taken in."""
        return bool(self.waiting)

    def gave(self, symbol: Symbol, filling: Filling) -> None:
        """A call of the turn is complete."""
        if len(self.given) < GIVEN:
            self.given.update((Slot(symbol, name), key) for name, key in filling.items() if key is not None)

    def since(self, place: int) -> tuple[int, list[str]]:
        """The words from there on, as far as they are remembered, and where they begin."""
        start = max(place - self._forgotten, 0)
        return start + self._forgotten, self._words[start:]

    def has(self, word: str) -> bool:
        return word in self._last

    def places(self, key: Key) -> tuple[int, int] | None:
        """Where a value was named first, and last."""
        words = words_of(key)
        if not words or any(word not in self._last for word in words):
            return None
        return self._first_place(words[0]), self._last[words[0]]

    def _first_place(self, word: str) -> int:
        """Kept once asked for: to search for each value anew took milliseconds in a long turn."""
        for place, one in enumerate(self._words[self._asked :], self._forgotten + self._asked):
            self._first.setdefault(one, place)
        self._asked = len(self._words)
        return self._first[word]

    def says(self, place: int, stems: Collection[str]) -> bool:
        """Whether one of the words just before a place has one of these stems."""
        end = place - self._forgotten
        return any(stem(word) in stems for word in self._words[max(0, end - LABEL) : end])


def words_of(key: Key) -> tuple[str, ...]:
    """What must be said for the value to be named."""
    kind, value = key
    if kind == "int":
        return (str(value),)
    if kind != "str" or not value:
        return ()
    return (value,) if " " not in value else _words_in(value)


def _words(text: str) -> list[str]:
    """As `values.spoken` finds them, and plain ones, too."""
    pieces = [piece for piece in text.split() if len(piece) <= LONGEST]
    return list(chain.from_iterable(map(_words_in, pieces)))


@lru_cache(maxsize=4096)
def _words_in(piece: str) -> tuple[str, ...]:
    """Cached: most of a text is the same few hundred pieces."""
    return tuple(filter(None, (word.rstrip(".,:;") for word in _WORD.findall(piece))))


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """How it begins, in lower case, so that the forms of a word are one."""
    word = word.lower()
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) >= len(ending) + 3:
            word = word[: -len(ending)]
            break
    return word[:STEM]


def stems_of(name: str) -> tuple[str, ...]:
    """Of the words in a name or a text's word, and of all in one where there is a hyphen: find_user and
    findUser are find, user; one-stop is one, stop, onest."""
    return _stems_of(name[:NAME])


@lru_cache(maxsize=8192)
def _stems_of(name: str) -> tuple[str, ...]:
    if name.isalpha() and name.islower():
        return (stem(name),)
    parts = _LETTERS.findall(_CASES.sub(r"\1 \2", name))
    if "-" in name and len(parts) > 1:
        parts.append("".join(parts))
    return tuple(dict.fromkeys(map(stem, parts)))
