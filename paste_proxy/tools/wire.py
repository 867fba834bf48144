"""What the proxy and a worker process say to each other: frames over the worker's stdin and stdout.

A frame is a kind (one byte), a length (8 bytes, big-endian) and a body. Requests are JSON of the standard
library, whose integers are exact; replies carry an output's bytes as they are.
"""

import json
import struct
from typing import Any

import msgspec

from paste_proxy.config import PluginConfig
from paste_proxy.errors import InvalidArgumentsError, PasteError, ResultTooLargeError, ToolError
from paste_proxy.tools.ports import Output, RunContext

HEADER = struct.Struct(">cQ")

REQUEST, TEXT, VALUE, ERROR = b"R", b"T", b"V", b"E"

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


class Failure(msgspec.Struct, frozen=True):
    """An error as it crosses the pipe."""

    code: str
    message: str
    param: str | None


def frame(kind: bytes, body: bytes) -> bytes:
    return HEADER.pack(kind, len(body)) + body


def encode_request(request: Request) -> bytes:
    return frame(REQUEST, json.dumps(msgspec.to_builtins(request)).encode())


def decode_request(body: bytes) -> Request:
    return msgspec.convert(json.loads(body), Request)


def encode_output(output: Output) -> bytes:
    return frame(TEXT if output.is_text else VALUE, output.body)


def encode_error(error: PasteError) -> bytes:
    return frame(ERROR, msgspec.json.encode(Failure(error.code, error.message, error.param)))


def decode_reply(kind: bytes, body: bytes) -> Output:
    """Raises the error that the worker reported."""
    if kind == ERROR:
        failure = msgspec.json.decode(body, type=Failure)
        raise _ERRORS.get(failure.code, ToolError)(failure.message, param=failure.param)
    return Output(body, is_text=kind == TEXT)
