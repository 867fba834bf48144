"""Progress for the MCP clients that asked for it: a JSON answer becomes an event stream once there is some.

A call that reports nothing is answered as ever. Events carry what the SDK would have sent as the body, behind
`notifications/progress` with the client's token (MCP 2025-11-25, Progress).
"""

import asyncio
from collections.abc import Callable

import msgspec

from paste_proxy.gateway.asgi import AsgiApp, Message, Receive, Scope, Send
from paste_proxy.tasks import TaskSet
from paste_proxy.tools.ports import Progress

PROGRESS = "paste.progress"
"""Key of the ASGI scope under which a handler finds the request's `ProgressStream`."""

_STREAM = frozenset({b"text/event-stream", b"text/*", b"*/*"})
_HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]


async def serve_with_progress(app: AsgiApp, scope: Scope, receive: Receive, send: Send) -> None:
    stream = scope[PROGRESS] = ProgressStream(scope, send)
    try:
        await app(scope, receive, stream.send)
    finally:
        await stream.close()


class ProgressStream:
    """Stands between the application and the client of one request."""

    def __init__(self, scope: Scope, send: Send) -> None:
        accepted = b",".join(value for name, value in scope["headers"] if name == b"accept")
        self._accepted = any(part.partition(b";")[0].strip() in _STREAM for part in accepted.split(b","))
        self._send = send
        self._lock = asyncio.Lock()
        self._tasks = TaskSet()
        self._news = asyncio.Event()
        self._latest = b""
        self._streams = False
        self._answered = False
        self._body = bytearray()

    def listener(self, token: object) -> Callable[[Progress], None] | None:
        """None where the client has not asked, or takes no stream."""
        if not self._accepted or isinstance(token, bool) or not isinstance(token, str | int):
            return None
        self._tasks.spawn(self._tell(), name="progress of a call")

        def told(progress: Progress) -> None:
            self._latest = _notification(token, progress)
            self._news.set()

        return told

    async def _tell(self) -> None:
        """A client that reads slowly is told the latest only."""
        while True:
            await self._news.wait()
            self._news.clear()
            async with self._lock:
                if self._answered:
                    return
                if not self._streams:
                    self._streams = True
                    await self._send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
                await self._send({"type": "http.response.body", "body": self._latest, "more_body": True})

    async def send(self, message: Message) -> None:
        """For the application. Its status and headers are lost where the stream has begun: it is an answer."""
        async with self._lock:
            self._answered = True
            if not self._streams:
                await self._send(message)
            elif message["type"] == "http.response.body":
                self._body += message.get("body", b"")
                if not message.get("more_body", False):
                    await self._send({"type": "http.response.body", "body": _event(bytes(self._body))})

    async def close(self) -> None:
        await self._tasks.close()


def _notification(token: str | int, progress: Progress) -> bytes:
    params = {"progressToken": token, "progress": progress.done}
    if progress.total is not None:
        params["total"] = progress.total
    if progress.message is not None:
        params["message"] = progress.message
    return _event(msgspec.json.encode({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}))


def _event(body: bytes) -> bytes:
    """JSON as one line: line ends in it are white space."""
    return b"event: message\ndata: " + b" ".join(body.splitlines()) + b"\n\n" if body else b""
