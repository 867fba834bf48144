"""Reading HTTP/1.1 replies (RFC 9112) without I/O: bytes in, head and body out.

The parsing is llhttp's, which is Node's parser, by way of httptools. Here is what it leaves to its
caller: which replies have no body, the limits, and the refusal of what it takes though it is ambiguous.
Nothing is guessed: a proxy that reads a message otherwise than its neighbours do can be made to mix up
two replies.
"""

import re
from typing import Protocol, TypeAlias

import msgspec
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from paste_proxy.errors import BackendUnreachableError

Fields: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""Header fields in their order, names as they were spelled."""

HEAD_LIMIT = 256 * 1024
"""Bytes of a reply's head, interim replies included. Far above what servers send (nginx allows itself 8 KB);
bounds memory."""
INTERIM_LIMIT = 100
"""Interim replies to one request. Servers send one or two; each of them is a sign of life, so that an endless
row would hold a request for ever."""
FRAMING_LIMIT = 64 * 1024
"""Bytes of chunk extensions and trailers with no body byte among them. Nobody sends 1,000; bounds memory."""
_HEAD_END = b"\r\n\r\n"
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-9][^\x00-\x08\x0a-\x1f\x7f]*\r\n").match
"""Narrows what llhttp takes: RTSP, HTTP/2.0, a status below 100, control characters, empty lines before it."""
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


class Body(Protocol):
    """Takes a body out of its framing."""

    ended: bool
    surplus: bool
    """Something came after the end: never for this reply."""

    def feed(self, data: bytes) -> bytes:
        """Body bytes in `data`. Raises `BadReplyError`."""
        ...


def read_head(data: bytes, method: str) -> tuple[ReplyHead, Body, bytes] | None:
    """The head of the reply to a `method` request, the reader of its body, and what of `data` follows.

    None until the head is complete. Interim replies (1xx except 101) are skipped, up to a limit. Raises
    `BadReplyError`.
    """
    left = HEAD_LIMIT
    for _ in range(INTERIM_LIMIT + 1):
        raw, end, rest = data.partition(_HEAD_END)
        left -= len(raw) + len(end)
        if left < 0:
            raise BadReplyError(f"the backend's reply has a head of more than {HEAD_LIMIT} bytes")
        if not end:
            return None
        head, body = _parse_head(raw + end, method)
        if head.status >= 200 or head.status == SWITCHING_PROTOCOLS:
            return head, body, rest
        data = rest
    raise BadReplyError(f"the backend sent more than {INTERIM_LIMIT} interim replies (1xx) and no other")


def _parse_head(raw: bytes, method: str) -> tuple[ReplyHead, Body]:
    if _STATUS_LINE(raw) is None:
        raise BadReplyError(f"the backend's reply begins with {raw[:80]!r}, not with an HTTP/1.1 status line")
    heard = _Heard()
    parser = HttpResponseParser(heard)
    # RFC 9112 section 7.1.1 has us take them, and some servers pad their sizes with them.
    parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)
    try:
        parser.feed_data(raw)
    except (HttpParserError, HttpParserUpgrade) as error:
        if not heard.headed:  # After the head of a 101 it stops by design: what follows is no HTTP.
            raise BadReplyError(f"the backend's reply is not HTTP/1.1: {error}") from None
    head = _head(parser.get_status_code(), heard, method, http_1_0=raw.startswith(b"HTTP/1.0"))
    if head.length is None and not head.chunked:
        return head, OpenBody()
    heard.ended = head.length == 0  # llhttp has not been told of HEAD.
    return head, FramedBody(parser, heard)


def _head(status: int, heard: "_Heard", method: str, *, http_1_0: bool) -> ReplyHead:
    fields = tuple(heard.fields)
    chunked, length = _framing(fields, status, method)
    return ReplyHead(
        status=status,
        reason=heard.reason,
        fields=fields,
        chunked=chunked,
        length=length,
        keep_alive=_keeps_alive(fields, http_1_0=http_1_0),
    )


def field_values(fields: Fields, name: bytes) -> list[bytes]:
    """The comma-separated elements of all fields of that lower-case name."""
    return [part.strip(b" \t") for key, value in fields if key.lower() == name for part in value.split(b",")]


def _framing(fields: Fields, status: int, method: str) -> tuple[bool, int | None]:
    """How the body is delimited (RFC 9112 section 6.3): (chunked, length).

    llhttp has refused broken and repeated lengths, and a length beside a transfer coding.
    """
    codings = field_values(fields, b"transfer-encoding")
    if codings and [coding.lower() for coding in codings] != [b"chunked"]:
        raise BadReplyError(f"the backend's reply has the transfer coding {b', '.join(codings)!r}")
    if method == "HEAD" or status in _BODILESS:
        return False, 0
    if status == SWITCHING_PROTOCOLS:
        return False, None
    lengths = field_values(fields, b"content-length")
    return bool(codings), int(lengths[0]) if lengths else None


def _keeps_alive(fields: Fields, *, http_1_0: bool) -> bool:
    # llhttp would tell only within its callback, and takes a HEAD's reply without a length for an open one.
    options = {option.lower() for option in field_values(fields, b"connection")}
    if b"close" in options:
        return False
    return not http_1_0 or b"keep-alive" in options


class _Heard:
    """What llhttp reports. Apart from `FramedBody`, so that no reply leaves a reference cycle behind."""

    def __init__(self) -> None:
        self.reason = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.headed = False
        self.parts: list[bytes] = []
        self.on_body = self.parts.append
        self.ended = False

    def on_message_begin(self) -> None:
        if self.ended:  # llhttp would go on with the next reply, whose body is not ours.
            raise BadReplyError("the backend sent more than its reply")

    def on_status(self, reason: bytes) -> None:
        self.reason = reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.headed:  # Trailers are dropped.
            self.fields.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.headed = True

    def on_message_complete(self) -> None:
        self.ended = True


class FramedBody:
    """A body of a known length, none included, or in chunks; extensions and trailers are dropped."""

    def __init__(self, parser: HttpResponseParser, heard: _Heard) -> None:
        self._parser = parser
        self._heard = heard
        self._framing = 0
        """Bytes since the last body byte."""
        self.ended = heard.ended
        self.surplus = False

    def feed(self, data: bytes) -> bytes:
        heard = self._heard
        if self.ended:
            self.surplus = True
            return b""
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if not heard.ended:
                raise BadReplyError(f"the backend's reply is not HTTP/1.1: {error}") from None
            self.surplus = True
        body = b"".join(heard.parts)
        heard.parts.clear()
        self.ended = heard.ended
        self._framing = 0 if body else self._framing + len(data)
        if self._framing > FRAMING_LIMIT:
            raise BadReplyError(f"the backend's reply has more than {FRAMING_LIMIT} bytes of chunk framing")
        return body


class OpenBody:
    """A body that ends with its connection; also the byte stream after a 101."""

    ended = False
    surplus = False

    def feed(self, data: bytes) -> bytes:
        return data
