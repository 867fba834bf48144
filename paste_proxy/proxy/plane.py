"""The LLM plane's routes: one for chat turns, which are tapped, and one for everything else."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from typing import Protocol

from aiohttp import web

from paste_proxy.backends import BackendControl
from paste_proxy.config import Config
from paste_proxy.errors import PasteError, RequestError, RequestTooLargeError
from paste_proxy.events import Identity
from paste_proxy.grammar.errors import UnreadableRequestError
from paste_proxy.grammar.requests import ChatRequest, parse_chat_request
from paste_proxy.proxy.counters import RelayCounters
from paste_proxy.proxy.headers import RequestHead, request_id
from paste_proxy.proxy.opt_ins import OptIns
from paste_proxy.proxy.pool import NoUpstream, PooledUpstream
from paste_proxy.proxy.rewrite import OptIn
from paste_proxy.proxy.rid import splice_rid
from paste_proxy.proxy.tap import OFF_LOOP_BYTES, Failures, Tap, Turn
from paste_proxy.proxy.transfer import Transfer, refusal
from paste_proxy.proxy.upstream import Outgoing, Upstream
from paste_proxy.sessions.identity import identify
from paste_proxy.tasks import TaskSet

log = logging.getLogger(__name__)

CHAT_PATH = "/v1/chat/completions"


class Admission(Protocol):
    """What the plane needs of the runtime: `runtime.Runtime`."""

    async def admit(self, identity: Identity, request: ChatRequest | None) -> Turn: ...


class LlmPlane:
    """Relays every request to the backend.

    Raises `ConfigError` where the backend's URL is none. Own paths are added to the app before
    `add_routes`; the app then starts and stops what the plane needs.
    """

    def __init__(self, runtime: Admission, config: Config, counters: RelayCounters) -> None:
        self._runtime = runtime
        self._body_limit = config.limits.body_bytes
        self.upstream: Upstream = PooledUpstream(config.backend) if config.backend.url else NoUpstream()
        self.backend = BackendControl(config.backend)
        self._tasks = TaskSet()
        self._failures = Failures(counters)
        self._opt_ins = OptIns(self.backend, self._failures, self._body_limit)
        self.counters = counters

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post(CHAT_PATH, self.chat)
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
            outgoing = await _outgoing(request, head)
        except PasteError as error:
            return refusal(error, head.request_id)
        transfer = Transfer(request, outgoing, None, self.counters, self._tasks)
        try:
            return await transfer.run(self.upstream)
        finally:
            if not (transfer.complete or transfer.failed or head.upgrade):
                self.counters.client_disconnects += 1

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """A chat turn: read, admitted, relayed and tapped."""
        self.counters.requests += 1
        self.counters.chat_requests += 1
        head = _head(request)
        try:
            body = await self._read_body(request)
        except PasteError as error:
            return refusal(error, head.request_id)
        chat = await self._parse(request, body)
        tap = Tap(await self._admit(request, chat), self.counters, self._failures, self._body_limit)
        rid = ""
        if chat is not None and chat.choices == 1 and not chat.has_rid and self.backend.current.splices_rid:
            # One random id of a fixed length per attempt: the scheduler matches rids by prefix.
            rid = secrets.token_hex(16)
            body = splice_rid(body, rid)
        opt_in = self._opt_in(body, chat, tap)
        outgoing = Outgoing(head=head, body=body)
        transfer = Transfer(request, outgoing, tap, self.counters, self._tasks, opt_in)
        try:
            return await transfer.run(self.upstream)
        finally:
            self._over(request, transfer, tap, rid)

    def _opt_in(self, body: bytes, chat: ChatRequest | None, tap: Tap) -> OptIn | None:
        try:
            return self._opt_ins.of(body, chat, tap) if chat is not None else None
        except Exception as error:  # noqa: BLE001 - the tap's boundary: see tap.py
            self._failures.report("choosing an opt-in", error)
            return None

    def _over(self, request: web.Request, transfer: Transfer, tap: Tap, rid: str) -> None:
        """The turn has ended, one way or another: the backend must not work for nobody."""
        unwanted = not (transfer.complete or tap.ended)
        tap.close(complete=transfer.complete)
        if transfer.failed:
            self.backend.doubt()
        if unwanted and not transfer.failed:
            self.counters.client_disconnects += 1
        if unwanted and transfer.sent and rid:
            self.counters.aborts_sent += 1
            self.backend.abort(rid, request.headers.get("Authorization"))

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

    async def _parse(self, request: web.Request, body: bytes) -> ChatRequest | None:
        """None where the body is no readable chat request: the backend will say what it thinks of it."""
        try:
            if len(body) > OFF_LOOP_BYTES:
                return await asyncio.to_thread(parse_chat_request, body)
            return parse_chat_request(body)
        except UnreadableRequestError:
            self.counters.unreadable_requests += 1
        except Exception as error:  # noqa: BLE001 - the tap's boundary: see tap.py
            self._failures.report("reading a request", error)
        return None

    async def _admit(self, request: web.Request, chat: ChatRequest | None) -> Turn | None:
        """Waits for the joint queue. Where the core fails, the request is served without it."""
        try:
            identity = identify(request.headers, chat.fields if chat is not None else {})
            return await self._runtime.admit(identity, chat)
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
