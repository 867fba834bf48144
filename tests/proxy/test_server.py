"""Who may connect at once; and to what is no HTTP the answer is one JSON shape, and none of what was sent."""

import json
import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from tests.gateway.servers import raw_connection, serving
from tests.patience import SOON_S

LINE = b"POST /v1/chat/completions HTTP/1.1\r\n"
HEAD = LINE + b"Host: a\r\n"


async def answer(base: str, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, header fields and body; the connection ends with it."""
    async with raw_connection(base) as (reader, writer):
        writer.write(sent)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        return int(line.split()[1]), dict(field.lower().split(": ", 1) for field in fields), body


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"pp-secret\r\n\r\n", "Invalid method encountered"),
        (b"GET /pp-secret%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 70_000), "Got more than 65536 bytes"),
        (HEAD + b"x: pp-secret%b\r\n\r\n" % (b"a" * 70_000), "Got more than 65536 bytes"),
        (HEAD + b"x: pp-secret\r\n" * 600 + b"\r\n", "Too many headers received"),
        (HEAD + b"Auth\x01: pp-secret\r\n\r\n", "Invalid header token"),
        (HEAD + b"Content-Length: pp-secret\r\n\r\n", "Invalid character in Content-Length"),
        (HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "can't be present with"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\npp-secret\r\n", "Invalid character in chunk size"),
        (LINE + b"x: pp-secret\r\n\r\n", "Missing 'Host' header"),
        (b"GET http://a:pp-secret/ HTTP/1.1\r\nHost: a\r\n\r\n", "is no path, nor a whole address"),
        (b"GET http://[pp-secret/ HTTP/1.1\r\nHost: a\r\n\r\n", "is no path, nor a whole address"),
        (b"CONNECT pp-secret:x HTTP/1.1\r\nHost: a\r\n\r\n", "is no path, nor a whole address"),
        (b"GET / HTTP/9.7\r\nHost: a\r\n\r\n", "Bad status line"),
    ],
)
async def test_what_is_no_http_is_refused_in_the_shape_of_all_errors(sent: bytes, reason: str) -> None:
    async with serving(web.Application()) as base:
        status, fields, body = await answer(base, sent)
    assert (status, fields["content-type"]) == (400, "application/json; charset=utf-8")
    assert fields["server"] == "paste-proxy"
    error = json.loads(body)["error"]
    assert reason in error["message"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "bad_request", None)
    assert b"pp-secret" not in body


@pytest.mark.parametrize(("path", "shape"), [("/v1/responses", None), ("/v1/messages", "error")])
async def test_a_handler_that_fails_tells_nothing_of_why(path: str, shape: str | None) -> None:
    async def fails(_request: web.Request) -> web.Response:
        raise ZeroDivisionError("pp-secret")

    app = web.Application()
    app.router.add_get(path, fails)
    async with serving(app) as base:
        status, fields, body = await answer(base, b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode())
    assert (status, fields["connection"]) == (500, "close")
    told = json.loads(body)
    assert (told.get("type"), told["error"]["code"]) == (shape, "internal_error")
    assert b"secret" not in body


async def test_a_crowd_that_connects_while_the_proxy_is_busy_finds_a_place() -> None:
    """Nothing is taken meanwhile: this thread is the proxy's, too."""
    async with serving(web.Application()) as base:
        address = urlsplit(base)
        with ExitStack() as stack:
            for _ in range(200):
                stack.enter_context(socket.create_connection((address.hostname, address.port), SOON_S))
            status, _, _ = await answer(base, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert status == 404, "who comes last is heard when all have been taken"
