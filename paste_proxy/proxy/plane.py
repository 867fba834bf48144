"""The LLM plane's routes: one for each API whose turns are tapped, and one for everything else."""

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial
from typing import Protocol

from aiohttp import web
from msgspec.structs import replace

from paste_proxy.access.access import Access, Tenant
from paste_proxy.backends import BackendControl
from paste_proxy.config import Config
from paste_proxy.errors import PasteError, RequestError, RequestTooLargeError
from paste_proxy.events import Identity
from paste_proxy.grammar.apis import Api
from paste_proxy.grammar.dialects import TextReader
from paste_proxy.grammar.errors import UnreadableRequestError
from paste_proxy.grammar.requests import ChatRequest, RequestTool, parse_request
from paste_proxy.proxy.counters import RelayCounters
from paste_proxy.proxy.headers import RequestHead, request_id
from paste_proxy.proxy.opt_ins import OptIns
from paste_proxy.proxy.pool import NoUpstream, PooledUpstream
from paste_proxy.proxy.rewrite import OptIn
from paste_proxy.proxy.rid import new_rid, splice_rid
from paste_proxy.proxy.tap import OFF_LOOP_BYTES, Failures, Tap, Turn
from paste_proxy.proxy.transfer import Transfer, refusal
from paste_proxy.proxy.upstream import Outgoing, Upstream
from paste_proxy.sessions.identity import identify
from paste_proxy.tasks import TaskSet

log = logging.getLogger(__name__)

TEXT_APIS = frozenset({Api.COMPLETIONS, Api.GENERATE})
"""Their replies have no place for calls but the text."""


class Admission(Protocol):
    """What the plane needs of the runtime: `runtime.Runtime`."""

    async def admit(self, identity: Identity, request: ChatRequest | None) -> Turn: ...


class LlmPlane:
    """Relays every request to the backend.

    Raises `ConfigError` where the backend's URL is none. Own paths are added to the app before
    `add_routes`; the app then starts and stops what the plane needs.
    """

    def __init__(self, runtime: Admission, config: Config, counters: RelayCounters, access: Access) -> None:
        self._runtime = runtime
        self._access = access
        self._body_limit = config.limits.body_bytes
        self.upstream: Upstream = PooledUpstream(config.backend) if config.backend.url else NoUpstream()
        self.backend = BackendControl(config.backend, access.backend_key)
        self._tasks = TaskSet()
        self._failures = Failures(counters)
        self._opt_ins = OptIns(self.backend, self._failures, self._body_limit)
        self.counters = counters

    def add_routes(self, app: web.Application) -> None:
        for api in Api:
            app.router.add_post(api.value, partial(self.turn, api))
        app.router.add_route("*", r"/{path:[\s\S]*}", self.relay)
        app.cleanup_ctx.append(self._lifetime)

    async def _lifetime(self, _app: web.Application) -> AsyncIterator[None]:
        await self.backend.start()
        yield
        await self._tasks.close()
        await self.upstream.close()
        await self.backend.close()

    async def relay(self, request: web.Request) -> web.StreamResponse:
        """Any request that is none of ours: as it is, in both directions."""
        self.counters.requests += 1
        head = _head(request)
        try:
            _, head = self._enter(request, head)
            outgoing = await _outgoing(request, head)
        except PasteError as error:
            return refusal(error, head)
        transfer = Transfer(request, outgoing, None, self.counters, self._tasks)
        try:
            return await transfer.run(self.upstream)
        finally:
            if not (transfer.complete or transfer.failed or head.upgrade):
                self.counters.client_disconnects += 1

    async def turn(self, api: Api, request: web.Request) -> web.StreamResponse:
        """A turn: read, admitted, relayed and tapped."""
        self.counters.requests += 1
        self.counters.turn(api.name.lower())
        head = _head(request)
        try:
            tenant, head = self._enter(request, head)
            with self._access.turn(tenant):
                return await self._turn(api, request, head, tenant.name)
        except PasteError as error:
            return refusal(error, head)

    async def _turn(self, api: Api, request: web.Request, head: RequestHead, tenant: str) -> web.StreamResponse:
        """Raises `PasteError` before anything is sent."""
        body = await self._read_body(request)
        read = await self._parse(api, body)
        turn = await self._admit(request, api, read, tenant)
        tools = read.tools if read is not None else ()
        new_text = partial(self._new_text, api, tools)
        tap = Tap(turn, self.counters, self._failures, self._body_limit, api, new_text, tools)
        rid, body = self._with_rid(api, read, body)
        opt_in = self._opt_in(body, read, tap) if api is Api.CHAT else None
        outgoing = Outgoing(head=head, body=body)
        transfer = Transfer(request, outgoing, tap, self.counters, self._tasks, opt_in)
        try:
            return await transfer.run(self.upstream)
        finally:
            self._over(head, transfer, tap, rid)

    def _enter(self, request: web.Request, head: RequestHead) -> tuple[Tenant, RequestHead]:
        """Whose request it is, and its head as it goes on. Raises `PasteError` where it does not."""
        tenant = self._access.tenant_of(request.headers)
        self._access.request(tenant, head.target)
        key_header = self.backend.current.key_header
        fields = self._access.forwarded(head.fields, tenant, head.target, key_header)
        return tenant, head if fields is head.fields else replace(head, fields=fields)

    def _new_text(self, api: Api, tools: tuple[RequestTool, ...]) -> TextReader | None:
        return self.backend.text.observer(tools, api_text=api in TEXT_APIS)

    def _with_rid(self, api: Api, read: ChatRequest | None, body: bytes) -> tuple[str, bytes]:
        """The id by which the request may be aborted, and the body with it; or "", and the body as it is."""
        key = self.backend.current.rid_keys.get(api)
        if key is None or read is None or read.choices > 1 or read.has_rid:
            return "", body
        rid = new_rid(api)
        return rid, splice_rid(body, key, rid)

    def _opt_in(self, body: bytes, read: ChatRequest | None, tap: Tap) -> OptIn | None:
        try:
            return self._opt_ins.of(body, read, tap) if read is not None else None
        except Exception as error:  # noqa: BLE001 - the tap's boundary: see tap.py
            self._failures.report("choosing an opt-in", error)
            return None

    def _over(self, head: RequestHead, transfer: Transfer, tap: Tap, rid: str) -> None:
        """The turn has ended, one way or another: the backend must not work for nobody."""
        unwanted = not (transfer.complete or tap.ended)
        tap.close(complete=transfer.complete)
        if transfer.failed:
            self.backend.doubt()
        if unwanted and not transfer.failed:
            self.counters.client_disconnects += 1
        if unwanted and transfer.sent and rid:
            self.counters.aborts_sent += 1
            self.backend.abort(rid, _authorization(head))

    async def _read_body(self, request: web.Request) -> bytes:
        """Raises `RequestTooLargeError`, or `RequestError` where the body can't be read."""
        limit = self._body_limit
        _check_framing(request)
        error = RequestTooLargeError(
            f"the request's body is larger than {limit} bytes (limits.body_bytes)", param="limits.body_bytes"
        )
        if (request.content_length or 0) > limit:
            raise error
        parts: list[bytes] = []
        left = limit
        try:
            while part := await request.content.readany():
                parts.append(part)
                left -= len(part)
                if left < 0:
                    raise error
        except web.RequestPayloadError as cause:
            raise RequestError(f"the request's body can't be read: {cause}", param="body") from cause
        return b"".join(parts)

    async def _parse(self, api: Api, body: bytes) -> ChatRequest | None:
        """None where the body is no readable request: the backend will say what it thinks of it."""
        try:
            if len(body) > OFF_LOOP_BYTES:
                return await asyncio.to_thread(parse_request, api, body)
            return parse_request(api, body)
        except UnreadableRequestError:
            self.counters.unreadable_requests += 1
        except Exception as error:  # noqa: BLE001 - the tap's boundary: see tap.py
            self._failures.report("reading a request", error)
        return None

    async def _admit(
        self, request: web.Request, api: Api, read: ChatRequest | None, tenant: str
    ) -> Turn | None:
        """Waits for the joint queue. Where the core fails, the request is served without it."""
        try:
            identity = identify(request.headers, read.fields if read is not None else {}, tenant)
            if read is not None and self.backend.text.format_in_text(api_text=api in TEXT_APIS) is not None:
                read = replace(read, text_is_read=True)
            return await self._runtime.admit(identity, read)
        except Exception as error:  # noqa: BLE001 - the tap's boundary: see tap.py
            self._failures.report("admission", error)
            return None


