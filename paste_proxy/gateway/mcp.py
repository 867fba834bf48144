"""The tools over MCP: the official SDK's server, fed with the registry and answered by the runtime.

Decisions, each with its reason:

* Both eras of the protocol are served. 2026-07-28 needs no session; clients of the older ones get one,
  since their `notifications/cancelled` comes in a request of its own and must find the call it cancels.
  Sessions are bounded in number and expire when idle; after a restart an old one answers 404, upon which
  the specification has the client open a new one.
* Answers are JSON bodies, not event streams: a body has no limit on its size where SDK 2.3.0's client refuses
  events above 1 MiB, and it costs less. Only a call whose client asked for progress, and whose tool has some to
  report, is answered by a stream (`progress.py`).
* What an MCP server behind the proxy lists and returns goes on as it came, as far as the client's revision of
  the protocol has a place for it: images, resources, notes on content, output schemas.
* Arguments reach the core as the bytes that the client wrote, and what is no message is refused before the
  SDK sees it (`rpc.py`).
* Arguments that don't fit the schema, or are too large, are a tool result with `isError`, so that the model
  can correct itself (SEP-1303, in MCP since 2025-11-25). An unknown tool is the JSON-RPC error -32602. A
  request so large that it is not even read is HTTP's 413.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any, Literal

import msgspec
from mcp import MCPError
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)

from paste_proxy.access.access import Access, Tenant
from paste_proxy.access.limits import RateLimitedError
from paste_proxy.config import LimitsConfig
from paste_proxy.errors import (
    InvalidArgumentsError,
    PasteError,
    RequestError,
    RequestTooLargeError,
    ToolError,
    UnknownToolError,
)
from paste_proxy.gateway.asgi import AsgiApp, Message, Receive, Scope, Send
from paste_proxy.gateway.calls import identity_of, tool_call_id
from paste_proxy.gateway.listings import Listings
from paste_proxy.gateway.progress import PROGRESS, serve_with_progress
from paste_proxy.gateway.rpc import RpcError, arguments_of
from paste_proxy.gateway.wire import Caller, error_meta, outcome_meta, too_large
from paste_proxy.runtime import ToolAnswer, ToolCall
from paste_proxy.tools.ports import Output
from paste_proxy.tools.spec import Effect, ToolSpec
from paste_proxy.tools.table import ToolTable

log = logging.getLogger(__name__)

LIST_TTL_MS = 60_000
"""How long a client may keep the list: it changes seldom, a tool that is seen a minute late is bearable, and a
call of one that is gone is an error that says so."""

STRUCTURED_LIMIT = 256 * 1024
"""Bytes of a JSON result up to which it is also decoded for `structuredContent`. Parsing more would hold
up the event loop, hence other callers; the text carries the same."""

ENVELOPE_BYTES = 64 * 1024
"""What a request may hold beside a call's arguments: `_meta` with trace context and the like, under 1 KiB."""

_ARGUMENTS = "paste.arguments"
"""Key of the ASGI scope under which a call's arguments are kept for the handler."""
_TENANT = "paste.tenant"
_REFUSAL = "paste.refusal"
"""Where the handler leaves what the reply's head is to say."""
RATE_LIMITED = -32029
"""Of the range that JSON-RPC leaves to servers; 429 is HTTP's for it."""

Context = ServerRequestContext[Any, Any]


