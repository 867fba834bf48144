"""Which header fields a proxy passes on, and the heads that it writes (RFC 9110 section 7.6.1)."""

import uuid
from collections.abc import Iterable, Mapping

import msgspec

from paste_proxy.proxy.http1 import SWITCHING_PROTOCOLS, Fields, ReplyHead, field_values

REQUEST_ID = "x-request-id"

_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# Ours to say on the way in: whom we speak to, how long the body is that we send, and that
# its `100 Continue` was already given (we read on, whatever the backend may say later).
_REQUEST_OWN = frozenset({b"host", b"content-length", b"expect"})


class RequestHead(msgspec.Struct, frozen=True):
    """A client's request line and fields, as received."""

    method: str
    target: str
    fields: Fields
    request_id: str
    upgrade: bytes = b""
    """The protocol asked for, where the connection is to become a tunnel."""

    @property
    def authorization(self) -> str:
        values = (value for name, value in self.fields if name.lower() == b"authorization")
        return next(values, b"").decode("utf-8", "surrogateescape")


def end_to_end(fields: Fields) -> Iterable[tuple[bytes, bytes]]:
    """The fields that are not for this hop alone."""
    named = {option.lower() for option in field_values(fields, b"connection")}
    named.discard(b"content-length")  # a message without its length would take in the next one
    return (field for field in fields if (name := field[0].lower()) not in _HOP_BY_HOP and name not in named)


def request_id(headers: Mapping[str, str]) -> str:
    """The client's id of the request, or a new one."""
    return headers.get(REQUEST_ID) or uuid.uuid4().hex


def request_head(
    head: RequestHead, host: bytes, *, length: int | None, chunked: bool, prefix: str = ""
) -> bytes:
    """The head to send to the backend at `host`, whose paths begin with `prefix`.

    `length` is of the body, None where there is none.
    """
    lines = [b"%b %b HTTP/1.1" % (head.method.encode(), _bytes(prefix + head.target)), b"Host: " + host]
    named = False
    for name, value in end_to_end(head.fields):
        lower = name.lower()
        named = named or lower == b"x-request-id"
        if lower not in _REQUEST_OWN:
            lines.append(name + b": " + value)
    if not named:
        lines.append(b"x-request-id: " + _bytes(head.request_id))
    if chunked:
        lines.append(b"Transfer-Encoding: chunked")
    elif length is not None:
        lines.append(b"Content-Length: %d" % length)
    if head.upgrade:
        lines += [b"Connection: Upgrade", b"Upgrade: " + head.upgrade]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def reply_head(head: ReplyHead, request_id: str, connection: bytes, *, chunked: bool) -> bytes:
    """The head to send to the client: the backend's, less its hop's fields, with ours.

    `connection` is the value of the Connection field; empty where HTTP/1.1's default is meant.
    """
    lines = [b"HTTP/1.1 %d %b" % (head.status, head.reason)]
    named = False
    for name, value in end_to_end(head.fields):
        named = named or name.lower() == b"x-request-id"
        lines.append(name + b": " + value)
    if not named:
        lines.append(b"x-request-id: " + _bytes(request_id))
    if chunked:
        lines.append(b"Transfer-Encoding: chunked")
    if head.status == SWITCHING_PROTOCOLS:
        connection = b"Upgrade"
        lines += [b"Upgrade: " + value for value in field_values(head.fields, b"upgrade")]
    if connection:
        lines.append(b"Connection: " + connection)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _bytes(text: str) -> bytes:
    """A value that aiohttp decoded, as it was on the wire."""
    return text.encode("utf-8", "surrogateescape")
