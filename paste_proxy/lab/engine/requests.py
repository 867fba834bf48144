"""What goes into an engine and what it tells of; and a request as the engine knows it."""

from itertools import accumulate
from typing import Literal

import msgspec

from paste_proxy.lab.engine.cache import Key, Message


class EngineRequest(msgspec.Struct, frozen=True):
    """One LLM request, and what the model will say to it."""

    rid: str
    prompt: tuple[Message, ...]
    """At least one message."""
    marks: tuple[int, ...]
    """Output tokens after which something is told of, rising; the last one ends the reply. At least 1."""
    reply: Key
    """Stands for the prompt and the reply to it: the prefix that the next request of the session has."""
    priority: int = 0
    kept: int = 0
    """Tokens of the reply that stay in that prefix, where these are others than what was written; 0: all."""
    session: str = ""
    """Whose it is, as the engine is told."""


class Reached(msgspec.Struct, frozen=True):
    """A request has written the tokens of `marks[mark]`; with the last one it is over."""

    rid: str
    mark: int
    at: float
    last: bool = False


class Began(msgspec.Struct, frozen=True):
    """A request has left the engine's queue for the first time, `cached` tokens of its prompt being there."""

    rid: str
    at: float
    cached: int


State = Literal["coming", "waiting", "prefill", "decode", "over"]


class Tracked(msgspec.Struct, eq=False):
    """A request in an engine. Output tokens are `written`, and while it decodes what the engine's counter has
    gained since `base`."""

    request: EngineRequest
    arrived: int
    """Its place in the order of arrival; a later one once it had to give its place up."""
    prefilled_at_arrival: int
    marks: tuple[int, ...]
    """`request.marks`, each moved to the end of the streamed chunk that it is in."""
    ends: tuple[int, ...]
    """Prompt tokens up to the end of each message."""
    state: State = "coming"
    began: bool = False
    left: int = 0
    """Tokens that are still to be prefilled."""
    context: int = 0
    """Tokens before what it writes, when it began to."""
    mark: int = 0
    """The next one."""
    written: float = 0.0
    base: float = 0.0

    @property
    def rid(self) -> str:
        return self.request.rid

    @property
    def priority(self) -> int:
        return self.request.priority

    @property
    def tokens(self) -> int:
        """What has to be in memory before it decodes: its prompt, and the output of before it gave up."""
        return self.ends[-1] + round(self.written)

    @property
    def lead(self) -> float:
        """What to add to the counter for its output tokens."""
        return self.written - self.base

    @property
    def reply(self) -> Message:
        return Message(self.request.reply, self.request.kept or self.request.marks[-1])


def tracked(request: EngineRequest, arrived: int, prefilled: int, interval: int) -> Tracked:
    """`interval`: tokens per streamed chunk. The first token is sent at once, and so is the last."""
    last = request.marks[-1]
    marks = request.marks
    if interval > 1:
        marks = tuple(min(last, 1 + -(-(mark - 1) // interval) * interval) for mark in marks)
    ends = tuple(accumulate(message.tokens for message in request.prompt))
    return Tracked(request, arrived, prefilled, marks, ends)
