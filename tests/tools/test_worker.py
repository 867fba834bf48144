"""A worker process by itself: its loop over requests, and how it starts and ends."""

import io
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from paste_proxy.errors import ToolError
from paste_proxy.tools.loading import Registry
from paste_proxy.tools.ports import Output, RunContext
from paste_proxy.tools.wire import (
    HEADER,
    NONCE_BYTES,
    READY,
    REQUEST,
    Request,
    Source,
    decode_reply,
    encode_request,
    frame,
)
from paste_proxy.tools.worker import serve


def _request(registry: Registry, tool: str, arguments: dict[str, Any] | None, stamp: str = "") -> bytes:
    source = registry.source(tool)
    assert source is not None
    source = Source(source.plugin, stamp or source.stamp)
    return encode_request(Request(source, tool, RunContext("tenant", "session"), arguments))


def _nonces() -> Iterator[bytes]:
    return (number.to_bytes(NONCE_BYTES) for number in itertools.count(1))


class _Replies:
    """Reads one reply after another, each of which must repeat the nonce of its request."""

    def __init__(self, stream: io.BytesIO) -> None:
        self.stream = stream
        self._nonces = _nonces()

    def next(self) -> Output:
        kind, nonce, length = HEADER.unpack(self.stream.read(HEADER.size))
        assert nonce == next(self._nonces)
        return decode_reply(kind, self.stream.read(length))


def _frames(*requests: bytes) -> bytes:
    return b"".join(frame(REQUEST, nonce, body) for nonce, body in zip(_nonces(), requests, strict=False))


def _serve(frames: bytes) -> _Replies:
    replies = io.BytesIO()
    serve(io.BytesIO(frames), replies)
    replies.seek(0)
    return _Replies(replies)


def test_it_answers_one_request_after_another(registry: Registry) -> None:
    requests = (
        _request(registry, "echo", {"value": {"n": 2**80}}),
        _request(registry, "misbehave", {"how": "says"}),
        _request(registry, "echo", {"value": 1, "twice": True}),
        _request(registry, "echo", None),
    )
    replies = _serve(_frames(*requests))
    assert replies.next().body == b'["tenant","session",{"n":1208925819614629174706176}]'
    with pytest.raises(ToolError, match="no such thing"):
        replies.next()
    assert msgspec.json.decode(replies.next().body) == ["tenant", "session", 1] * 2
    assert replies.next().body == b"null"
    assert replies.stream.read() == b""


def test_it_refuses_code_that_the_proxy_did_not_load(registry: Registry) -> None:
    with pytest.raises(ToolError, match="echo: its plugin was changed since the proxy started"):
        _serve(_frames(_request(registry, "echo", {"value": 1}, stamp="0:0"))).next()


def test_half_a_request_at_the_end_is_no_request(registry: Registry) -> None:
    assert _serve(_frames(_request(registry, "whoami", {}))[:5]).stream.read() == b""


def _start(parent: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-P", "-m", "paste_proxy.tools.worker", str(parent)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)


def test_what_a_tool_prints_does_not_reach_the_replies(registry: Registry) -> None:
    with _start(os.getpid()) as process:
        out, err = process.communicate(_frames(_request(registry, "misbehave", {"how": "prints"})))
    ready = frame(READY, bytes(NONCE_BYTES), b"")
    assert out.startswith(ready)
    assert _Replies(io.BytesIO(out.removeprefix(ready))).next().body == b"null"
    assert err == b"to whom it may concern\n"
    assert process.returncode == 0


def test_it_does_not_outlive_a_proxy_that_ended_before_it_started() -> None:
    with _start(os.getpid() + 1) as process:
        _, err = process.communicate()
    assert process.returncode == 1
    assert b"the proxy is gone" in err
