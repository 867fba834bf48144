"""Where Python source nests and where its logical lines end, found as it arrives, without parsing it."""

import re

_MARK = re.compile(r"[\"'#\\\n()\[\]{}]")
_IN_STRING = {quote: re.compile(rf"[{quote}\\\n]") for quote in "\"'"}


class SourceScanner:
    """Follows brackets, strings, comments and continued lines, in linear time.

    `feed` stops behind the bracket that closes the outermost one, and behind a line end outside of brackets and
    strings: `depth` is 0 then, and `line_ended` says which of the two it was.
    """

    __slots__ = ("_after_backslash", "_comment", "_opening", "_quotes", "depth", "line_ended", "quote")

    def __init__(self, *, depth: int = 0, quote: str = "") -> None:
        """`depth` and `quote`: the brackets and the string that are open where the reading begins."""
        self.depth = depth
        self.quote = quote
        """One character, or three; empty outside of strings."""
        self.line_ended = False
        self._quotes = 0
        """Quotes just read that may open or close a triple-quoted string."""
        self._opening = False
        self._comment = False
        self._after_backslash = False

    def feed(self, text: str, at: int = 0) -> int:
        """Read `text[at:]`; returns where it stopped."""
        self.line_ended = False
        end = len(text)
        while at < end:
            if self._after_backslash:
                self._after_backslash = False
                at += 1
            elif self._comment:
                line = text.find("\n", at)
                self._comment = line < 0
                at = line if line >= 0 else end
            elif self._opening:
                at = self._open_string(text, at)
            elif self.quote:
                at = self._string(text, at)
            else:
                at, stop = self._code(text, at)
                if stop:
                    break
        return at

    def _code(self, text: str, at: int) -> tuple[int, bool]:
        """On to the next mark; whether to stop behind it."""
        mark = _MARK.search(text, at)
        if mark is None:
            return len(text), False
        char = mark[0]
        if char in "\"'":
            self.quote = char
            self._quotes = 1
            self._opening = True
        elif char == "\\":
            self._after_backslash = True
        elif char == "#":
            self._comment = True
        elif char == "\n":
            self.line_ended = self.depth == 0
            return mark.end(), self.line_ended
        elif char in "([{":
            self.depth += 1
        elif self.depth:
            self.depth -= 1
            return mark.end(), self.depth == 0
        return mark.end(), False

    def _open_string(self, text: str, at: int) -> int:
        """One quote or two were read."""
        if text[at] != self.quote:
            self._opening = False
            if self._quotes == 2:
                self._close_string()
            self._quotes = 0
            return at
        self._quotes += 1
        if self._quotes == 3:
            self.quote *= 3
            self._quotes = 0
            self._opening = False
        return at + 1

    def _string(self, text: str, at: int) -> int:
        char = self.quote[0]
        mark = _IN_STRING[char].search(text, at)
        if mark is None or mark.start() > at:
            self._quotes = 0
        if mark is None:
            return len(text)
        if mark[0] == "\\":
            self._quotes = 0
            self._after_backslash = True
        elif mark[0] == char:
            self._quotes += 1
            if self._quotes == len(self.quote):
                self._close_string()
        else:
            self._quotes = 0
            if len(self.quote) == 1 and self.depth == 0:
                # Broken source: the string ends with its line, and so is the next line read as one.
                self._close_string()
                return mark.start()
        return mark.end()

    def _close_string(self) -> None:
        self.quote = ""
        self._quotes = 0
