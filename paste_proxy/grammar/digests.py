"""What makes two messages, and two histories, the same."""

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import msgspec

DIGEST_BYTES = 16
"""128 bits: collisions are out of reach of chance."""

_WHITE_SPACE = b" \t\n\r\x0b\x0c"
_THINKING_END = "</think>"
_TEXT = b"text;"
"""What the digest of a text begins with: no message's does."""
_WRITTEN_OTHERWISE = re.compile(r"\d(\.0|[eE])")
"""Stands in every number that JavaScript may write without a point."""
_SAFE_INTEGER = 2**53
"""Doubles below tell all integers apart."""

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
    return digest_of_fields(role, squeeze(text), call_fields(calls), call_id, foreign)


def call_fields(calls: Iterable[tuple[str, str, str]]) -> list[bytes]:
    """What counts of calls, for `digest_of_fields`: for who needs it more than once."""
    fields: list[bytes] = []
    for one_id, name, arguments in calls:
        fields += (_bytes(one_id), _bytes(name), canonical(arguments))
    return fields


def digest_of_fields(
    role: str, squeezed: bytes, calls: Iterable[bytes], call_id: str = "", foreign: Iterable[bytes] = ()
) -> bytes:
    """As `message_digest`, of a text that is `squeezed`."""
    fields = [_bytes(role), squeezed, _bytes(call_id), *calls, *foreign]
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


def of_doubles(arguments: str) -> str:
    """The arguments as a client writes them back that knows doubles only, as JavaScript does: 1.0 is 1."""
    if not _WRITTEN_OTHERWISE.search(arguments):
        return arguments
    try:
        return _encode(_whole(_decode(arguments))).decode()
    except (msgspec.DecodeError, ValueError, RecursionError):
        return arguments


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_whole(part) for part in value]
    return (
        int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _SAFE_INTEGER else value
    )


class TextDigest:
    """Digest of a text that goes on. What is added must be squeezed: white space counts nothing."""

    __slots__ = ("_hash", "size")

    def __init__(self, squeezed: bytes) -> None:
        self._hash = blake2b(_TEXT, digest_size=DIGEST_BYTES)
        self._hash.update(squeezed)
        self.size = len(squeezed)

    def add(self, squeezed: bytes) -> None:
        self._hash.update(squeezed)
        self.size += len(squeezed)

    def value(self) -> bytes:
        return self._hash.digest()


def prefix_digests(squeezed: bytes, sizes: Iterable[int]) -> dict[int, bytes]:
    """The digests of the beginnings of a text that have these sizes, in one pass; `sizes` in rising order."""
    text = TextDigest(b"")
    found = {}
    for size in sizes:
        text.add(squeezed[text.size : size])
        found[size] = text.value()
    return found


def without_thinking(text: str) -> str:
    """What is left of a reply when a client drops the thinking that an engine left in it."""
    return text.rpartition(_THINKING_END)[2]


def _bytes(text: str) -> bytes:
    """Any string has a digest, also one with half a surrogate pair."""
    return text.encode("utf-8", "surrogatepass")
