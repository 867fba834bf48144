"""The tool plane: `/mcp` and `/v1/tools*` on the application's own port."""

import asyncio

import msgspec
from aiohttp import hdrs, web

from paste_proxy.access.access import Access
from paste_proxy.config import Config
from paste_proxy.errors import PasteError
from paste_proxy.gateway.asgi import serve
from paste_proxy.gateway.mcp import McpEndpoint, McpTools, request_limit, serve_until_cancelled
from paste_proxy.gateway.rest import RestTools
from paste_proxy.gateway.wire import Caller, error_meta, too_large
from paste_proxy.guard import Guard
from paste_proxy.tasks import TaskSet
from paste_proxy.tools.table import ToolTable

MCP_PATHS = ("/mcp", "/mcp/")
"""With and without the slash: clients are configured both ways, and a redirect loses the body in some."""

_INVALID_REQUEST = -32600


class ToolPlane:
    """Both faces of the gateway.

    The application must be served with `web.AppRunner(app, handler_cancellation=True)`: that is how a
    caller who left reaches the runtime, as the cancellation of its call.
    """

    def __init__(self, caller: Caller, tools: ToolTable, config: Config, access: Access) -> None:
        limits = config.limits
        self._guard = Guard(config.listen.host)
        self._access = access
        self._limits = limits
        self._rest = RestTools(
            caller, tools, guard=self._guard, access=access, arguments_limit=limits.arguments_bytes
        )
        self._endpoint = McpEndpoint(McpTools(caller, tools, access, limits.arguments_bytes), limits)
        self._tasks = TaskSet()

    def add_routes(self, app: web.Application) -> None:
        """Adds the routes, and starts and stops the MCP sessions with the application."""
        app.router.add_routes(self._rest.routes())
        for path in MCP_PATHS:
            app.router.add_route(hdrs.METH_ANY, path, self._mcp)
        app.on_startup.append(self._start)
        # On shutdown rather than on cleanup: aiohttp waits in between for handlers that still run.
        app.on_shutdown.append(self._stop)

    async def _start(self, _app: web.Application) -> None:
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        serving = self._tasks.spawn(serve_until_cancelled(self._endpoint, ready), name="mcp sessions")
        await asyncio.wait((ready, serving), return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()

    async def _stop(self, _app: web.Application) -> None:
        await self._tasks.close()

    async def _mcp(self, request: web.Request) -> web.StreamResponse:
        try:
            self._guard.check(request.headers)
            tenant = self._access.tenant_of(request.headers)
            if (request.content_length or 0) > request_limit(self._limits):
                raise too_large(self._limits.arguments_bytes)
        except PasteError as error:
            return _refusal(error)
        if request.method in (hdrs.METH_GET, hdrs.METH_HEAD):
            return _no_stream()
        return await serve(self._endpoint.of(tenant), request)


def _no_stream() -> web.Response:
    """No standing event stream: the server never speaks first, so each would be a socket kept for nothing.

    405 is what the specification (2025-11-25, Transports, "Listening for Messages") provides for that.
    """
    body = _jsonrpc_error("this server sends nothing of its own accord: POST requests to it", None)
    return web.Response(
        status=405, body=body, content_type="application/json", headers={hdrs.ALLOW: "POST, DELETE"}
    )


def _refusal(error: PasteError) -> web.Response:
    body = _jsonrpc_error(error.message, error_meta(error))
    return web.Response(
        status=error.status, body=body, content_type="application/json", headers=dict(error.headers)
    )


def _jsonrpc_error(message: str, data: object) -> bytes:
    error = {"code": _INVALID_REQUEST, "message": message}
    if data is not None:
        error["data"] = data
    return msgspec.json.encode({"jsonrpc": "2.0", "id": None, "error": error})