def _head(request: web.Request) -> RequestHead:
    upgrade = request.headers.get("Upgrade", "").lower()
    options = request.headers.get("Connection", "").lower()
    return RequestHead(
        method=request.method,
        target=_origin_form(request.raw_path),
        fields=tuple(request.raw_headers),
        request_id=request_id(request.headers),
        # Other protocols, as h2c, are offers that may be ignored (RFC 9110 section 7.8).
        upgrade=b"websocket" if upgrade == "websocket" and "upgrade" in options else b"",
    )


def _authorization(head: RequestHead) -> str:
    values = (value for name, value in head.fields if name.lower() == b"authorization")
    return next(values, b"").decode("utf-8", "surrogateescape")


def _origin_form(target: str) -> str:
    """A request target without the scheme and host that the absolute form has (RFC 9112 section 3.2.2)."""
    if target.startswith("/"):
        return target
    return "/" + target.partition("://")[2].partition("/")[2]


def _check_framing(request: web.Request) -> None:
    """Raises `RequestError` for what can't be passed on: another coding than chunked, or no request at all."""
    values = request.headers.getall("Transfer-Encoding", ())
    codings = [part.strip().lower() for value in values for part in value.split(",")]
    if codings not in ([], ["chunked"]):
        raise RequestError(
            f"the transfer coding {', '.join(codings)} is not supported", param="Transfer-Encoding"
        )
    if request.method == "CONNECT":
        raise RequestError("CONNECT is not supported: this is a reverse proxy", param="method")


async def _outgoing(request: web.Request, head: RequestHead) -> Outgoing:
    """The request as it goes on; its body is streamed unless all of it is here already."""
    _check_framing(request)
    if not request.body_exists:
        empty = "Content-Length" in request.headers
        return Outgoing(head=head, body=b"" if empty else None)
    if request.content.is_eof() and request.content_length is not None:
        return Outgoing(head=head, body=await request.content.read())
    return Outgoing(head=head, streamed=True, length=request.content_length)
