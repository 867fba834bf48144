"""What kind of thing an answer is, and its bytes as text."""

from codecs import lookup

from multidict import MultiMapping

TEXTS = ("text/", "application/xml", "application/yaml", "application/javascript", "application/x-www-form")
NO_CHARSETS = frozenset({"", "idna", "punycode", "unicode_escape", "raw_unicode_escape"})
"""Codecs of Python's that no text is in; some take long."""


def content_type(headers: MultiMapping[str]) -> tuple[str, str]:
    """In lower case: the kind, and the charset or ""."""
    kind, _, parameters = headers.get("Content-Type", "").lower().partition(";")
    _, _, charset = parameters.partition("charset=")
    return kind.strip(), charset.partition(";")[0].strip(" \"'")


def is_json(kind: str) -> bool:
    return kind == "application/json" or kind.endswith("+json")


def is_text(kind: str) -> bool:
    """Also where nothing is said: what is no text shows as such."""
    return not kind or kind.startswith(TEXTS) or kind.endswith("+xml")


def decoded(body: bytes, charset: str) -> str:
    """As the server says, where that is a charset of texts on the web."""
    try:
        known = lookup(charset).name if charset not in NO_CHARSETS else "utf-8"
        return body.decode(known, "replace")
    except (LookupError, ValueError):
        return body.decode("utf-8", "replace")
