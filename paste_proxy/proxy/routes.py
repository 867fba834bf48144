"""Where a request goes, and where it goes next as long as its client has seen nothing of a reply.

A turn is sent on only where no backend can be working on it any more: it could not be sent; or the backend
broke off and was told by the request's id to stop, or is gone; or it answered 502 or 503. A backend that is
silent may still be generating, so its turn ends with 504. 429 is for the client: it is told when to come back,
by whoever counts its requests, and another backend with the same key would count them too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from paste_proxy.errors import BackendTimeoutError, PasteError
from paste_proxy.proxy.http1 import BadReplyError
from paste_proxy.proxy.lines import Line, Lines
from paste_proxy.proxy.rewrite import OptIn
from paste_proxy.proxy.tap import Turn
from paste_proxy.proxy.upstream import Outgoing

REFUSALS = frozenset({502, 503})
"""A gateway that found no server, a server that is full, starting or stopping: others may do better."""


@dataclass(eq=False, slots=True)
class Sending:
    """A request as one backend gets it."""

    line: Line
    outgoing: Outgoing
    """As the client meant it."""
    opt_in: OptIn | None = None
    rid: str = ""
    """The id of ours by which it can be aborted."""
    sent: bool = False

    @property
    def first_sent_as(self) -> Outgoing:
        return self.outgoing if self.opt_in is None else self.opt_in.sent_as(self.outgoing)


class Route(Protocol):
    sending: Sending
    """The one under way."""

    async def goes_on(self, error: PasteError | None) -> bool:
        """It failed, or (None) was answered with one of `REFUSALS`. True where `sending` is another
        now."""
        ...


class TurnRoute:
    """A turn goes where the core says."""

    def __init__(
        self,
        turn: Turn | None,
        lines: Lines,
        new_sending: Callable[[Line], Sending],
        abort: Callable[[Sending], None],
    ) -> None:
        """`turn` is None where the core failed: then any backend will do."""
        self._turn = turn
        self._lines = lines
        self._new_sending = new_sending
        self._abort = abort
        self.sending = new_sending(lines.serving if turn is None else lines[turn.admission.backend])

    async def goes_on(self, error: PasteError | None) -> bool:
        if self._turn is None or len(self._lines) == 1:
            return False
        if self.sending.sent and not await self._is_over(error):
            return False
        if not await self._turn.refused():
            return False
        self.sending = self._new_sending(self._lines[self._turn.admission.backend])
        return True

    async def _is_over(self, error: PasteError | None) -> bool:
        """Nobody works on the turn any more, or will when it has heard of it."""
        if isinstance(error, BackendTimeoutError | BadReplyError):
            return False
        if self.sending.rid:
            self._abort(self.sending)
            return True
        return error is None or await self.sending.line.is_gone()


class PlainRoute:
    """What is no turn goes to its session's backend, else to the first that is well."""

    def __init__(self, line: Line, lines: Lines, new_sending: Callable[[Line], Sending]) -> None:
        self._left = [other for other in lines if other is not line and other.serves]
        self._new_sending = new_sending
        self.sending = new_sending(line)

    async def goes_on(self, error: PasteError | None) -> bool:
        """Only what could not be sent: nobody knows what else it does."""
        if error is None or self.sending.sent or self.sending.outgoing.streamed or not self._left:
            return False
        self.sending = self._new_sending(self._left.pop(0))
        return True
