"""A worker process by itself: its loop over requests, and how it starts and ends."""

import io
import os
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from paste_proxy.errors import ToolError
from paste_proxy.tools.loading import Registry
from paste_proxy.tools.ports import Output, RunContext
from paste_proxy.tools.wire import HEADER, Request, Source, decode_reply, encode_request
from paste_proxy.tools.worker import serve


def _request(registry: Registry, tool: str, arguments: dict[str, Any] | None, stamp: str = "") -> bytes:
    source = registry.source(tool)
    assert source is not None
    source = Source(source.plugin, stamp or source.stamp)
    return encode_request(Request(source, tool, RunContext("tenant", "session"), arguments))


def _reply(stream: io.BytesIO) -> Output:
    kind, length = HEADER.unpack(stream.read(HEADER.size))
    return decode_reply(kind, stream.read(length))


def _serve(*requests: bytes) -> io.BytesIO:
    replies = io.BytesIO()
    serve(io.BytesIO(b"".join(requests)), replies)
    replies.seek(0)
    return replies


def test_it_answers_one_request_after_another(registry: Registry) -> None:
    replies = _serve(
        _request(registry, "echo", {"value": {"n": 2**80}}),
        _request(registry, "misbehave", {"how": "says"}),
        _request(registry, "echo", {"value": 1, "twice": True}),
        _request(registry, "echo", None),
    )
    assert _reply(replies).body == b'["tenant","session",{"n":1208925819614629174706176}]'
    with pytest.raises(ToolError, match="no such thing"):
        _reply(replies)
    assert msgspec.json.decode(_reply(replies).body) == ["tenant", "session", 1] * 2
    assert _reply(replies).body == b"null"
    assert replies.read() == b""


def test_it_refuses_code_that_the_proxy_did_not_load(registry: Registry) -> None:
    with pytest.raises(ToolError, match="echo: its plugin was changed since the proxy started"):
        _reply(_serve(_request(registry, "echo", {"value": 1}, stamp="0:0")))


def test_half_a_request_at_the_end_is_no_request(registry: Registry) -> None:
    assert _serve(_request(registry, "whoami", {})[:5]).read() == b""


def _start(parent: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-P", "-m", "paste_proxy.tools.worker", str(parent)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)


def test_what_a_tool_prints_does_not_reach_the_replies(registry: Registry) -> None:
    with _start(os.getpid()) as process:
        out, err = process.communicate(_request(registry, "misbehave", {"how": "prints"}))
    assert _reply(io.BytesIO(out)).body == b"null"
    assert err == b"to whom it may concern\n"
    assert process.returncode == 0


def test_it_does_not_outlive_a_proxy_that_ended_before_it_started() -> None:
    with _start(os.getpid() + 1) as process:
        _, err = process.communicate()
    assert process.returncode == 1
    assert b"the proxy is gone" in err
