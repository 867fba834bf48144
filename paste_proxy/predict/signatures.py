"""What is kept of a finished call, and what prediction conditions on: event signatures (DESIGN section 4)."""

import re
from typing import Any

import msgspec

from paste_proxy.predict.model import FinishedCall
from paste_proxy.predict.shapes import addresses, paths

TEXT_LIMIT = 16_384
"""Characters of a result that are kept and searched: a page of 4,000 tokens, more than the median page that
research agents open. What is followed stands in lists near the start, and searching this much takes < 1 ms."""
JSON_LIMIT = 65_536
"""Characters of a result that are still decoded as JSON: six times the longer search results (2,500 tokens)."""


class Signature(msgspec.Struct, frozen=True):
    """A finished call without its payload."""

    tool: str
    outcome: str


START = Signature(tool="", outcome="start")
"""Stands where a session has no earlier call."""

_ERROR_TEXT = re.compile(
    r"\s*(?:"
    r"Traceback \(most recent call last\)"
    r"|<(?:tool_use_)?error>"
    r"|(?:[\w.]*(?:Error|Exception)|ERROR|error)(?: [\w ]{0,60})?:"
    r")"
)


def outcome_of(text: str, value: Any = None) -> str:
    """The outcome class of a result, "ok" or "error", by its shape; `value` is its decoded JSON if it has one.

    Conservative, as most results only *speak* of errors: an error is an object that says so of itself (`error`
    neither empty nor false, or `isError` / `is_error` true), or a text that *begins* like one: with a Python
    traceback, `<error>`, `Error:`, `ValueError:` or `Error executing tool x:`.
    """
    if type(value) is dict:
        said = value.get("error") or value.get("isError") is True or value.get("is_error") is True
        return "error" if said else "ok"
    return "error" if _ERROR_TEXT.match(text) else "ok"


def finished_call(tool: str, arguments: dict[str, Any], text: str, *, whole: bool = True) -> FinishedCall:
    """A call and its result as the predictor keeps them: decoded and searched once, cut to `TEXT_LIMIT`."""
    value = _decoded(text)
    kept = text[:TEXT_LIMIT]
    return FinishedCall(
        tool=tool,
        arguments=arguments,
        outcome=outcome_of(kept, value),
        text=kept,
        value=value,
        addresses=addresses(kept),
        paths=paths(kept),
        whole=whole,
    )


def _decoded(text: str) -> Any:
    """The object or list that `text` is, else None. Numbers stay exact."""
    if len(text) > JSON_LIMIT or not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None  # text that begins like JSON, or nested beyond use: read as text
