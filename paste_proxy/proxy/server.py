"""The listening side's settings, in one place, and what is said to whoever sends what is no HTTP."""

import asyncio
import logging
import re
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, InvalidURLError, TransferEncodingError

from paste_proxy.errors import PasteError, RequestError
from paste_proxy.proxy.transfer import in_shape_of

FIELD_BYTES = 64 * 1024
"""Longest request line, and longest header field: agents put tokens and traces there; 8 KB is tight."""
FIELDS = 512
"""Header fields of a request. aiohttp's 128 is enough for browsers, not for chains of gateways."""
BACKLOG = 1024
"""Clients whose connection may wait to be taken: as many as agents may start at once. Whoever finds no place
tries again after a second. The system may have a lower limit of its own."""
SHUTDOWN_S = 5.0
"""How long running replies may go on after a stop was asked for."""

_SETTINGS: dict[str, Any] = {
    "auto_decompress": False,  # bodies stay as they were sent
    "access_log": None,
    "max_line_size": FIELD_BYTES,
    "max_field_size": FIELD_BYTES,
    "max_headers": FIELDS,
}
"""Of each connection, by aiohttp's names."""
_SENT = re.compile(r"""(?<!\w)(?:bytearray\()?b?['"](?!Host')|\n""")
"""Before what was sent, which may hold a key. `Host` is the field that is missing."""
_SENT_ALONE: dict[type[HttpProcessingError], str] = {
    InvalidURLError: "what it asks for is no path, nor a whole address",
    TransferEncodingError: "its body is not in chunks as it says",
}
"""Errors whose message may be what was sent and nothing else, and what is said in its place."""


def make_runner(app: web.Application) -> web.AppRunner:
    """A runner under which a client that leaves cancels its handler; `listen_on` has it served."""
    return web.AppRunner(app, handler_cancellation=True, shutdown_timeout=SHUTDOWN_S)


async def listen_on(runner: web.AppRunner, host: str, port: int) -> asyncio.Server:
    """Serve a runner that is set up, until the result is closed; then the runner is to be cleaned up.

    In the place of aiohttp's sites, whose connections answer errors as text. Raises `OSError`.
    """
    loop = asyncio.get_running_loop()
    server = runner.server
    if server is None:
        raise RuntimeError("the runner is not set up")

    def connection() -> _Connection:
        return _Connection(server, loop=loop, **_SETTINGS)

    return await loop.create_server(connection, host, port, backlog=BACKLOG)


def address_of(server: asyncio.Server) -> str:
    """Its first one, as a URL."""
    host, port = server.sockets[0].getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class _Connection(web.RequestHandler):
    """A client's; its errors have the shape of all of ours."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        super().handle_error(request, status, exc, message)  # logs it, and raises where a reply has begun
        error: PasteError
        if isinstance(exc, HttpProcessingError):
            error = RequestError(f"this is not HTTP/1.1 as it is read here: {_reason(exc)}")
        else:
            error = PasteError("the proxy failed at this request: its log says why")
        body = in_shape_of(request.path, error)
        reply = web.json_response(body, status=status, headers={"Server": "paste-proxy"})
        reply.force_close()
        return reply


def without_traceback_of_bad_requests(record: logging.LogRecord) -> bool:
    """For aiohttp's log: whoever reaches the port can send what is no HTTP: one line each, not a page."""
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
        error = record.exc_info[1]
        record.msg, record.args = "not HTTP: %s", (f"{error.code}, {_reason(error)}",)
        record.exc_info, record.levelno, record.levelname = None, logging.WARNING, "WARNING"
    return True


def _reason(error: HttpProcessingError) -> str:
    """Without what was sent, which aiohttp shows beside it, or in its place."""
    return _SENT_ALONE.get(type(error)) or _SENT.split(error.message)[0].rstrip(" :")
