"""What the proxy and a worker process say to each other: frames over the worker's stdin and stdout.

A frame is a kind (one byte), a nonce, a length (8 bytes, big-endian) and a body. The nonce is the proxy's, new
with each request, and the reply repeats it: a tool may fork, and what its child says answers nothing. Requests
are JSON of the standard library, whose integers are exact; replies carry an output's bytes as they are.
"""

import json
import struct
from typing import Any

import msgspec

from paste_proxy.config import PluginConfig
from paste_proxy.errors import InvalidArgumentsError, PasteError, ResultTooLargeError, ToolError
from paste_proxy.tools.ports import Output, RunContext

NONCE_BYTES = 16
"""As random as a UUID: a process that remembers an older request can't guess the next one's."""

HEADER = struct.Struct(f">c{NONCE_BYTES}sQ")

REQUEST, READY, TEXT, VALUE, ERROR = b"R", b"A", b"T", b"V", b"E"
"""`READY` comes once, from a worker that has started, with a nonce and body of nothing."""

PERISHABLE = {TEXT: b"t", VALUE: b"v"}
"""The kinds of an output with a `max_age`, which stands before the output's bytes."""

_MAX_AGE = struct.Struct(">d")

_ERRORS: dict[str, type[PasteError]] = {
    kind.code: kind for kind in (ToolError, ResultTooLargeError, InvalidArgumentsError)
}


class Source(msgspec.Struct, frozen=True):
    """Where a worker finds a tool."""

    plugin: PluginConfig
    stamp: str
    """Of the file that declares the tool, as the proxy loaded it: a worker must not run other code."""


class Request(msgspec.Struct, frozen=True):
    """One run. The run's id and class stay with the proxy: a result must not depend on them."""

    source: Source
    tool: str
    context: RunContext
    arguments: dict[str, Any] | None
    """None: only load the tool and call its warm-up; the reply is `null`."""
    prepares: bool = False
    """Call what the tool declares to run ahead in its place."""


class Failure(msgspec.Struct, frozen=True):
    """An error as it crosses the pipe."""

    code: str
    message: str
    param: str | None


def frame(kind: bytes, nonce: bytes, body: bytes) -> bytes:
    return HEADER.pack(kind, nonce, len(body)) + body


def encode_request(request: Request) -> bytes:
    """The body of a request."""
    return json.dumps(msgspec.to_builtins(request)).encode()


def decode_request(body: bytes) -> Request:
    return msgspec.convert(json.loads(body), Request)


def encode_output(output: Output) -> tuple[bytes, bytes]:
    """A reply's kind and body."""
    kind = TEXT if output.is_text else VALUE
    if output.max_age is None:
        return kind, output.body
    return PERISHABLE[kind], _MAX_AGE.pack(output.max_age) + output.body


def encode_error(error: PasteError) -> tuple[bytes, bytes]:
    """A reply's kind and body."""
    return ERROR, msgspec.json.encode(Failure(error.code, error.message, error.param))


def decode_reply(kind: bytes, body: bytes) -> Output:
    """Raises the error that the worker reported."""
    if kind == ERROR:
        failure = msgspec.json.decode(body, type=Failure)
        raise _ERRORS.get(failure.code, ToolError)(failure.message, param=failure.param)
    if kind in (TEXT, VALUE):
        return Output(body, is_text=kind == TEXT)
    (max_age,) = _MAX_AGE.unpack_from(body)
    return Output(body[_MAX_AGE.size :], is_text=kind == PERISHABLE[TEXT], max_age=max_age)
