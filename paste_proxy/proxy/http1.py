"""Reading HTTP/1.1 replies (RFC 9112) without I/O: bytes in, head and body out.

Strict, since a proxy that reads a message otherwise than its neighbours do can be made to
mix up two replies: whatever is ambiguous is an error, nothing is guessed.
"""

import re
from typing import Protocol, TypeAlias

import msgspec

from paste_proxy.errors import BackendUnreachableError

Fields: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""Header fields in their order, names as they were spelled."""

CRLF = b"\r\n"
HEAD_LIMIT = 256 * 1024
"""Bytes of a reply's head. Far above what servers send (nginx allows itself 8 KB); bounds memory."""
LINE_LIMIT = 8 * 1024
"""Bytes of a chunk's size line with its extensions, and of a trailer line. Nobody sends 100."""
TRAILER_LIMIT = 64 * 1024
_HEX = b"0123456789abcdefABCDEF"
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([^\x00-\x08\x0a-\x1f\x7f]*))?")
_FIELD_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([^\x00-\x08\x0a-\x1f\x7f]*)")
_SIZE_LINE = re.compile(rb"([0-9a-fA-F]{1,8})\r\n").match
_BODILESS = frozenset({204, 304})
SWITCHING_PROTOCOLS = 101


class BadReplyError(BackendUnreachableError):
    """The backend answered something that is not HTTP/1.1."""

    code = "backend_bad_reply"


class ReplyHead(msgspec.Struct, frozen=True):
    """A final reply's (or a 101's) status line and fields, and what follows from them."""

    status: int
    reason: bytes
    fields: Fields
    chunked: bool
    length: int | None
    """Body bytes; None where the framing is chunked or ends with the connection."""
    keep_alive: bool

    def get(self, name: bytes) -> bytes | None:
        """The first field of that lower-case name."""
        return next((value for key, value in self.fields if key.lower() == name), None)


def read_head(data: bytes, method: str) -> tuple[ReplyHead, bytes] | None:
    """The head of the reply to a `method` request and what follows it; None until it is complete.

    Interim replies (1xx except 101) are skipped. Raises `BadReplyError`.
    """
    while True:
        raw, end, rest = data.partition(b"\r\n\r\n")
        if len(raw) > HEAD_LIMIT:
            raise BadReplyError(f"the backend's reply has a head of more than {HEAD_LIMIT} bytes")
        if not end:
            return None
        head = _parse_head(raw, method)
        if head.status >= 200 or head.status == SWITCHING_PROTOCOLS:
            return head, rest
        data = rest


def _parse_head(raw: bytes, method: str) -> ReplyHead:
    first, *lines = raw.split(CRLF)
    match = _STATUS_LINE.fullmatch(first)
    if match is None:
        raise BadReplyError(f"the backend's reply begins with {first[:80]!r}, not with an HTTP/1.1 status line")
    status = int(match[2])
    fields = tuple(_parse_field(line) for line in lines)
    chunked, length = _framing(fields, status, method)
    return ReplyHead(
        status=status,
        reason=match[3] or b"",
        fields=fields,
        chunked=chunked,
        length=length,
        keep_alive=_keeps_alive(fields, http_1_0=match[1] == b"0"),
    )


def _parse_field(line: bytes) -> tuple[bytes, bytes]:
    match = _FIELD_LINE.fullmatch(line)
    if match is None:
        raise BadReplyError(f"the backend's reply has the header line {line[:80]!r}, which is not HTTP/1.1")
    return match[1], match[2].strip(b" \t")


def field_values(fields: Fields, name: bytes) -> list[bytes]:
    """The comma-separated elements of all fields of that lower-case name."""
    return [part.strip(b" \t") for key, value in fields if key.lower() == name for part in value.split(b",")]


def _framing(fields: Fields, status: int, method: str) -> tuple[bool, int | None]:
    """How the body is delimited (RFC 9112 section 6.3): (chunked, length)."""
    codings = field_values(fields, b"transfer-encoding")
    lengths = set(field_values(fields, b"content-length"))
    if codings and lengths:
        raise BadReplyError("the backend's reply has both Transfer-Encoding and Content-Length")
    if codings and [coding.lower() for coding in codings] != [b"chunked"]:
        raise BadReplyError(f"the backend's reply has the transfer coding {b', '.join(codings)!r}")
    if len(lengths) > 1 or any(not value.isdigit() for value in lengths):
        raise BadReplyError(f"the backend's reply has the Content-Length {sorted(lengths)!r}")
    if method == "HEAD" or status in _BODILESS:
        return False, 0
    if status == SWITCHING_PROTOCOLS:
        return False, None
    return bool(codings), int(lengths.pop()) if lengths else None


