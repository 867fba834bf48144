"""One client's connection without its socket: frames in, frames out, and what they mean told to a `Port`.

What a client may say when is here: `hello` first (and again where its tools are others), each call by a number
of its own. What it says of runs that it does not have any more has crossed something of ours: it means nothing.
"""

from collections import deque
from collections.abc import Iterator
from typing import Protocol

import msgspec

from paste_proxy.client.protocol import (
    UNUSABLE,
    VERSION,
    Answer,
    Began,
    Cancel,
    Claim,
    Ended,
    FromProxy,
    Hello,
    Leave,
    OfferedTool,
    ProtocolError,
    RunAhead,
    Unused,
    Welcome,
    decode_from_client,
    encode,
)
from paste_proxy.errors import PasteError
from paste_proxy.events import TellClient
from paste_proxy.leases.schemas import check_schema

CALLS_LIMIT = 1024
"""Calls of one client that may wait: as `limits.queued_calls` has it for all that come over the gateway."""
UNSENT_LIMIT = 1024
"""Messages that a client may leave unread: some seconds of a busy one's. It is cut off, and comes again."""


class Port(Protocol):
    """What the desk needs of the proxy. Nothing here raises."""

    def came(self, hello: Hello) -> None: ...

    def claim(self, claim: Claim, claimant: "Claimed") -> str:
        """The id of the call; the claimant may hear of it before this returns."""
        ...

    def admits(self, claim: Claim) -> str:
        """Why the proxy has no time for it; "" where it has."""
        ...

    def leave(self, call: str) -> None: ...

    def began(self, run: str) -> None: ...

    def ended(self, ended: Ended) -> None: ...

    def unused(self, run: str) -> None:
        """A call got its result by our books, and not by the client's."""
        ...

    def gone(self) -> None:
        """Told once, of a client that came."""
        ...

    def sent(self) -> None:
        """There is something to send."""
        ...


class Desk:
    def __init__(self, port: Port) -> None:
        self.has_come = False
        self.tools: tuple[OfferedTool, ...] = ()
        self._port = port
        self._out: deque[bytes] = deque()
        self._calls: dict[int, Claimed] = {}
        self._unusable: dict[str, str] = {}
        """Tools that are left out here, since nobody can read their schemas, and why."""
        self._refused: dict[str, str] | None = None
        self._closed = False

    # -- from the client ----------------------------------------------------------------------------------

    def receive(self, frame: bytes | str) -> None:
        """Raises `ProtocolError`: the connection is then to be closed."""
        message = decode_from_client(frame)
        if isinstance(message, Hello):
            self._hello(message)
        elif not self.has_come:
            raise ProtocolError("the first message must be `hello`")
        elif isinstance(message, Claim):
            self._claim(message)
        elif isinstance(message, Leave):
            if (claimed := self._calls.pop(message.call, None)) is not None:
                self._port.leave(claimed.call)
        elif isinstance(message, Began):
            self._port.began(message.run)
        elif isinstance(message, Unused):
            self._port.unused(message.run)
        else:
            self._port.ended(message)

    def _hello(self, hello: Hello) -> None:
        if hello.version != VERSION:
            raise ProtocolError(f"version {hello.version} is not spoken here, but {VERSION}: use one release")
        names = [tool.name for tool in hello.tools]
        if len(set(names)) < len(names):
            raise ProtocolError("two tools have one name")
        reasons = {tool.name: check_schema(tool.parameters) for tool in hello.tools}
        self._unusable = {name: f"{UNUSABLE}: {reason}" for name, reason in reasons.items() if reason}
        self.tools = tuple(tool for tool in hello.tools if tool.name not in self._unusable)
        self.has_come = True
        self._port.came(msgspec.structs.replace(hello, tools=self.tools))

    def _claim(self, claim: Claim) -> None:
        if claim.call in self._calls:
            raise ProtocolError(f"call {claim.call} is waiting already")
        if len(self._calls) >= CALLS_LIMIT:
            self._send(Answer(claim.call, "refused", error=f"{CALLS_LIMIT} calls wait already"))
            return
        if reason := self._port.admits(claim):
            self._send(Answer(claim.call, "refused", error=reason))
            return
        claimed = self._calls[claim.call] = Claimed(self, claim.call)
        claimed.call = self._port.claim(claim, claimed)

    def close(self) -> None:
        """The connection is lost: its calls are left, and it is gone."""
        if self._closed:
            return
        self._closed = True
        if self.has_come:
            self._port.gone()
        calls, self._calls = self._calls, {}
        for claimed in calls.values():
            self._port.leave(claimed.call)

    # -- to the client ------------------------------------------------------------------------------------

    def welcome(self, refused: dict[str, str]) -> None:
        """Told where it is news, with what is left out here."""
        refused = refused | self._unusable
        if refused != self._refused:
            self._refused = refused
            self._send(Welcome(VERSION, refused))

    def lease(self, run: RunAhead) -> None:
        self._send(run)

    def cancel(self, run: str) -> None:
        self._send(Cancel(run))

    def answer(self, answer: Answer, *, is_last: bool) -> None:
        if is_last:
            self._calls.pop(answer.call, None)
        self._send(answer)

    def done(self, number: int) -> None:
        self._calls.pop(number, None)

    def _send(self, message: FromProxy) -> None:
        if not self._closed:
            self._out.append(encode(message))
            self._port.sent()

    @property
    def is_slow(self) -> bool:
        return len(self._out) > UNSENT_LIMIT

    def unsent(self) -> Iterator[bytes]:
        """Takes what is to be sent, one by one; what is added meanwhile comes too."""
        while self._out:
            yield self._out.popleft()


class Claimed:
    """A call of a client that is under way (port: `claims.Claimant`)."""

    def __init__(self, desk: Desk, number: int) -> None:
        self.call = ""
        self._desk = desk
        self._number = number

    def told(self, told: TellClient) -> None:
        answer = Answer(self._number, told.outcome, told.run, told.session)
        self._desk.answer(answer, is_last=told.outcome == "reused")

    def refused(self, error: PasteError) -> None:
        self._desk.answer(Answer(self._number, "refused", error=error.message), is_last=True)

    def done(self) -> None:
        self._desk.done(self._number)
