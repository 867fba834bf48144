"""What may leave the house ahead of the model (the egress rule).

A tool that reaches a network hands its arguments to somebody outside. A page that an agent reads must not write
those arguments by way of a predictor: so ahead of the model an argument is one whole value out of one earlier
output or one text of the user, or one that says next to nothing (a choice of the schema, true, null). What
looks like a secret never goes, nor an address whose host the operator has not listed. What the model itself has
written of the call is the model's own, and goes.

Holds for any predictor: it is asked of the finished candidate, and looks the values up for itself.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from paste_proxy.config import NetworkConfig
from paste_proxy.predict.model import FinishedCall, History
from paste_proxy.predict.shapes import addresses
from paste_proxy.tools.hosts import is_listed
from paste_proxy.tools.spec import ToolSpec

LEAVES = 64
"""Values in one argument that are looked at; more is content."""
CHOICES = 100
"""Whole numbers that a schema leaves the choice of, so that each says less than seven bits: pages, limits."""
NODES = 20_000
"""Values of one earlier output that are compared: what 64 KiB of JSON hold at most."""
SECRET_LENGTH = 20
"""Shorter words are no keys: issuers make them of 20 characters (AWS) and more."""
SECRET_BITS = 3.5
"""Bits a character, by its own frequencies: random base 64 of 24 characters has 4.2, words and slugs 3.2."""

_SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\b(?:sk|pp)-[\w-]{16}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bgh[pousr]_\w{20}|\bgithub_pat_\w{20}|\bxox[abeprs]-[\w-]{10}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.|\bAIza[\w-]{30}|\bglpat-[\w-]{16}|\bhf_\w{20}"
)
"""What issuers mark as theirs: PEM, OpenAI and Anthropic, ourselves, AWS, GitHub, Slack, JSON web tokens,
Google, GitLab, Hugging Face."""
_SECRET_NAME = re.compile(
    r"(?i)pass(?:word|wd|phrase|code)|secret|credential|(?:api|access|private|auth)_?-?key|token|cookie|session_?-?id"
    r"|\b(?:ssn|cvv|cvc|pin|iban)\b"
)
_WORD = re.compile(r"[A-Za-z0-9_+/=-]{20,}")
_UUID = re.compile(r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NUMBER = re.compile(r"(?<!\d)(?:\d[ -]?){12,18}\d(?!\d)")
_BARE_ADDRESS = re.compile(r"(?:www\.[\w.-]+|[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,24}(?=[/:?#])|localhost\b)")
"""An address without its scheme. A name with a dot alone may as well be a file's."""
_BEFORE = r"(?<![\w\-./:@%=&?#+~$])"
_AFTER = r"(?![\w\-/@%=&#+~$]|[.:?]\w)"
"""What makes a word longer: next to it, a value is a part, not a whole. A dot, colon or question mark behind it
may end a sentence."""


def refusal(
    spec: ToolSpec,
    arguments: Mapping[str, Any],
    written: Mapping[str, Any],
    history: History,
    rule: NetworkConfig,
) -> str:
    """Why a call must wait for the model; "" where it may go ahead. `written`: the model's own arguments."""
    for name, value in arguments.items():
        if name in written and written[name] == value:
            continue
        why = _why_not(spec, name, value, history, rule)
        if why:
            return f"{name}: {why}"
    return ""


def _why_not(spec: ToolSpec, name: str, value: Any, history: History, rule: NetworkConfig) -> str:
    if _says_nothing(value) or _is_choice(spec.parameters.get("properties", {}).get(name), value):
        return ""
    if name in rule.free and _is_number(value):
        return ""
    leaves = [one for one in _leaves(value) if not _says_nothing(one)]
    if len(leaves) > 1:
        return "made of several values"
    return _why_not_leaf(leaves[0], history, rule) if leaves else ""


def _why_not_leaf(value: Any, history: History, rule: NetworkConfig) -> str:
    if isinstance(value, str):
        if looks_secret(value):
            return "looks like a secret"
        if (host := host_of(value)) is not None and not is_listed(host, rule.hosts):
            return f"the host {host or 'of the address'} is not listed"
    return "" if _is_copied(value, history) else "copied from nowhere as a whole"


def _says_nothing(value: Any) -> bool:
    """A bit at most."""
    return value is None or isinstance(value, bool) or value in ("", [], {})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_choice(schema: Any, value: Any) -> bool:
    """Whether the tool's own schema names it, or few others beside it: nobody's data."""
    if not isinstance(schema, dict):
        return False
    listed = schema.get("enum")
    named = [*(listed if isinstance(listed, list) else ())]
    named += [schema[key] for key in ("const", "default") if key in schema]
    if value in named:
        return True
    least, most = schema.get("minimum"), schema.get("maximum")
    if type(value) is not int or type(least) is not int or type(most) is not int:
        return False
    return most - least < CHOICES and least <= value <= most


