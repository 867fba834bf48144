"""One request to the backend and its reply to the client, with everything that can go wrong between."""

import logging
from collections.abc import Callable
from typing import Any, cast

import msgspec
from aiohttp import StreamReader, web
from msgspec.structs import replace

from paste_proxy.errors import PasteError, RequestError, anthropic_error, openai_error
from paste_proxy.grammar.apis import Api
from paste_proxy.proxy.client_leg import ClientLeg
from paste_proxy.proxy.counters import RelayCounters
from paste_proxy.proxy.early import EarlyReply, may_follow
from paste_proxy.proxy.headers import REQUEST_ID, RequestHead
from paste_proxy.proxy.http1 import SWITCHING_PROTOCOLS, ReplyHead
from paste_proxy.proxy.rewrite import OptIn
from paste_proxy.proxy.routes import REFUSALS, Route, Sending
from paste_proxy.proxy.tap import Tap, TappedSink
from paste_proxy.proxy.tunnel import TunnelInlet
from paste_proxy.proxy.upstream import Exchange, Sink
from paste_proxy.tasks import TaskSet

log = logging.getLogger(__name__)

HELD_MS = "x-paste-held-ms"
"""Only where the turn was held: the reply to any other is the backend's own."""


def refusal(error: PasteError, head: RequestHead, held_s: float | None = None) -> web.Response:
    """Our own answer where there is none of the backend's, in the shape of the API that was asked.

    `held_s`: how long the turn was held before it was sent."""
    held = {} if held_s is None else {HELD_MS: _milliseconds(held_s)}
    return web.Response(
        status=error.status,
        body=msgspec.json.encode(in_shape_of(head.target, error)),
        content_type="application/json",
        headers={REQUEST_ID: head.request_id, "Server": "paste-proxy", **held, **error.headers},
    )


def in_shape_of(target: str, error: PasteError) -> dict[str, Any]:
    """An error as the API at `target` has them."""
    return (anthropic_error if target.startswith(Api.MESSAGES.value) else openai_error)(error)


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