class McpTools:
    """Handlers of `tools/list` and `tools/call`."""

    def __init__(self, caller: Caller, tools: ToolTable, access: Access, arguments_limit: int) -> None:
        self._caller = caller
        self._access = access
        self._limit = arguments_limit
        self._tools = tools
        self._listings = Listings(tools, _listing_of)

    def server(self) -> "Server[Any]":
        server: Server[Any] = Server(
            "paste-proxy",
            version=version("paste-proxy"),
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            get_tool_input_schema=self._schema,
            cache_hints={"tools/list": CacheHint(ttl_ms=LIST_TTL_MS, scope=self._list_scope)},
        )
        server.middleware.clear()  # It holds only tracing spans for an exporter that we don't install.
        return server

    def _schema(self, name: str) -> Mapping[str, Any] | None:
        spec = self._tools.get(name) if self._tools.serves(name, "") else None
        return spec.parameters if spec is not None else None

    @property
    def _list_scope(self) -> Literal["public", "private"]:
        """Tenants have lists of their own."""
        return "private" if self._access.required else "public"

    async def list_tools(self, context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        """All tools on one page; a cursor can't be ours."""
        if params is not None and params.cursor is not None:
            raise MCPError(INVALID_PARAMS, f"unknown cursor {params.cursor!r}: the list has one page")
        return self._listings.of(_request(context).scope[_TENANT])

    async def call_tool(self, context: Context, params: CallToolRequestParams) -> CallToolResult:
        """One authoritative call. Raises `MCPError` where the protocol wants no result."""
        try:
            call = _call_of(context, params)
            self._access.call(_request(context).scope[_TENANT])
            if len(call.arguments) > self._limit:
                raise too_large(self._limit)
            return result_of(await self._caller.call(call))
        except (ToolError, InvalidArgumentsError, RequestTooLargeError) as error:
            return failure_of(error)
        except RateLimitedError as error:
            _request(context).scope[_REFUSAL] = error
            raise MCPError(RATE_LIMITED, error.message, error_meta(error)) from error
        except UnknownToolError as error:
            raise MCPError(INVALID_PARAMS, error.message, error_meta(error)) from error
        except PasteError as error:
            code = INVALID_PARAMS if isinstance(error, RequestError) else INTERNAL_ERROR
            raise MCPError(code, error.message, error_meta(error)) from error
        except MCPError:
            raise
        except Exception as error:
            log.exception("call of tool %r failed", params.name)
            reason = f"the gateway failed on tool {params.name!r}; its log says why"
            raise MCPError(INTERNAL_ERROR, reason) from error


def _listing_of(specs: Iterable[ToolSpec]) -> ListToolsResult:
    return ListToolsResult(tools=[describe(spec) for spec in specs])


def _request(context: Context) -> Any:
    if context.request is None:
        raise MCPError(INTERNAL_ERROR, "tools are served over HTTP only")
    return context.request


def _call_of(context: Context, params: CallToolRequestParams) -> ToolCall:
    request = _request(context)
    meta = (context.params or {}).get("_meta") or {}
    return ToolCall(
        identity=identity_of(request.headers, meta, request.scope[_TENANT].name),
        tool=params.name,
        arguments=request.scope[_ARGUMENTS],
        tool_call_id=tool_call_id(request.headers, meta),
        on_progress=request.scope[PROGRESS].listener(meta.get("progressToken")),
    )


def describe(spec: ToolSpec) -> Tool:
    """A tool as MCP lists it. Only what its declaration says is hinted: effect `read` changes nothing.

    That of a server is listed as its server lists it.
    """
    if spec.listed is not None:
        return Tool.model_validate(spec.listed, by_name=False)
    reads_only = True if spec.effect is Effect.READ else None
    return Tool(
        name=spec.name,
        description=spec.description,
        input_schema=spec.parameters,
        annotations=ToolAnnotations(read_only_hint=reads_only) if reads_only else None,
    )


def result_of(answer: ToolAnswer) -> CallToolResult:
    output = answer.output
    if output.mcp is not None:
        return _passed_on(output.mcp, outcome_meta(answer))
    result = CallToolResult(
        content=[TextContent(text=output.body.decode())],
        structured_content=_structured(output),
    )
    result.meta = outcome_meta(answer)
    return result


def _passed_on(result: bytes, meta: dict[str, Any]) -> CallToolResult:
    """A server's result, with what we have to say of it."""
    passed = CallToolResult.model_validate(msgspec.json.decode(result), by_name=False)
    passed.meta = {**(passed.meta or {}), **meta}
    return passed


def failure_of(error: PasteError) -> CallToolResult:
    if isinstance(error, ToolError) and error.mcp is not None:
        return _passed_on(error.mcp, error_meta(error))
    result = CallToolResult(content=[TextContent(text=error.message)], is_error=True)
    result.meta = error_meta(error)
    return result


def _structured(output: Output) -> dict[str, Any] | None:
    """The result as an object; before 2026-07-28 the protocol has no place for other values."""
    body = output.body
    if output.is_text or len(body) > STRUCTURED_LIMIT or not body.lstrip().startswith(b"{"):
        return None
    value: dict[str, Any] = msgspec.json.decode(body)
    return value


class McpEndpoint:
    """The MCP server as an ASGI application; usable inside `running`, which may be entered again."""

    def __init__(self, tools: McpTools, limits: LimitsConfig) -> None:
        self._tools = tools
        self._limits = limits
        self._manager: StreamableHTTPSessionManager | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sessions live inside; on leaving, those of older clients end with their calls.

        Enter and leave in one task (anyio's rule for cancel scopes).
        """
        manager = StreamableHTTPSessionManager(
            self._tools.server(),
            json_response=True,
            session_idle_timeout=self._limits.session_idle_s,
            max_sessions=self._limits.sessions,
            max_request_body_size=request_limit(self._limits),
        )
        async with manager.run():
            self._manager = manager
            try:
                yield
            finally:
                self._manager = None

    def of(self, tenant: Tenant) -> AsgiApp:
        """What answers a request of that tenant, whose sessions are of no use to another."""
        return partial(self._handle, tenant)

    async def _handle(self, tenant: Tenant, scope: Scope, receive: Receive, send: Send) -> None:
        if self._manager is None:
            raise RuntimeError("the MCP endpoint is not running: enter `running` first")
        scope[_TENANT] = tenant
        # The SDK holds a session's requests against who opened it. It gets no token: it has no use for one.
        scope["user"] = AuthenticatedUser(AccessToken(token="", client_id=tenant.name, scopes=[]))
        if scope["method"] == "POST":
            try:
                body = await self._body(receive)
                if body is None:
                    return
                scope[_ARGUMENTS] = arguments_of(body)
            except RpcError as error:
                await _refuse(error, scope, send)
                return
            receive = _again(bytes(body), receive)
        await serve_with_progress(self._manager.handle_request, scope, receive, _refusing(scope, send))

    async def _body(self, receive: Receive) -> bytearray | None:
        """None where the client has left before its end. Raises `RpcError`."""
        body, limit = bytearray(), request_limit(self._limits)
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > limit:
                error = too_large(self._limits.arguments_bytes)
                raise RpcError(
                    INVALID_REQUEST, error.message, param=error.param, code=error.code, status=error.status
                )
            if not message.get("more_body", False):
                return body


def request_limit(limits: LimitsConfig) -> int:
    """Bytes of a whole request: the SDK decodes it on the loop, before anything tells that it is a call."""
    return min(limits.body_bytes, limits.arguments_bytes + ENVELOPE_BYTES)


def _again(body: bytes, receive: Receive) -> Receive:
    """The body that was read already, and then what comes after it."""
    unread = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return unread.pop() if unread else await receive()

    return receive_again


async def _refuse(error: RpcError, scope: Scope, send: Send) -> None:
    """A client of the older era takes any status but 200 for the end of its session: what is wrong with the
    parameters of one request is told as the answer to it."""
    has_session = any(name == b"mcp-session-id" for name, _ in scope["headers"])
    status = 200 if error.rpc_code == INVALID_PARAMS and has_session else error.status
    body = error.body()
    fields = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def _refusing(scope: Scope, send: Send) -> Send:
    """The SDK answers every error of a handler with 200; this one has a status and fields of its own."""

    async def send_refusal(message: Message) -> None:
        error = scope.get(_REFUSAL)
        if error is not None and message["type"] == "http.response.start":
            fields = [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
            message = {**message, "status": error.status, "headers": [*message.get("headers", ()), *fields]}
        await send(message)

    return send_refusal


async def serve_until_cancelled(endpoint: McpEndpoint, ready: "asyncio.Future[None]") -> None:
    """Keeps `endpoint` running in the calling task; `ready` is resolved when it takes requests."""
    async with endpoint.running():
        ready.set_result(None)
        await asyncio.get_running_loop().create_future()
