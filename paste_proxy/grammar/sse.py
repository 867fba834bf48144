"""Server-sent events: bytes in, payloads out (WHATWG HTML, section 9.2 "Server-sent events")."""

from typing import TypeAlias

EVENT_LIMIT = 8 * 1024 * 1024
"""Bytes of one event: as much as the largest request body that the proxy reads."""

Event: TypeAlias = tuple[int, bytes]
"""Where the data of an event begins, in bytes from the start, and its payload."""

_BOM = b"\xef\xbb\xbf"
_CR = 13


class SseDecoder:
    """Reads an event stream incrementally; how the bytes are cut makes no difference.

    Takes the time to copy each byte once and holds at most one event of `limit` bytes. Names, ids and
    retry times are skipped: the dialects of LLM engines say everything in the payload.
    """

    __slots__ = (
        "_after_cr",
        "_at",
        "_data",
        "_event_at",
        "_idle",
        "_limit",
        "_line",
        "_line_at",
        "_size",
        "fault",
    )

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self._limit = limit
        self.fault = ""
        """Why nothing more is read: an event is over the limit."""
        self._at = 0
        self._idle = True
        """Between two events, with nothing kept and no fault."""
        self._after_cr = False
        self._line = bytearray()
        self._line_at = 0
        self._data: list[bytes] = []
        self._size = 0
        """Bytes in `_data`, one more for each line."""
        self._event_at = 0

    @property
    def at(self) -> int:
        """Bytes read so far."""
        return self._at

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes, up to one that is over the limit."""
        size, start = len(data), 0
        line, _, rest = data.partition(b"\n")
        if rest != b"\n" and line.startswith(b"event:"):
            start = len(line) + 1
            line, _, rest = rest.partition(b"\n")
        payload = line.removeprefix(b"data: ")
        if (
            rest == b"\n"
            and self._idle
            and len(payload) != len(line)
            and _CR not in data
            and size <= self._limit
        ):  # One whole event, as engines send them: no lines to put together.
            start += self._at
            self._at += size
            return [(start, payload)]
        return self._feed_lines(data)

    def _feed_lines(self, data: bytes) -> list[Event]:
        if self._after_cr and data:
            self._after_cr = False
            if data.startswith(b"\n"):
                self._at += 1
                data = data[1:]
        events: list[Event] = []
        for line in data.splitlines(keepends=True):
            if self.fault:
                break
            if not self._line:
                self._line_at = self._at
            self._at += len(line)
            if line[-1] not in b"\r\n":
                self._line += line
                self._check(self._line)
            elif (payload := self._end_line(line.rstrip(b"\r\n"))) is not None:
                events.append((self._event_at, payload))
        self._after_cr = data.endswith(b"\r") or self._after_cr
        self._idle = not (self._after_cr or self._line or self._data or self.fault)
        return events

    def _end_line(self, line: bytes) -> bytes | None:
        """The payload, if this line ends an event that has one."""
        if self._line:
            self._line += line
            line = bytes(self._line)
            self._line.clear()
        self._check(line)
        if self._line_at == 0:
            line = line.removeprefix(_BOM)
        if line:
            self._read_field(line)
            return None
        if not self._data or self.fault:
            return None
        payload = b"\n".join(self._data)
        self._data.clear()
        self._size = 0
        return payload

    def _read_field(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            value = line[6:] if line.startswith(b"data: ") else line[5:]
        elif line == b"data":
            value = b""
        else:
            return
        if not self._data:
            self._event_at = self._line_at
        self._data.append(value)
        self._size += len(value) + 1

    def _check(self, line: bytes | bytearray) -> None:
        """A line, or what has come of it, beside the data of its event."""
        if self._size + len(line) > self._limit:
            self.fault = f"an event longer than {self._limit} bytes"
