"""A reply that begins while its turn is held: comments of an event stream, which every reader of one skips.

Between client and proxy there may be somebody who takes a silent connection for a dead one. The price is the
head, which is ours: the backend's status and fields come too late. So it is done on request only
(`schedule.keepalive_s`), and what can't go on in an event stream is told in its last event.
"""

import asyncio
from types import TracebackType

from aiohttp import web

from paste_proxy.errors import PasteError
from paste_proxy.grammar.apis import Api
from paste_proxy.proxy.client_leg import ClientLeg
from paste_proxy.proxy.http1 import ReplyHead
from paste_proxy.proxy.stream_errors import BackendRefusedError, error_event
from paste_proxy.proxy.tap import EVENT_STREAM, is_identity, media_type
from paste_proxy.proxy.upstream import Exchange

COMMENT = b": held\n\n"
ERROR_LIMIT = 64 * 1024
"""Bytes of a backend's error that are told: it is a sentence, or a page of somebody on the way."""
_HEAD = ReplyHead(
    status=200,
    reason=b"OK",
    fields=((b"Content-Type", b"text/event-stream; charset=utf-8"), (b"Cache-Control", b"no-cache")),
    chunked=True,
    length=None,
    keep_alive=True,
)


class EarlyReply:
    """`with` it a turn is waited for. It begins after `every_s`, unless that is 0."""

    def __init__(self, request: web.Request, api: Api, request_id: str, every_s: float) -> None:
        self._request = request
        self._api = api
        self._request_id = request_id
        self._every_s = every_s
        self._leg: ClientLeg | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> "EarlyReply":
        if self._every_s:
            self._set_timer()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def begun(self) -> bool:
        return self._leg is not None

    def admitted(self) -> None:
        """The turn is sent: what has not begun begins no more, what has goes on until the backend answers."""
        if not self.begun:
            self._stop()

    def take_over(self) -> ClientLeg:
        """The leg on which the backend's stream follows."""
        self._stop()
        if self._leg is None:
            raise RuntimeError("the reply has not begun")
        return self._leg

    def fail(self, error: PasteError, body: bytes = b"") -> ClientLeg:
        """Ends the stream with an error; `body` is what the backend said of it."""
        leg = self.take_over()
        leg.take(error_event(self._api, error, body))
        leg.end()
        return leg

    async def refuse(self, exchange: Exchange, head: ReplyHead) -> ClientLeg:
        """The backend's reply is none that could follow. Raises as `Exchange.relay`."""
        body = _Body()
        await exchange.relay(body)
        media = media_type(head).decode("latin-1") or "nothing"
        message = f"the backend answered {head.status} with {media} to a stream that had begun"
        return self.fail(BackendRefusedError(message, head.status), bytes(body.data))

    def _set_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._every_s, self._say)

    def _say(self) -> None:
        if self._leg is None:
            self._leg = ClientLeg(self._request, _HEAD, self._request_id)
            self._leg.begin()
        self._leg.take(COMMENT)
        self._set_timer()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def may_follow(head: ReplyHead) -> bool:
    """Whether the backend's reply is an event stream that can be told as it is."""
    return head.status == 200 and media_type(head) == EVENT_STREAM and is_identity(head)


class _Body:
    """Keeps the beginning of a body."""

    def __init__(self) -> None:
        self.data = bytearray()

    def take(self, data: bytes) -> bool:
        self.data += data[: ERROR_LIMIT - len(self.data)]
        return True

    async def drain(self) -> None:
        return None
