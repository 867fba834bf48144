"""What of a reply's text is told as text, and how far all of it is told."""

from paste_proxy.grammar.events import ContentText, GrammarEvent, Malformed, ReasoningText

BLANK_LIMIT = 1024
"""Characters of white space beside a call that are taken out with it: templates have two or three."""


class Telling:
    """Where the events of one reply go. White space in its beginning and behind a call waits: it goes on only
    with text behind it."""

    __slots__ = ("_base", "_blanks", "_fed", "_gap", "_looked", "_lost", "_marked", "at", "out", "settled")

    def __init__(self) -> None:
        self.out: list[GrammarEvent] = []
        self.at = 0
        """For `Malformed`."""
        self.settled = 0
        """Characters fed up to which all was told, as text or as whole calls, or is part of their marks. Stays
        where it is from the first `Malformed` on: there the text begins that was not told."""
        self._fed = 0
        self._base = 0
        """Characters fed before the text at hand."""
        self._lost = False
        self._looked = 0
        """How many of the events were looked at for a `Malformed`."""
        self._gap = True
        """White space waits here."""
        self._blanks = ""
        self._marked = False
        """A mark was read: white space that waits at the end of the reply stands beside it."""

    def begin(self, size: int, held: int, at: int, out: list[GrammarEvent]) -> None:
        """The text at hand has `size` new characters, and before them `held` ones that were fed before."""
        self.out, self.at, self._looked = out, at, len(out)
        self._base = self._fed - held
        self._fed += size

    def content(self, text: str, place: int) -> None:
        """This, which ends at `place` of the text at hand, is content."""
        if self._gap:
            text = self._blanks + text
            if len(text) <= BLANK_LIMIT and (not text or text.isspace()):
                self._blanks = text
                return
            self._blanks, self._gap = "", False
        if text:
            self.out.append(ContentText(text))
        self.settle(place)

    def reasoning(self, text: str, place: int) -> None:
        if text:
            self.out.append(ReasoningText(text))
        self.settle(place)

    def mark(self) -> None:
        """A mark was read: white space before it goes with it."""
        self._marked = True
        self._blanks = ""

    def end_call(self, place: int) -> None:
        """A call is over, and white space behind it may go with it."""
        self._gap = True
        self.settle(place)

    def settle(self, place: int) -> None:
        """All of the text at hand up to `place` is told."""
        self.look()
        if not self._lost:
            self.settled = self._base + place

    def look(self) -> None:
        """Was anything told since that can't be read?"""
        out = self.out
        if len(out) > self._looked:
            self._lost = self._lost or any(type(one) is Malformed for one in out[self._looked :])
            self._looked = len(out)

    def end(self) -> None:
        """The reply is over."""
        if self._blanks and not self._marked:
            self.out.append(ContentText(self._blanks))
