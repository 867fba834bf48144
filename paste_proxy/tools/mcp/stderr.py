"""What a server writes to its standard error, for the log: bounded, since nobody asked for it."""

LINE_LIMIT = 500
"""Bytes of a line that are kept: the beginning of a stack trace's last line says what happened."""
LINES_AT_ONCE = 20
"""Lines a window: a stack trace. More is a server's own log, which belongs elsewhere."""
WINDOW_S = 10.0


class StderrLines:
    """Cuts a stream into lines worth telling. Time is passed in."""

    def __init__(self) -> None:
        self.last = ""
        """The last line that said something: of a process that died, most often why."""
        self._part = b""
        self._room = LINES_AT_ONCE
        self._until = 0.0

    def feed(self, data: bytes, now: float) -> list[str]:
        *lines, rest = (self._part + data).split(b"\n")
        self._part = rest[:LINE_LIMIT]
        told = []
        for line in lines:
            text = line[:LINE_LIMIT].decode("utf-8", "replace").rstrip()
            if text:
                self.last = text
                told.extend(self._told(text, now))
        return told

    def _told(self, text: str, now: float) -> list[str]:
        if now >= self._until:
            self._room, self._until = LINES_AT_ONCE, now + WINDOW_S
        self._room -= 1
        if self._room > 0:
            return [text]
        return ["(more follows, and is dropped)"] if self._room == 0 else []
