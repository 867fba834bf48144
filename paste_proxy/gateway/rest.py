"""The tools over plain HTTP: `GET /v1/tools` lists them as an LLM request wants them, `POST` calls one.

The body of a call is the arguments' JSON and the body of its answer is the result itself, so neither is
parsed or encoded here: bytes go to the core and come from it.
"""

import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
from aiohttp import hdrs, web

from paste_proxy.access.access import Access, Tenant
from paste_proxy.errors import PasteError, RequestError, ToolsBusyError, UnknownToolError
from paste_proxy.gateway.listings import Listings
from paste_proxy.gateway.wire import (
    REQUEST_ID,
    TOOL_CALL_ID,
    Caller,
    GatewayError,
    error_result,
    outcome_headers,
    too_large,
)
from paste_proxy.guard import Guard
from paste_proxy.runtime import ToolCall
from paste_proxy.sessions.identity import identify
from paste_proxy.tools.spec import ToolSpec
from paste_proxy.tools.table import ToolTable

log = logging.getLogger(__name__)

LIST_PATH = "/v1/tools"
TOOL_PATH = r"/v1/tools/{name:[\s\S]*}"
"""With line ends: `.` stops at them, and the backend would get what was meant for a tool."""

Handler = Callable[[web.Request, Tenant], Awaitable[web.Response]]


class MethodNotAllowedError(RequestError):
    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, *, allow: str, param: str) -> None:
        super().__init__(message, param=param)
        self.allow = allow


class UnsupportedEncodingError(RequestError):
    status = 415
    code = "unsupported_encoding"


class RestTools:
    """Handlers of `/v1/tools*`. `arguments_limit` is in bytes."""

    def __init__(
        self, caller: Caller, tools: ToolTable, *, guard: Guard, access: Access, arguments_limit: int
    ) -> None:
        self._caller = caller
        self._tools = tools
        self._guard = guard
        self._access = access
        self._limit = arguments_limit
        self._listings = Listings(tools, _listing_of)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(LIST_PATH, self._guarded(self.list_tools)),
            web.route(hdrs.METH_ANY, LIST_PATH, self._guarded(self.refuse_for_list)),
            web.get(TOOL_PATH, self._guarded(self.describe)),
            web.post(TOOL_PATH, self._guarded(self.call)),
            web.route(hdrs.METH_ANY, TOOL_PATH, self._guarded(self.refuse_for_tool)),
        ]

    async def list_tools(self, _request: web.Request, tenant: Tenant) -> web.Response:
        """`{"object": "list", "tools": [...]}`: `tools` is ready for an LLM request's `tools`."""
        return _json(self._listings.of(tenant))

    async def describe(self, request: web.Request, tenant: Tenant) -> web.Response:
        """One element of the list. Raises `UnknownToolError`."""
        name = request.match_info["name"]
        spec = self._tools.get(name) if self._tools.serves(name, "") else None
        if spec is None or not tenant.config.permits(name):
            raise UnknownToolError(f"there is no tool {name!r}; GET {LIST_PATH} lists them", param=name)
        return _json(msgspec.json.encode(function_of(spec)))

    async def call(self, request: web.Request, tenant: Tenant) -> web.Response:
        """Run a tool: body = arguments (empty: none), answered with the result itself."""
        headers = request.headers
        self._access.call(tenant)
        arguments = await self._body(request)
        answer = await self._caller.call(
            ToolCall(
                identity=identify(headers, {}, tenant.name),
                tool=request.match_info["name"],
                arguments=arguments or b"{}",
                tool_call_id=headers.get(TOOL_CALL_ID, ""),
            )
        )
        output = answer.output
        content_type = "text/plain; charset=utf-8" if output.is_text else "application/json"
        return web.Response(
            body=output.body, headers={hdrs.CONTENT_TYPE: content_type, **outcome_headers(answer)}
        )

    async def refuse_for_list(self, request: web.Request, _tenant: Tenant) -> web.Response:
        raise MethodNotAllowedError(
            f"{request.method} is not for {LIST_PATH}: GET lists the tools, POST {LIST_PATH}/NAME calls one",
            allow="GET, HEAD",
            param=request.method,
        )

    async def refuse_for_tool(self, request: web.Request, _tenant: Tenant) -> web.Response:
        raise MethodNotAllowedError(
            f"{request.method} is not for a tool: GET describes it, POST calls it",
            allow="GET, HEAD, POST",
            param=request.method,
        )

    async def _body(self, request: web.Request) -> bytes:
        """The whole body. Raises `RequestTooLargeError`, before reading where the length is stated."""
        encoding = request.headers.get(hdrs.CONTENT_ENCODING, "identity")
        if encoding.lower() != "identity":
            raise UnsupportedEncodingError(
                f"content-encoding {encoding!r} is not understood: send the arguments uncompressed",
                param="content-encoding",
            )
        if (request.content_length or 0) > self._limit:
            raise too_large(self._limit)
        if not request.can_read_body:
            return b""
        if request.content.is_eof():  # it came with the head, as most arguments do
            body_at_once = request.content.read_nowait(-1)
            if len(body_at_once) > self._limit:
                raise too_large(self._limit)
            return body_at_once
        body = bytearray()
        async for part in request.content.iter_any():
            body += part
            if len(body) > self._limit:
                raise too_large(self._limit)
        return bytes(body)

    def _guarded(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Checks who asks, gives the answer its request id, and turns errors into answers."""

        async def handle(request: web.Request) -> web.Response:
            request_id = request.headers.get(REQUEST_ID) or secrets.token_hex(16)
            try:
                self._guard.check(request.headers)
                response = await handler(request, self._access.tenant_of(request.headers))
            except PasteError as error:
                response = _refusal(error)
            except (ConnectionError, web.HTTPException):
                raise
            except Exception:
                log.exception("request %s failed: %s %s", request_id, request.method, request.path)
                response = _refusal(GatewayError(f"the gateway failed; its log says why, under {request_id}"))
            response.headers[REQUEST_ID] = request_id
            return response

        return handle


def _listing_of(specs: Iterable[ToolSpec]) -> bytes:
    return msgspec.json.encode({"object": "list", "tools": [function_of(spec) for spec in specs]})


def function_of(spec: ToolSpec) -> dict[str, Any]:
    """A tool as chat requests describe it (OpenAI API, `tools[]`)."""
    return {
        "type": "function",
        "function": {"name": spec.name, "description": spec.description, "parameters": spec.parameters},
    }


def _json(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")


def _refusal(error: PasteError) -> web.Response:
    response = _json(msgspec.json.encode(error_result(error)), error.status)
    response.headers.update(error.headers)
    if isinstance(error, MethodNotAllowedError):
        response.headers[hdrs.ALLOW] = error.allow
    if isinstance(error, ToolsBusyError):
        response.headers[hdrs.RETRY_AFTER] = "1"
    return response
