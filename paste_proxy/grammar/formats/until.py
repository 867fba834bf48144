"""Two pieces that readers of text protocols share: text up to a marker, and text without what surrounds it."""

import io

from paste_proxy.grammar.calls import SIZE_LIMIT


class Until:
    """Gives out text up to a marker that may be cut anywhere, in linear time."""

    __slots__ = ("_marker", "held", "reached")

    def __init__(self, marker: str) -> None:
        self._marker = marker
        self.held = ""
        """The end of what was fed, if the marker may have begun in it; not given out yet."""
        self.reached = False

    def feed(self, text: str, at: int = 0) -> tuple[str, int]:
        """Read `text[at:]`; returns the text before the marker, and where the reading stopped: the end of
        `text`, or behind the marker, which is then `reached`."""
        marker, held = self._marker, self.held
        if held:
            window = held + text[at : at + len(marker) - 1]
            found = window.find(marker)
            if found >= 0:
                return self._reach(window[:found], at + found + len(marker) - len(held))
        found = text.find(marker, at)
        if found >= 0:
            return self._reach(held + text[at:found], found + len(marker))
        tail = held + text[at:] if len(text) - at < len(marker) else text[1 - len(marker) :]
        self.held = tail[len(tail) - _begun(tail, marker) :]
        piece = held + text[at:]
        return piece[: len(piece) - len(self.held)], len(text)

    def _reach(self, piece: str, at: int) -> tuple[str, int]:
        self.held = ""
        self.reached = True
        return piece, at


def _begun(text: str, marker: str) -> int:
    """How many characters of `marker` the end of `text` may be the beginning of."""
    at = text.find(marker[0], max(0, len(text) - len(marker) + 1))
    while at >= 0 and not marker.startswith(text[at:]):
        at = text.find(marker[0], at + 1)
    return len(text) - at if at >= 0 else 0


class Trim:
    """Gives out text without `leading` characters before it; keeps back `trailing` ones until others follow.

    None stands for white space, as in `str.strip`.
    """

    __slots__ = ("_begun", "_leading", "_tail", "_trailing")

    def __init__(self, leading: str | None = None, trailing: str | None = None) -> None:
        self._leading = leading
        self._trailing = trailing
        self._begun = False
        self._tail = io.StringIO()

    def feed(self, text: str) -> str:
        if not self._begun:
            text = text.lstrip(self._leading)
            self._begun = bool(text)
        whole = text.rstrip(self._trailing)
        trailing = text[len(whole) :]
        if whole and self._tail.tell():
            whole = self._tail.getvalue() + whole
            self._tail = io.StringIO()
        self._tail.write(trailing)
        if self._tail.tell() > SIZE_LIMIT:  # More than a call may have: it can't end well.
            whole += self._tail.getvalue()
            self._tail = io.StringIO()
        return whole

    @property
    def tail(self) -> str:
        """What was kept back."""
        return self._tail.getvalue()
