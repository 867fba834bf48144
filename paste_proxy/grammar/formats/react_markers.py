"""Where `Action:` stands in a text, and behind it what makes an action of it, wherever on their lines.

Agents search the whole turn by one regular expression, and run what it finds first. This finds no less than
those of LangChain and CrewAI do, whatever else stands on the line, and in lists and code blocks too.
"""

import re

_ACTION = ("Action", ":")
_INPUT = ("Action", "Input", ":")
_BRACKET = ("[",)
_SPACE = re.compile(r"[\s\d]*")


class Markers:
    """Reads a text piece by piece, in linear time. Never raises."""

    __slots__ = ("_behind", "_matched", "_place", "_words", "first", "seen", "size")

    def __init__(self, *, bracketed: bool) -> None:
        """`bracketed`: an action is `Action: NAME[`; else `Action Input:` is what makes one."""
        self._behind = _BRACKET if bracketed else _INPUT
        self._words: tuple[str, ...] = _ACTION
        """What has to come, with nothing but white space and digits between."""
        self._place = 0
        """Which of these words comes next, or has begun."""
        self._matched = 0
        """Characters of it that have come."""
        self.size = 0
        """Characters read."""
        self.first = -1
        """Where the colon of the first `Action:` stands."""
        self.seen = False
        """Such a colon, and behind it what makes an action."""

    def feed(self, text: str, at: int, stop: int) -> None:
        """Read `text[at:stop]`."""
        begin = at
        while at < stop and not self.seen:
            if not self._place and not self._matched:
                found = text.find(self._words[0][0], at, stop)
                at = found if found >= 0 else stop
            elif not self._matched:
                match = _SPACE.match(text, at, stop)
                at = match.end() if match is not None else at
            if at < stop:
                at = self._read(text, at, self.size - begin)
        self.size += stop - begin

    def _read(self, text: str, at: int, base: int) -> int:
        """One character; `base` and its place in `text` make its place in all that was read."""
        word = self._words[self._place]
        if text[at] != word[self._matched]:
            # No word has its first letter twice, so that only this character may begin another.
            again = self._place > 0 or self._matched > 0
            self._place = self._matched = 0
            return at if again else at + 1
        self._matched += 1
        if self._matched == len(word):
            self._matched = 0
            self._place += 1
            if self._place == len(self._words):
                self._place = 0
                self._found(base + at)
        return at + 1

    def _found(self, place: int) -> None:
        if self.first < 0:
            self.first = place
            self._words = self._behind
        else:
            self.seen = True
