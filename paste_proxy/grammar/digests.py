"""What makes two messages, and two histories, the same."""

from collections.abc import Iterable
from hashlib import blake2b

import msgspec

DIGEST_BYTES = 16
"""128 bits: collisions are out of reach of chance."""

_WHITE_SPACE = b" \t\n\r\x0b\x0c"
_THINKING_END = "</think>"

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(order="sorted").encode


def digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=DIGEST_BYTES).digest()


def message_digest(
    role: str,
    text: str,
    calls: Iterable[tuple[str, str, str]] = (),
    call_id: str = "",
    foreign: Iterable[bytes] = (),
) -> bytes:
    """Digest of one message. White space in `text` counts nothing, as clients trim and re-wrap it.

    `calls` are (id, name, raw arguments); `foreign` are digests of parts that are no text.
    """
    fields = [_bytes(role), squeeze(text), _bytes(call_id)]
    for one_id, name, arguments in calls:
        fields += (_bytes(one_id), _bytes(name), canonical(arguments))
    fields += foreign
    lengths = ",".join([str(len(field)) for field in fields])
    return digest(b"".join((lengths.encode(), b";", *fields)))


def extend_chain(chain: bytes, message: bytes) -> bytes:
    """The digest of a history of digest `chain` (empty bytes: no message) that goes on with `message`."""
    return digest(chain + message)


def squeeze(text: str) -> bytes:
    """`text` without its white space."""
    return _bytes(text).translate(None, _WHITE_SPACE)


def canonical(arguments: str) -> bytes:
    """The same bytes for the same JSON, however it is spaced, ordered or escaped; else the text as it is."""
    try:
        return _encode(_decode(arguments or "{}"))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return squeeze(arguments)


def without_thinking(text: str) -> str:
    """What is left of a reply when a client drops the thinking that an engine left in it."""
    return text.rpartition(_THINKING_END)[2]


def _bytes(text: str) -> bytes:
    """Any string has a digest, also one with half a surrogate pair."""
    return text.encode("utf-8", "surrogatepass")