def _leaves(value: Any) -> Iterator[Any]:
    """The scalars, and the keys, since they go, too."""
    stack = [value]
    for _ in range(LEAVES):
        if not stack:
            return
        node = stack.pop()
        if isinstance(node, dict):
            stack += [*node.keys(), *node.values()]
        elif isinstance(node, list):
            stack += node
        else:
            yield node
    yield from (value, value)  # too many: made of several


# -- where it stood ---------------------------------------------------------------------------------------


def _is_copied(value: Any, history: History) -> bool:
    """Whether it is one whole value of an earlier output, or of a text of the user."""
    text = value if isinstance(value, str) else str(value)
    whole = re.compile(_BEFORE + re.escape(text) + _AFTER) if " " not in text else None
    said = (one.text for one in history.said if one.role == "user")
    return any(_stood_in(text, value, whole, call) for call in history.calls) or any(
        _stood_in_text(text, whole, one) for one in said
    )


def _stood_in(text: str, value: Any, whole: "re.Pattern[str] | None", call: FinishedCall) -> bool:
    """Of an output that is JSON the values count, not the text in between."""
    if isinstance(call.value, dict | list):
        return any(_stood_as(text, value, whole, name, leaf) for name, leaf in _fields(call.value))
    return text in call.text and _stood_in_text(text, whole, call.text)


def _stood_as(text: str, value: Any, whole: "re.Pattern[str] | None", name: str, leaf: Any) -> bool:
    """Of a field whose name says that it is a secret nothing is taken."""
    if _SECRET_NAME.search(name):
        return False
    if leaf == value and isinstance(leaf, bool) == isinstance(value, bool):
        return True
    if isinstance(leaf, str):
        return text in leaf and _stood_in_text(text, whole, leaf)
    return _is_number(leaf) and str(leaf) == text


def _stood_in_text(text: str, whole: "re.Pattern[str] | None", where: str) -> bool:
    """As a word of its own, or an address; several words only as a line of their own, or in quotes."""
    if text not in where:
        return False
    if whole is not None:
        return whole.search(where) is not None or text in addresses(where)
    lines = (line.strip() for line in where.splitlines())
    return any(line == text for line in lines) or any(f"{one}{text}{one}" in where for one in ('"', "'", "`"))


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    """The scalars of a JSON value, each with the names of the fields that it is in."""
    stack: list[tuple[str, Any]] = [("", value)]
    for _ in range(NODES):
        if not stack:
            return
        name, node = stack.pop()
        if isinstance(node, dict):
            stack += [(f"{name} {key}", item) for key, item in node.items()]
        elif isinstance(node, list):
            stack += [(name, item) for item in node]
        else:
            yield name, node


# -- secrets and hosts ------------------------------------------------------------------------------------


def looks_secret(text: str) -> bool:
    """Marked as a key by its issuer, random as one, the number of a card, or an address that carries such."""
    if _SECRET.search(text) or any(map(_is_card, _NUMBER.findall(text))):
        return True
    if "=" in text and any(_SECRET_NAME.search(one) for one in re.findall(r"[?&;#]([^=&;#]{1,64})=", text)):
        return True
    return any(map(_is_random, _WORD.findall(_UUID.sub(" ", text))))


def _is_random(word: str) -> bool:
    """Digits and letters mixed as no word has them. Slugs and paths consist of words."""
    longest = max(re.split(r"[-_/+=]", word), key=len)
    if len(longest) < SECRET_LENGTH or not (re.search(r"\d", longest) and re.search(r"[A-Za-z]", longest)):
        return False
    shares = [count / len(longest) for count in Counter(longest).values()]
    return -sum(share * math.log2(share) for share in shares) >= SECRET_BITS or _is_hex(longest)


def _is_hex(word: str) -> bool:
    """Half a digest or more: its alphabet is small, so its bits are few."""
    return len(word) >= 32 and re.fullmatch(r"[0-9a-fA-F]+", word) is not None


def _is_card(number: str) -> bool:
    """By the check digit of ISO/IEC 7812-1 (Luhn)."""
    digits = [int(one) for one in number if one.isdigit()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return len(digits) >= 13 and (sum(digits[::-2]) + sum(doubled)) % 10 == 0


def host_of(value: str) -> str | None:
    """The host that an address names, with a scheme or without; "" where it hides it; None for no address."""
    if "://" not in value and not value.startswith("//"):
        if _BARE_ADDRESS.match(value) is None:
            return None
        value = f"//{value}"
    try:
        parts = urlsplit(value)
        hides = parts.username is not None or parts.password is not None or "\\" in value
        return "" if hides else (parts.hostname or "").rstrip(".").lower()
    except ValueError:
        return ""
