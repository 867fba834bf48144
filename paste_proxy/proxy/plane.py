"""The LLM plane's routes: one for each API whose turns are tapped, and one for everything else."""

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial
from typing import Protocol

import msgspec
from aiohttp import web
from msgspec.structs import replace

from paste_proxy.access.access import Access, Tenant
from paste_proxy.config import Config
from paste_proxy.errors import PasteError, RequestError, RequestTooLargeError
from paste_proxy.events import AdmitTurn, Attempt, Event, Identity
from paste_proxy.grammar.apis import Api
from paste_proxy.grammar.errors import UnreadableRequestError
from paste_proxy.grammar.requests import NO_HINTS, ChatRequest, RequestTool, parse_request
from paste_proxy.proxy.additions import Added, Additions
from paste_proxy.proxy.attempts import attempt_of
from paste_proxy.proxy.counters import RelayCounters
from paste_proxy.proxy.early import EarlyReply
from paste_proxy.proxy.headers import RequestHead, request_id
from paste_proxy.proxy.lines import Line, Lines
from paste_proxy.proxy.opt_ins import OptIns
from paste_proxy.proxy.rewrite import OptIn
from paste_proxy.proxy.routes import PlainRoute, Sending, TurnRoute
from paste_proxy.proxy.session_tags import SessionTags
from paste_proxy.proxy.tap import OFF_LOOP_BYTES, Failures, Tap, Turn
from paste_proxy.proxy.transfer import Transfer, refusal
from paste_proxy.proxy.upstream import Outgoing, uncompressed
from paste_proxy.proxy.warmer import Kept, Warmer
from paste_proxy.sessions.hints import priority_of
from paste_proxy.sessions.identity import identify
from paste_proxy.tasks import TaskSet

log = logging.getLogger(__name__)

TEXT_APIS = frozenset({Api.COMPLETIONS, Api.GENERATE})
"""Their replies have no place for calls but the text."""


class Admission(Protocol):
    """What the plane needs of the runtime: `runtime.Runtime`."""

    async def admit(
        self, identity: Identity, request: ChatRequest | None, attempt: Attempt, size: int
    ) -> Turn: ...

    def home(self, identity: Identity) -> str | None: ...

    def tell(self, event: Event) -> object: ...


class Asked(msgspec.Struct, frozen=True):
    """A turn's request as it was read."""

    api: Api
    tenant: Tenant
    head: RequestHead
    body: bytes
    read: ChatRequest | None

    @property
    def tools(self) -> tuple[RequestTool, ...]:
        return self.read.tools if self.read is not None else ()


