"""The events of one turn, in the order in which they become known (DESIGN sections 4 and 6).

Every reader (SSE chunks or a whole JSON reply) emits the same events for the same reply,
however its bytes were cut, up to the merging of neighbouring text events.
"""

from typing import TypeAlias

import msgspec


class ReasoningText(msgspec.Struct, frozen=True):
    text: str


class ContentText(msgspec.Struct, frozen=True):
    text: str


class CallOpened(msgspec.Struct, frozen=True):
    """A tool call has begun and its name is decoded. `ordinal` counts the calls of the turn from 0."""

    ordinal: int
    call_id: str
    name: str


class ArgumentText(msgspec.Struct, frozen=True):
    """More of the raw JSON text of the arguments of call `ordinal`."""

    ordinal: int
    text: str


class CallSealed(msgspec.Struct, frozen=True):
    """The arguments of call `ordinal` are one complete JSON object; `arguments` is its raw text."""

    ordinal: int
    call_id: str
    name: str
    arguments: str


class Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


class UsageReported(msgspec.Struct, frozen=True):
    """The usage chunk; it may come after `TurnEnded`."""

    usage: Usage


class TurnEnded(msgspec.Struct, frozen=True):
    """The model stopped; `reason` is the backend's finish_reason."""

    reason: str


class Malformed(msgspec.Struct, frozen=True):
    """Something that is not of the dialect: what, and at which byte of the reply."""

    why: str
    at: int


GrammarEvent: TypeAlias = (
    ReasoningText | ContentText | CallOpened | ArgumentText | CallSealed | UsageReported | TurnEnded | Malformed
)
