"""How long an answer of a server may be kept, by RFC 9111. Pure: times are seconds of the calendar.

A staged result is a private cache's entry that is used once, by the session whose call it answers. So `private`
allows it, `s-maxage` means others, and nothing that is stale is ever used: no revalidation. Where a server says
nothing, what the operator declared holds; no lifetime is guessed from `Last-Modified`.
"""

from collections.abc import Iterable, Iterator

from multidict import MultiMapping

from paste_proxy.tools.moments import http_date


def max_age(
    headers: MultiMapping[str], sent: float, received: float, varied: Iterable[str] = (), grace: float = 0.0
) -> float | None:
    """Seconds from `sent` on for which the answer may be used; None: the server does not limit it.

    `varied`: request headers that a call of the model would not have, in lower case. `grace`: what the operator
    allows at least, also of answers that are stale at once, but not of those that must not be stored.
    """
    directives = dict(_directives(headers))
    if "no-store" in directives or "Set-Cookie" in headers or _varies(headers, varied):
        return 0.0  # it is about this one request
    if "no-cache" in directives or (not directives and "no-cache" in headers.get("Pragma", "").lower()):
        return grace
    lifetime = _lifetime(headers, directives, received)
    return None if lifetime is None else max(grace, lifetime - _age_when_sent(headers, sent))


def _varies(headers: MultiMapping[str], varied: Iterable[str]) -> bool:
    names = {name.strip().lower() for line in headers.getall("Vary", []) for name in line.split(",")}
    return "*" in names or not names.isdisjoint(varied)


def _directives(headers: MultiMapping[str]) -> Iterator[tuple[str, str]]:
    """Of `Cache-Control`; of several lifetimes the shortest."""
    shortest: float | None = None
    for part in _split(",".join(headers.getall("Cache-Control", []))):
        name, _, value = part.partition("=")
        name, value = name.strip().lower(), value.strip().strip('"')
        if name == "max-age":
            shortest = min(_seconds(value), shortest if shortest is not None else float("inf"))
        elif name:
            yield name, value
    if shortest is not None:
        yield "max-age", str(shortest)


def _split(line: str) -> Iterator[str]:
    """At commas outside quotes."""
    part, quoted = "", False
    for character in line:
        quoted ^= character == '"'
        if character == "," and not quoted:
            yield part
            part = ""
        else:
            part += character
    yield part


def _lifetime(headers: MultiMapping[str], directives: dict[str, str], received: float) -> float | None:
    if "max-age" in directives:
        return float(directives["max-age"])
    if "Expires" not in headers:
        return None
    expires = http_date(headers["Expires"])
    if expires is None:
        return 0.0  # `0` is common, and means just that
    date = http_date(headers.get("Date", ""))
    return expires - (received if date is None else date)


def _age_when_sent(headers: MultiMapping[str], sent: float) -> float:
    """How old the answer was, by its own words, when it was asked for (RFC 9111, section 4.2.3)."""
    date = http_date(headers.get("Date", ""))
    apparent = 0.0 if date is None else sent - date
    text = headers.get("Age", "").strip()
    return max(0.0, apparent, float(text[:12]) if text.isascii() and text.isdigit() else 0.0)


def _seconds(text: str) -> float:
    """What can't be read is stale."""
    return float(text[:12]) if text.isascii() and text.isdigit() else 0.0