class LlmPlane:
    """Relays every request to a backend.

    Raises `ConfigError` where a backend's URL is none. Own paths are added to the app before
    `add_routes`; the app then starts and stops what the plane needs.
    """

    def __init__(self, runtime: Admission, config: Config, counters: RelayCounters, access: Access) -> None:
        self._runtime = runtime
        self._access = access
        self._body_limit = config.limits.body_bytes
        self._tunnels: dict[int, tuple[web.Request, Tenant]] = {}
        """Requests to go on in another protocol, by their `id`: they may last for ever."""
        self.configure(config)
        self.lines = Lines(config, access, runtime.tell)
        self._tasks = TaskSet()
        self._tags = SessionTags()
        self.warmer = Warmer(self.lines, self._tags, runtime.tell, on=config.schedule.warm_up == "on")
        self._failures = Failures(counters)
        self.counters = counters

    def configure(self, config: Config) -> None:
        """What of it may change while it runs; keys among it, and what they opened."""
        self._keepalive_s = config.schedule.keepalive_s
        for request, tenant in self._tunnels.values():
            if self._access.still(tenant, request.headers) is None and request.transport is not None:
                request.transport.abort()

    def add_routes(self, app: web.Application) -> None:
        for api in Api:
            app.router.add_post(api.value, partial(self.turn, api))
        app.router.add_route("*", r"/{path:[\s\S]*}", self.relay)
        app.cleanup_ctx.append(self._lifetime)

    async def _lifetime(self, _app: web.Application) -> AsyncIterator[None]:
        await self.lines.start()
        yield
        await self.warmer.close()
        await self._tasks.close()
        await self.lines.close()

    async def relay(self, request: web.Request) -> web.StreamResponse:
        """Any request that is none of ours: as it is, in both directions."""
        self.counters.requests += 1
        head = _head(request)
        try:
            tenant = self._enter(request, head)
            outgoing = await _outgoing(request, head)
        except PasteError as error:
            return refusal(error, head)

        def send(line: Line) -> Sending:
            return Sending(line, replace(outgoing, head=line.head_for(head, tenant)))

        route = PlainRoute(self._line_of(request, tenant.name), self.lines, send)
        transfer = Transfer(request, route, None, self.counters, self._tasks)
        if head.upgrade:
            self._tunnels[id(request)] = (request, tenant)
        try:
            return await transfer.run()
        finally:
            self._tunnels.pop(id(request), None)
            if not (transfer.complete or transfer.failed or head.upgrade):
                self.counters.client_disconnects += 1

    async def turn(self, api: Api, request: web.Request) -> web.StreamResponse:
        """A turn: read, admitted, relayed and tapped."""
        self.counters.requests += 1
        self.counters.turn(api.name.lower())
        head = _head(request)
        try:
            tenant = self._enter(request, head)
            with self._access.turn(tenant):
                return await self._turn(api, request, head, tenant)
        except PasteError as error:
            return refusal(error, head)

    async def _turn(
        self, api: Api, request: web.Request, head: RequestHead, tenant: Tenant
    ) -> web.StreamResponse:
        """Raises `PasteError` before anything is sent."""
        body = await self._read_body(request)
        read = await self._parse(api, body)
        streams = read is not None and read.stream
        with EarlyReply(request, api, head.request_id, self._keepalive_s if streams else 0.0) as early:
            try:
                turn = await self._admit(request, api, read, tenant, len(body))
                early.admitted()
                asked = Asked(api, tenant, head, body, read)
                with Tap(turn, self.counters, self._failures, self._body_limit, api, asked.tools) as tap:
                    return await self._relay_turn(request, asked, turn, tap, early if early.begun else None)
            except PasteError as error:
                if early.begun:
                    return early.fail(error)
                raise

    async def _relay_turn(
        self, request: web.Request, asked: Asked, turn: Turn | None, tap: Tap, early: EarlyReply | None
    ) -> web.StreamResponse:
        def send(line: Line) -> Sending:
            sending = self._sending(line, asked, turn, tap)
            if early is not None:
                sending.outgoing = uncompressed(sending.outgoing)
            return sending

        route = TurnRoute(turn, self.lines, send, partial(self._abort, asked.api))
        held_s = turn.admission.held_s if turn is not None else None
        transfer = Transfer(request, route, tap, self.counters, self._tasks, early, held_s)
        try:
            return await transfer.run()
        finally:
            if turn is not None and asked.read is not None and asked.api is Api.CHAT:
                admission = turn.admission
                kept = Kept(admission.turn, asked.tenant, asked.head, asked.body, asked.read)
                self.warmer.keep(admission.session, kept)
            self._over(asked.api, route.sending, transfer, tap)

    def _sending(self, line: Line, asked: Asked, turn: Turn | None, tap: Tap) -> Sending:
        """The turn's request as one backend gets it."""
        api, read = asked.api, asked.read
        tap.aim(partial(line.control.text.observer, asked.tools, api_text=api in TEXT_APIS))
        plain = Added(line.head_for(asked.head, asked.tenant), asked.body)
        added = self._added(line, api, read, turn, plain)
        opt_in = self._opt_in(line, added.body, read, tap) if api is Api.CHAT else None
        return Sending(line, Outgoing(head=added.head, body=added.body), opt_in, added.rid)

    def _line_of(self, request: web.Request, tenant: str) -> Line:
        """That of the session that the request names, else of any backend that is well."""
        home = self._runtime.home(identify(request.headers, {}, tenant)) if len(self.lines) > 1 else None
        line = self.lines.serving if home is None else self.lines[home]
        return line if line.health.up else self.lines.serving

    def _enter(self, request: web.Request, head: RequestHead) -> Tenant:
        """Whose request it is. Raises `PasteError` where it does not go on."""
        tenant = self._access.tenant_of(request.headers)
        self._access.request(tenant, head.target)
        return tenant

    def session_over(self, session: str) -> None:
        """The core expects no turn of it any more."""
        self.let_go(session)
        self.warmer.over(session)

    def let_go(self, session: str) -> None:
        """Engines need not keep it: should it come again, its turns name it again."""
        self.counters.closes_sent += self._tags.over(session)

    def _added(self, line: Line, api: Api, read: ChatRequest | None, turn: Turn | None, plain: Added) -> Added:
        """The request with what its engine is to know of it. Raises `RequestError`: see `Additions`."""
        admission = turn.admission if turn is not None else AdmitTurn("")
        added = Additions(line.control, api, read, admission).to(
            plain.head, plain.body, self._tags.name(admission.session)
        )
        if added.names_session:
            self._tags.used(admission.session, line.control)
        return added

    def _opt_in(self, line: Line, body: bytes, read: ChatRequest | None, tap: Tap) -> OptIn | None:
        opt_ins = OptIns(line.control, self._failures, self._body_limit)
        try:
            return opt_ins.of(body, read, tap) if read is not None else None
        except Exception as error:  # noqa: BLE001 - the tap's boundary: see tap.py
            self._failures.report("choosing an opt-in", error)
            return None

    def _over(self, api: Api, sending: Sending, transfer: Transfer, tap: Tap) -> None:
        """The turn has ended, one way or another: the backend must not work for nobody."""
        unwanted = not (transfer.complete or tap.ended)
        tap.close(complete=transfer.complete)
        if unwanted and not transfer.failed:
            self.counters.client_disconnects += 1
        if unwanted and sending.sent and sending.rid:
            self._abort(api, sending)

    def _abort(self, api: Api, sending: Sending) -> None:
        self.counters.aborts_sent += 1
        sending.line.control.abort(api, sending.rid, sending.outgoing.head.authorization)

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

    def _identity(self, request: web.Request, read: ChatRequest | None, tenant: Tenant) -> Identity:
        identity = identify(request.headers, read.fields if read is not None else {}, tenant.name)
        hints = read.hints if read is not None else NO_HINTS
        priority = priority_of(
            request.headers,
            hints,
            most=tenant.config.max_priority,
            lower_first=all(line.control.lower_first for line in self.lines),
        )
        return replace(identity, priority=priority, output_hint=hints.output_tokens)

    async def _admit(
        self, request: web.Request, api: Api, read: ChatRequest | None, tenant: Tenant, size: int
    ) -> Turn | None:
        """Waits for the joint queue. Where the core fails, the request is served without it.

        Raises `PasteError` where the turn is not to be sent.
        """
        try:
            identity = self._identity(request, read, tenant)
            if read is not None and self._reads_text(api):
                read = replace(read, text_is_read=True)
            return await self._runtime.admit(identity, read, attempt_of(request.headers), size)
        except asyncio.CancelledError:
            self.counters.client_disconnects += 1
            raise
        except PasteError as error:
            self.counters.backend_error(error.code)
            raise
        except Exception as error:  # noqa: BLE001 - the tap's boundary: see tap.py
            self._failures.report("admission", error)
            return None

    def _reads_text(self, api: Api) -> bool:
        """Some backend's replies may hold calls in their text."""
        in_text = api in TEXT_APIS
        return any(line.control.text.format_in_text(api_text=in_text) is not None for line in self.lines)


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
