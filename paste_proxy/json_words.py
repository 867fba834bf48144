"""Why a text is no JSON, where the decoders' own words would send its author to the wrong place.

Of half a surrogate pair one says that the input was truncated, another names a codec of Python's.
"""

import re

_ESCAPED = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""Pairs are taken whole: what is left for the group is a half."""


def why_no_json(text: bytes, error: Exception) -> str:
    """`error`: as the decoder says it."""
    try:
        decoded = text.decode()
    except UnicodeDecodeError as wrong:
        return f"it is not UTF-8: byte {text[wrong.start]:#04x} at position {wrong.start}"
    for escape in _ESCAPED.finditer(decoded):
        if escape[1]:
            return (
                f"\\{escape[1]} at position {escape.start()} is half of a surrogate pair, and no character: "
                "write both halves, or the character itself"
            )
    return str(error)
