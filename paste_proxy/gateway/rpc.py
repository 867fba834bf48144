"""The messages of MCP over HTTP, looked at before the SDK reads them: what is none is refused in words of ours.

The SDK says of a malformed message what its models say, or takes one with a bad id for a notification, so that
its sender waits for an answer that never comes. Each refusal says what is wrong, where, and what to do.
Arguments are kept as the bytes that the client wrote: a parsed object has forgotten duplicate keys and how
numbers were written, and the core must see both (DESIGN section 4, "call").
"""

import re

import msgspec
from mcp_types import INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR

from paste_proxy.errors import RequestError
from paste_proxy.json_words import why_no_json

_NONE = msgspec.Raw(b"")
_NULL = b"null"
_INTEGER = re.compile(rb"-?[0-9]{1,18}")
"""As an id; the longest that every client reads back as it wrote it."""
SHOWN = 40
"""Characters of what is wrong that its sender is shown again."""


class RpcError(Exception):
    """A message that is none. `message_id` is its own where that can be told, as JSON."""

    def __init__(
        self,
        rpc_code: int,
        message: str,
        *,
        param: str | None = None,
        message_id: bytes = _NULL,
        code: str = RequestError.code,
        status: int = RequestError.status,
    ) -> None:
        super().__init__(message)
        self.rpc_code = rpc_code
        self.message = message
        self.param = param
        self.message_id = message_id
        self.code = code
        self.status = status

    def body(self) -> bytes:
        data = {"paste/code": self.code, "paste/param": self.param}
        error = {"code": self.rpc_code, "message": self.message, "data": data}
        return msgspec.json.encode({"jsonrpc": "2.0", "id": msgspec.Raw(self.message_id), "error": error})


class _Envelope(msgspec.Struct):
    jsonrpc: msgspec.Raw = _NONE
    id: msgspec.Raw = _NONE
    method: msgspec.Raw = _NONE
    params: msgspec.Raw = _NONE
    result: msgspec.Raw = _NONE
    error: msgspec.Raw = _NONE


class _Call(msgspec.Struct):
    name: msgspec.Raw = _NONE
    arguments: msgspec.Raw = _NONE
    meta: msgspec.Raw = msgspec.field(default=_NONE, name="_meta")


_envelopes = msgspec.json.Decoder(_Envelope)
_calls = msgspec.json.Decoder(_Call)
_texts = msgspec.json.Decoder(str)


def arguments_of(body: bytes | bytearray) -> bytes:
    """Those of a call, as its client wrote them; none or null is `{}`, and so is what no other message has.

    Raises `RpcError`.
    """
    envelope = _envelope(body)
    if bytes(envelope.jsonrpc) != b'"2.0"':
        got = f"not {_shown(envelope.jsonrpc)}" if envelope.jsonrpc else "which is missing"
        raise RpcError(INVALID_REQUEST, f'`jsonrpc` must be "2.0", {got}', param="jsonrpc")
    own = _id(envelope.id)
    if not envelope.method and (envelope.result or envelope.error):
        _answer(envelope, own)
        return b"{}"
    method = _method(envelope.method, own)
    if not own and not method.startswith("notifications/"):
        reason = f"`id` is missing: {method} is answered, and only notifications/* go without one"
        raise RpcError(INVALID_REQUEST, reason, param="id")
    if envelope.params and bytes(envelope.params) != _NULL:
        _object(envelope.params, "params", own)
    return _arguments(envelope.params, own) if method == "tools/call" else b"{}"


def _envelope(body: bytes | bytearray) -> _Envelope:
    try:
        return _envelopes.decode(body)
    except msgspec.ValidationError as error:
        if bytes(body).lstrip()[:1] == b"[":
            reason = "batches are not taken: send each message in a request of its own"
        else:
            reason = f"a message is a JSON object, not {_shown(bytes(body))}"
        raise RpcError(INVALID_REQUEST, reason) from error
    except (msgspec.DecodeError, RecursionError) as error:
        reason = why_no_json(bytes(body), error)
        raise RpcError(PARSE_ERROR, f"the request is not valid JSON: {reason}") from error


def _id(raw: msgspec.Raw) -> bytes:
    """As JSON; empty where there is none."""
    written = bytes(raw)
    if not written or _INTEGER.fullmatch(written) or (written[:1] == b'"' and _text(raw) is not None):
        return written
    reason = f"`id` must be a string or an integer of at most 18 digits, not {_shown(raw)}"
    raise RpcError(INVALID_REQUEST, reason, param="id")


def _method(raw: msgspec.Raw, own: bytes) -> str:
    method = _text(raw)
    if method is None:
        got = f"it must be a string, not {_shown(raw)}" if raw else "tools/list and tools/call are two"
        what = "wrong" if raw else "missing"
        raise RpcError(INVALID_REQUEST, f"`method` is {what}: {got}", param="method", message_id=own or _NULL)
    return method


def _answer(envelope: _Envelope, own: bytes) -> None:
    if not own:
        raise RpcError(INVALID_REQUEST, "`id` is missing: an answer names what it answers", param="id")
    what = "result" if envelope.result else "error"
    _object(envelope.result or envelope.error, what, own, INVALID_REQUEST)


def _arguments(params: msgspec.Raw, own: bytes) -> bytes:
    call = _calls.decode(params) if params and bytes(params) != _NULL else _Call()
    if _text(call.name) is None:
        got = (
            f"it must be a string, not {_shown(call.name)}" if call.name else "tools/list says which there are"
        )
        reason = f"`params.name`, the tool's name, is {'wrong' if call.name else 'missing'}: {got}"
        raise RpcError(INVALID_PARAMS, reason, param="params.name", message_id=own)
    for raw, where in ((call.arguments, "params.arguments"), (call.meta, "params._meta")):
        if raw and bytes(raw) != _NULL:
            _object(raw, where, own)
    return bytes(call.arguments) if call.arguments and bytes(call.arguments) != _NULL else b"{}"


def _object(raw: msgspec.Raw, where: str, own: bytes, code: int = INVALID_PARAMS) -> None:
    if bytes(raw)[:1] != b"{":
        raise RpcError(code, f"`{where}` must be an object, not {_shown(raw)}", param=where, message_id=own)


def _text(raw: msgspec.Raw) -> str | None:
    try:
        return _texts.decode(raw) if raw else None
    except (msgspec.DecodeError, UnicodeError):
        return None


def _shown(raw: bytes | msgspec.Raw) -> str:
    text = bytes(raw)[: 4 * SHOWN].decode("utf-8", "replace").strip()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
