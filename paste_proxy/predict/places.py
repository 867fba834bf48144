"""Where values stand: sources as a session knows them, and values with the places that they were seen at."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from paste_proxy.predict.symbols import Slot
from paste_proxy.predict.values import Key, mask_of

KINDS = {
    kind: 1 << place
    for place, kind in enumerate(
        ("out", "key", "list", "text", "whole", "system", "user", "assistant", "arg", "said")
    )
}

Source: TypeAlias = tuple[str, str, Any]
"""A kind of place, the tool (or who spoke), and what tells places of that tool apart: a JSON path, a mask, an
argument's name."""

Place: TypeAlias = tuple[int, int, int]
"""How many calls were answered before; the place in its text; the text's clock, so that one text's values are
known as such."""


def number_of(source: Source) -> int:
    """Another for each source, as far as 56 bits tell them apart; what is in the low eight is free."""
    return hash(source) & ~0xFF


class Origin:
    """A source as one session knows it. One object for each, which is found faster than a path in a tuple."""

    __slots__ = ("is_argument", "kind", "newest", "number", "source", "values")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.kind = KINDS[source[0]]
        self.is_argument = source[0] == "arg"
        self.number = number_of(source)
        self.newest = 0
        """The clock of its newest text."""
        self.values: dict[Key, Value] = {}
        """The newest that stood there, the newest last."""

    def __repr__(self) -> str:
        return f"Origin({self.source})"


class Value:
    __slots__ = ("at", "count", "key", "kinds", "mask", "places", "stood", "used")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.mask = mask_of(key)
        self.places: dict[Origin, Place] = {}
        """The newest of each source; the newest source last."""
        self.stood: Origin | None = None
        """The newest source, rather an output or a text than an argument."""
        self.at: Place = (0, 0, 0)
        """Its place there."""
        self.used: dict[Slot, int] = {}
        """When it was used last, by the memory's clock."""
        self.kinds = 0
        """Kinds of places that it stood in, a bit for each."""
        self.count = 0

    def put(self, origin: Origin, place: Place) -> None:
        places = self.places
        places.pop(origin, None)
        places[origin] = place
        if not origin.is_argument or self.stood is None or self.stood.is_argument:
            self.stood, self.at = origin, place
        self.count += 1
        self.kinds |= origin.kind

    def leave_oldest(self) -> Origin:
        """One of many places is forgotten."""
        oldest = next(iter(self.places))
        del self.places[oldest]
        if self.stood is oldest:
            self.stood, self.at = next(reversed(self.places.items()))
        return oldest

    def twin(self, origins: Mapping[Origin, Origin]) -> "Value":
        """A copy that stood in other origins, each in the place of one of its own."""
        value = Value(self.key)
        value.places = {origins[origin]: place for origin, place in self.places.items()}
        value.stood, value.at = None if self.stood is None else origins[self.stood], self.at
        value.used, value.kinds, value.count = dict(self.used), self.kinds, self.count
        return value

    def kept(self) -> tuple[Any, ...]:
        return dict(self.places), self.stood, self.at, dict(self.used), self.kinds, self.count

    def restore(self, kept: tuple[Any, ...]) -> None:
        self.places, self.stood, self.at, self.used, self.kinds, self.count = kept