class Transfer:
    """Carries one request. `run` returns the response; `complete` tells afterwards how it went."""

    def __init__(
        self,
        request: web.Request,
        route: Route,
        tap: Tap | None,
        counters: RelayCounters,
        tasks: TaskSet,
        early: EarlyReply | None = None,
        held_s: float | None = None,
    ) -> None:
        """`early`: a reply that has begun already; `held_s`: how long the turn was held."""
        self._request = request
        self._route = route
        self._tap = tap
        self._early = early
        self._held_s = held_s
        self._counters = counters
        self._tasks = tasks
        self._head = route.sending.outgoing.head
        self._stop_upload: Callable[[], Any] | None = None
        self._leg: ClientLeg | None = None
        self._upload_error: PasteError | None = None
        self.failed = False
        """The backend, or the way to it, failed."""
        self.complete = False

    async def run(self) -> web.StreamResponse:
        try:
            return await self._run()
        except PasteError as error:
            return self._fail(self._upload_error or error)
        except ConnectionError:
            return self._gone()

    async def _run(self) -> web.StreamResponse:
        try:
            exchange, head = await self._replied()
            try:
                return await self._relay(exchange, head, self._route.sending.opt_in)
            except PasteError as error:
                self._route.sending.line.failed(error)
                raise
            finally:
                exchange.close()
        finally:
            if self._stop_upload is not None:
                self._stop_upload()

    async def _replied(self) -> tuple[Exchange, ReplyHead]:
        """A reply that is the client's: of the backend, or of the one after it."""
        while True:
            sending = self._route.sending
            try:
                exchange, head = await self._ask(sending)
            except PasteError as error:
                if self._upload_error is not None:
                    raise
                sending.line.failed(error)
                if not await self._route.goes_on(error):
                    raise
                continue
            sending.line.answered(head.status)
            if head.status not in REFUSALS:
                return exchange, head
            goes_on = False
            try:
                goes_on = await self._route.goes_on(None)
            except BaseException:
                exchange.close()
                raise
            if not goes_on:
                return exchange, head
            exchange.close()

    async def _ask(self, sending: Sending) -> tuple[Exchange, ReplyHead]:
        upstream, outgoing = sending.line.upstream, sending.first_sent_as
        exchange = await upstream.send(outgoing)
        sending.sent = True
        try:
            if outgoing.streamed:
                self._stop_upload = self._upload(exchange)
            if self._tap is not None:
                self._tap.sent()
            head = await exchange.reply()
            if sending.opt_in is not None and sending.opt_in.refused(head):
                exchange.close()
                exchange = await upstream.send(sending.outgoing)
                head = await exchange.reply()
                sending.opt_in.sent_again(head)
                sending.opt_in = None
        except BaseException:
            exchange.close()
            raise
        return exchange, head

    async def _relay(self, exchange: Exchange, head: ReplyHead, opt_in: OptIn | None) -> web.StreamResponse:
        if self._early is not None and not may_follow(head):
            if self._tap is not None:
                self._tap.opened(head)
            self._leg = await self._early.refuse(exchange, head)
            self.complete = True
            return self._leg
        if opt_in is None:
            sink = self._begin(head)
            if head.status == SWITCHING_PROTOCOLS:
                TunnelInlet(self._request, exchange, self._tasks).open()
            await exchange.relay(sink)
        else:
            await opt_in.relay(head, exchange, self._begin)
        leg = cast(ClientLeg, self._leg)
        leg.end()
        self.complete = True
        if self._tap is not None:
            await self._tap.finish()
        return leg

    def _begin(self, head: ReplyHead) -> Sink:
        leg = self._leg = self._new_leg(head) if self._early is None else self._early.take_over()
        if self._tap is None:
            return leg
        self._tap.opened(head)
        return TappedSink(leg, self._tap)

    def _new_leg(self, head: ReplyHead) -> ClientLeg:
        if self._held_s is not None:
            held_ms = (HELD_MS.encode(), _milliseconds(self._held_s).encode())
            head = replace(head, fields=(*head.fields, held_ms))
        leg = ClientLeg(self._request, head, self._head.request_id)
        leg.begin()
        return leg

    def _fail(self, error: PasteError) -> web.StreamResponse:
        """The backend failed: says so, or where the reply has begun, ends it visibly unfinished."""
        self.failed = True
        self._counters.backend_error(error.code)
        if self._leg is None and self._early is not None:
            return self._early.fail(error)
        if self._leg is None:
            return refusal(error, self._head, self._held_s)
        log.warning("request %s: %s", self._head.request_id, error.message)
        self._leg.cut()
        return self._leg

    def _gone(self) -> web.StreamResponse:
        """The client left while its reply was being written; aiohttp is about to cancel us."""
        if self._leg is None and self._early is not None:
            self._leg = self._early.take_over()
        if self._leg is None:
            return refusal(RequestError("the client left"), self._head)
        self._leg.cut()
        return self._leg

    def _upload(self, exchange: Exchange) -> Callable[[], Any]:
        """Streams the request's body beside the reply, which may begin before the body ends.

        While a backend takes no more of it, the client's socket is not read, so that the client's
        leaving is noticed only when the backend goes on, or when it has been silent for too long.
        """
        work = self._pump(self._request.content, exchange)
        return self._tasks.spawn(work, name=f"upload of {self._head.request_id}").cancel

    async def _pump(self, source: StreamReader, exchange: Exchange) -> None:
        try:
            while data := await source.readany():
                if not exchange.take(data):
                    await exchange.drain()
            exchange.end()
        except (web.RequestPayloadError, OSError) as error:
            self._upload_error = RequestError(f"the request's body can't be read: {error}", param="body")
            exchange.close()
