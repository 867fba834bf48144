"""The listening side's settings, in one place."""

from aiohttp import web

FIELD_BYTES = 64 * 1024
"""Longest request line, and longest header field: agents put tokens and traces there; 8 KB is tight."""
FIELDS = 512
"""Header fields of a request. aiohttp's 128 is enough for browsers, not for chains of gateways."""
SHUTDOWN_S = 5.0
"""How long running replies may go on after a stop was asked for."""


def make_runner(app: web.Application) -> web.AppRunner:
    """A runner under which a client that leaves cancels its handler, and bodies stay as they were sent."""
    return web.AppRunner(
        app,
        handler_cancellation=True,
        auto_decompress=False,
        access_log=None,
        max_line_size=FIELD_BYTES,
        max_field_size=FIELD_BYTES,
        max_headers=FIELDS,
        shutdown_timeout=SHUTDOWN_S,
    )
