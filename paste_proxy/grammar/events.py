"""The events of one turn, in the order in which they become known (DESIGN sections 4 and 6).

Every reader (SSE chunks or a whole JSON reply) emits the same events for the same reply,
however its bytes were cut, up to the merging of neighbouring text events.
"""

from typing import Any, TypeAlias

import msgspec

Path: TypeAlias = tuple[str | int, ...]
"""Where a value stands in the arguments: keys of objects and places in lists, from the outside."""


class ReasoningText(msgspec.Struct, frozen=True):
    text: str


class ContentText(msgspec.Struct, frozen=True):
    text: str


class CallOpened(msgspec.Struct, frozen=True):
    """A tool call has begun and its name is decoded. `ordinal` counts the calls of the turn from 0."""

    ordinal: int
    call_id: str
    """Empty where the engine gives none, and for calls that were read from raw text."""
    name: str
    in_text: bool = False
    """Read from text that the client sees as text: its history will hold that text, and no tool call."""


class ArgumentText(msgspec.Struct, frozen=True):
    """More of the raw JSON text of the arguments of call `ordinal`."""

    ordinal: int
    text: str


class ArgumentGrown(msgspec.Struct, frozen=True):
    """More of the string at `path` in the arguments of call `ordinal`, decoded."""

    ordinal: int
    path: Path
    text: str


class ArgumentSealed(msgspec.Struct, frozen=True):
    """The value at `path` in the arguments of call `ordinal` is complete: scalars, lists and objects alike,
    each as soon as its last character is known. The arguments as a whole are told by `CallSealed`."""

    ordinal: int
    path: Path
    value: Any


class CallSealed(msgspec.Struct, frozen=True):
    """The arguments of call `ordinal` are one complete JSON object; `arguments` is its raw text."""

    ordinal: int
    call_id: str
    name: str
    arguments: str
    canonical: str = ""
    """The same arguments with sorted keys and no white space: equal for equal JSON values."""
    invalid: str = ""
    """Why the schema that the request gives for this tool refuses them; empty if it does not, or gives none."""
    in_text: bool = False
    """As in `CallOpened`."""


MOST_TOKENS = 10**12
"""In one request: more than any engine holds, so that a larger number is a slip."""


class Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    @classmethod
    def told(cls, prompt: int | None, completion: int | None, cached: int | None) -> "Usage":
        """As a backend says it, which may be anything: what is no plausible count is not known."""
        return cls(
            *(one if one is not None and 0 <= one <= MOST_TOKENS else 0 for one in (prompt, completion, cached))
        )


class UsageReported(msgspec.Struct, frozen=True):
    """The usage chunk; it may come after `TurnEnded`."""

    usage: Usage


class TurnEnded(msgspec.Struct, frozen=True):
    """The model stopped; `reason` is the backend's finish_reason."""

    reason: str


class ReplyNamed(msgspec.Struct, frozen=True):
    """The id of this reply, by which a later request may name it as the turn that it continues
    (`previous_response_id`): told once, and only where the API has such requests."""

    reply_id: str


class Malformed(msgspec.Struct, frozen=True):
    """Something that is not of the dialect: what, and at which byte of the reply."""

    why: str
    at: int


class Foreseen(msgspec.Struct, frozen=True):
    """Read from the raw text behind a stream whose parser has not let it through yet (`raw_tap`).

    The client has not seen it: what it says is a hint, and is told again when the parsed stream says it.
    """

    event: CallOpened | ArgumentText | ArgumentGrown | ArgumentSealed | CallSealed


GrammarEvent: TypeAlias = (
    ReasoningText
    | ContentText
    | CallOpened
    | ArgumentText
    | ArgumentGrown
    | ArgumentSealed
    | CallSealed
    | UsageReported
    | TurnEnded
    | ReplyNamed
    | Malformed
    | Foreseen
)
