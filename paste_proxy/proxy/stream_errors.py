"""Errors told inside a stream that has begun, each API in its own form: for a status it is too late."""

from typing import Any

import msgspec

from paste_proxy.errors import BackendUnreachableError, PasteError, anthropic_error, openai_error
from paste_proxy.grammar.apis import Api

DONE = b"data: [DONE]\n\n"
_FIELDS = ("message", "type", "param", "code")
"""Of an error object; SGLang puts them at the top of the body."""


class BackendRefusedError(BackendUnreachableError):
    """The backend answered a stream that we had begun with something that can't go on in it."""

    code = "backend_refused"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def error_event(api: Api, error: PasteError, body: bytes = b"") -> bytes:
    """The last event of a stream. `body` is the backend's own error, which goes on in its words."""
    said = _said(body)
    if api is Api.MESSAGES:
        event = anthropic_error(error)
        event["error"].update(said)
        return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"
    event = openai_error(error)
    event["error"].update(said)
    if api is Api.RESPONSES:
        inner = event["error"]
        flat = {name: inner[name] for name in ("code", "message", "param")}
        # OpenAI's SDK raises for an `error` with something in it; others read what stands beside it.
        event = {"type": "error", "sequence_number": 0, **flat, "error": inner}
        return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"
    return b"data: " + msgspec.json.encode(event) + b"\n\n" + DONE


def _said(body: bytes) -> dict[str, Any]:
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    inner = told.get("error", told) if isinstance(told, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("message"), str):
        return {"message": inner} if isinstance(inner, str) else {}
    return {name: inner[name] for name in _FIELDS if inner.get(name) is not None}
