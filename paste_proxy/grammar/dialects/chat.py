"""The chat dialect: `chat.completion.chunk` streams and whole `chat.completion` replies (OpenAI API reference;
SGLang 0.5.23 and vLLM 0.33 `protocol.py` for what engines add).

Only choice 0 is read. Engines write explicit nulls, so presence says nothing: truth values do.
"""

from typing import Any

import msgspec

from paste_proxy.grammar.events import Usage
from paste_proxy.grammar.reply import Reply

FINISHED = frozenset({"tool_calls", "stop", "function_call"})
"""Reasons that mean that the model said all it wanted, so that a call without arguments is a whole call."""


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    """A delta of a stream, or the message of a whole reply."""

    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int | None = 0
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None


class _Reply(msgspec.Struct, gc=False):
    """A chunk of a stream, or a whole reply."""

    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None
    object: Any = None


_decode = msgspec.json.Decoder(_Reply).decode


class ChatDialect:
    """Chunks of a stream and whole replies alike; what can't be decoded spoils the calls that are open."""

    __slots__ = ("_reply",)

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def read(self, payload: bytes, at: int) -> None:
        try:
            read = _decode(payload)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            self._reply.unreadable(f"not a chat completion: {error}", at)
            return
        if read.choices:
            for choice in read.choices:
                if not choice.index:
                    self._read_choice(choice, at)
        elif read.error or read.object == "error":
            self._reply.end("error", at, finished=False)
        if read.usage is not None and (self._reply.ended or not read.choices):
            self._reply.usage(_usage(read.usage))

    def _read_choice(self, choice: _Choice, at: int) -> None:
        delta = choice.delta or choice.message
        if delta is not None:
            if delta.reasoning_content or delta.reasoning:
                self._reply.reasoning(delta.reasoning_content or delta.reasoning or "")
            content = delta.content if isinstance(delta.content, str) else _text_of(delta.content)
            if content:
                self._reply.content(content)
            if delta.tool_calls:
                self._read_calls(delta.tool_calls, at, whole=choice.delta is None)
        if choice.finish_reason:
            self._reply.end(choice.finish_reason, at, finished=choice.finish_reason in FINISHED)

    def _read_calls(self, calls: list[_ToolCall], at: int, *, whole: bool) -> None:
        for place, call in enumerate(calls):
            function = call.function
            if function is not None:
                index = place if whole else call.index
                self._reply.call(index, call.id or "", function.name or "", function.arguments or "", at)


def _usage(usage: _Usage) -> Usage:
    details = usage.prompt_tokens_details
    return Usage(
        usage.prompt_tokens or 0,
        usage.completion_tokens or 0,
        (details.cached_tokens or 0) if details is not None else 0,
    )


def _text_of(parts: list[Any] | None) -> str:
    """The text of a list of content parts (Mistral's models stream such lists)."""
    if not parts:
        return ""
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return "".join(text for text in texts if isinstance(text, str))