def _keeps_alive(fields: Fields, *, http_1_0: bool) -> bool:
    options = {option.lower() for option in field_values(fields, b"connection")}
    if b"close" in options:
        return False
    return not http_1_0 or b"keep-alive" in options


class Body(Protocol):
    """Takes a body out of its framing."""

    ended: bool
    surplus: bytes
    """What came after the end: never for this reply."""

    def feed(self, data: bytes) -> bytes:
        """Body bytes in `data`. Raises `BadReplyError`."""
        ...


def body_of(head: ReplyHead) -> Body:
    """The reader of the body that `head` announces."""
    if head.chunked:
        return ChunkedBody()
    return OpenBody() if head.length is None else SizedBody(head.length)


class SizedBody:
    """A body of a known length."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.ended = not length
        self.surplus = b""

    def feed(self, data: bytes) -> bytes:
        body, self.surplus = data[: self._left], data[self._left :]
        self._left -= len(body)
        self.ended = not self._left
        return body


class OpenBody:
    """A body that ends with its connection; also the byte stream after a 101."""

    ended = False
    surplus = b""

    def feed(self, data: bytes) -> bytes:
        return data


class ChunkedBody:
    """Chunked transfer coding (RFC 9112 section 7.1); extensions and trailers are dropped."""

    def __init__(self) -> None:
        self.ended = False
        self.surplus = b""
        self._between = True
        """The next byte begins a size line."""
        self._held = b""
        self._left = 0
        """Of the current chunk, with its closing CRLF."""
        self._trailers = -1
        """Bytes of trailer lines so far; -1 before them."""

    def feed(self, data: bytes) -> bytes:
        if self._between and (match := _SIZE_LINE(data)) is not None:
            # A stream's events come as one whole chunk each: no loop, one copy.
            at, size = match.end(), int(match[1], 16)
            if size and len(data) == at + size + 2 and data.endswith(CRLF):
                return data[at:-2]
        return self._feed(self._held + data)

    def _feed(self, data: bytes) -> bytes:
        parts: list[bytes] = []
        at, self._held = 0, b""
        while at < len(data) and not self.ended:
            at = self._inside(data, at, parts) if self._left else self._line(data, at)
        self.surplus = data[at:] if self.ended else b""
        self._between = not (self._left or self._held or self._trailers >= 0)
        return b"".join(parts)

    def _inside(self, data: bytes, at: int, parts: list[bytes]) -> int:
        """Takes what there is of the current chunk, or of the CRLF after it."""
        if self._left > 2:
            part = data[at : at + self._left - 2]
            parts.append(part)
            self._left -= len(part)
            return at + len(part)
        if data[at] != CRLF[-self._left]:
            raise BadReplyError("the backend's reply has a chunk longer than its size")
        self._left -= 1
        return at + 1

    def _line(self, data: bytes, at: int) -> int:
        """Takes one size line or trailer line, or keeps the part there is of it."""
        end = data.find(CRLF, at)
        if (len(data) if end < 0 else end) - at > LINE_LIMIT:
            raise BadReplyError(f"the backend's reply has a chunk line of more than {LINE_LIMIT} bytes")
        if end < 0:
            self._held = data[at:]
            return len(data)
        self._take_line(data[at:end])
        return end + 2

    def _take_line(self, line: bytes) -> None:
        if self._trailers >= 0:
            self._trailers += len(line)
            if self._trailers > TRAILER_LIMIT:
                raise BadReplyError(f"the backend's reply has more than {TRAILER_LIMIT} bytes of trailers")
            self.ended = not line
        elif size := _chunk_size(line):
            self._left = size + 2
        else:
            self._trailers = 0


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].rstrip(b" \t")
    # int() alone would also take signs, underscores, spaces and 0x.
    if not digits or len(digits) > 16 or digits.translate(None, _HEX):
        raise BadReplyError(f"the backend's reply has the chunk size {line[:80]!r}")
    return int(digits, 16)
