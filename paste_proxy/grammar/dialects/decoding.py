"""What the dialects share of decoding: what a decoder may raise, and the passing over of what is not known."""

from collections.abc import Collection
from typing import Any

import msgspec

UNDECODABLE = (msgspec.DecodeError, ValueError, RecursionError)
"""Whatever bytes a decoder gets, it raises nothing else. `ValueError` is for broken UTF-8."""


class _Kind(msgspec.Struct):
    type: Any = None


_decode_kind = msgspec.json.Decoder(_Kind).decode


def is_foreign(payload: bytes | msgspec.Raw, known: Collection[str]) -> bool:
    """Whether this is a JSON object that names a type, and none of ours: newer than we are, or not for us.

    Asked where a typed decoder failed: fields of other types than ours need not have the shapes of ours.
    """
    try:
        kind = _decode_kind(payload).type
    except UNDECODABLE:
        return False
    return isinstance(kind, str) and kind not in known
