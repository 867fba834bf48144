"""The streaming leg to the backend, behind a small interface: what the plane knows of it."""

from typing import Protocol

import msgspec
from msgspec.structs import replace

from paste_proxy.proxy.headers import RequestHead
from paste_proxy.proxy.http1 import ReplyHead


class Outgoing(msgspec.Struct, frozen=True):
    """A request on its way to the backend."""

    head: RequestHead
    body: bytes | None = None
    """The whole body; None where there is none, or where it is streamed."""
    streamed: bool = False
    """The body follows by `take` and `end` of the exchange."""
    length: int | None = None
    """Of a streamed body; None sends it chunked."""


def uncompressed(request: Outgoing) -> Outgoing:
    """The same request, for a reply that can be read."""
    fields = tuple(field for field in request.head.fields if field[0].lower() != b"accept-encoding")
    return replace(request, head=replace(request.head, fields=fields))


class Sink(Protocol):
    """Where the bytes of a body go."""

    def take(self, data: bytes) -> bool:
        """Takes `data`, now; false where it wants no more until `drain` has returned."""
        ...

    async def drain(self) -> None: ...


class Exchange(Sink, Protocol):
    """One request and its reply; the sink of a streamed request body, or of a tunnel's bytes.

    A loss of the backend is raised as a `PasteError` by `reply` and `relay`, and by them alone.
    """

    def end(self) -> None:
        """The streamed body is complete."""
        ...

    async def reply(self) -> ReplyHead:
        """The reply's head, once it is there."""
        ...

    async def relay(self, sink: Sink) -> None:
        """Hands the body to `sink` as it arrives, until its end. Raises where the reply is cut short."""
        ...

    def close(self) -> None:
        """Ends the exchange. A reply that is not over is dropped, and its connection closed, at once."""
        ...


class Upstream(Protocol):
    """Carries requests to the backend."""

    live: int
    """Exchanges that have begun, and are not closed."""
    address: tuple[str, int, str]
    """Host, port and path: who has the same is the same server, however its URL is written."""

    async def send(self, request: Outgoing) -> Exchange:
        """Connects and sends the head and the body, or as much of it as there is. Raises `PasteError`."""
        ...

    async def open(self) -> "Link":
        """A new connection, for nothing but to see that somebody listens. Raises `PasteError`."""
        ...

    async def close(self) -> None: ...


class Link(Protocol):
    def close(self) -> None: ...
