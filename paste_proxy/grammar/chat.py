"""The chat dialect: `chat.completion.chunk` streams and whole `chat.completion` replies (OpenAI API reference;
SGLang 0.5.23 and vLLM 0.33 `protocol.py` for what engines add).

Only choice 0 is read. Engines write explicit nulls, so presence says nothing: truth values do.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from paste_proxy.grammar.calls import CallAssembler
from paste_proxy.grammar.errors import GrammarError
from paste_proxy.grammar.events import (
    ContentText,
    GrammarEvent,
    Malformed,
    ReasoningText,
    TurnEnded,
    Usage,
    UsageReported,
)
from paste_proxy.grammar.sse import SseDecoder

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


class _ReplyReader:
    """What streams and whole replies have in common: the state of one turn."""

    __slots__ = ("_calls", "_ended", "_reported", "out")

    def __init__(self) -> None:
        self.out: list[GrammarEvent] = []
        self._calls: CallAssembler | None = None
        self._ended = False
        self._reported: Usage | None = None

    def read(self, payload: bytes, at: int) -> None:
        """One JSON document. What can't be decoded is reported, and spoils the calls that are open."""
        try:
            reply = _decode(payload)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            self.out.append(Malformed(f"not a chat completion: {error}", at))
            self._assembler().spoil()
            return
        if reply.choices:
            for choice in reply.choices:
                if not choice.index:
                    self._read_choice(choice, at)
        elif reply.error or reply.object == "error":
            self.end("error", at)
        if reply.usage is not None and (self._ended or not reply.choices):
            self._report(reply.usage)

    def _read_choice(self, choice: _Choice, at: int) -> None:
        delta = choice.delta or choice.message
        if delta is not None:
            if delta.reasoning_content or delta.reasoning:
                self.out.append(ReasoningText(delta.reasoning_content or delta.reasoning or ""))
            content = delta.content if isinstance(delta.content, str) else _text_of(delta.content)
            if content:
                self.out.append(ContentText(content))
            if delta.tool_calls:
                self._read_calls(delta.tool_calls, at, whole=choice.delta is None)
        if choice.finish_reason:
            self.end(choice.finish_reason, at)

    def _read_calls(self, calls: list[_ToolCall], at: int, *, whole: bool) -> None:
        if self._ended:
            self.out.append(Malformed("tool calls after the finish_reason", at))
            return
        assembler = self._assembler()
        for place, call in enumerate(calls):
            function = call.function
            if function is not None:
                index = place if whole else call.index
                assembler.delta(
                    index, call.id or "", function.name or "", function.arguments or "", at, self.out
                )

    def _assembler(self) -> CallAssembler:
        """Made late: most replies have no call."""
        if self._calls is None:
            self._calls = CallAssembler()
        return self._calls

    def end(self, reason: str, at: int) -> None:
        """The model stopped, or the stream did; only the first reason counts."""
        if self._ended:
            return
        self._ended = True
        if self._calls is not None:
            self._calls.end(at, self.out, finished=reason in FINISHED)
        self.out.append(TurnEnded(reason))

    def cut(self, at: int) -> None:
        """The reply is over; if the model had not stopped, it was cut off."""
        if self._ended:
            return
        self._ended = True
        if self._calls is not None:
            self._calls.end(at, self.out, finished=False)
        self.out.append(Malformed("the reply ended without a finish_reason", at))

    def _report(self, usage: _Usage) -> None:
        details = usage.prompt_tokens_details
        report = Usage(
            usage.prompt_tokens or 0,
            usage.completion_tokens or 0,
            (details.cached_tokens or 0) if details is not None else 0,
        )
        if report != self._reported:
            self._reported = report
            self.out.append(UsageReported(report))


class ChatStreamReader:
    """Reads one streamed reply. Neither method raises, whatever the bytes.

    After an event that can't be read no call is sealed any more: its text may have been in it. After an
    event over the size limit nothing more is read at all.
    """

    __slots__ = ("_at_end", "_reader", "_sse")

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self._reader = _ReplyReader()
        self._at_end = False
        """After `[DONE]`, or where the framing is lost."""

    def feed(self, data: bytes) -> Sequence[GrammarEvent]:
        """What these bytes of the body say; they may be cut anywhere."""
        if self._at_end:
            return ()
        reader = self._reader
        sse = self._sse
        try:
            payloads = sse.feed(data)
        except GrammarError as error:
            self._at_end = True
            reader.out.append(Malformed(str(error), sse.at))
            reader.cut(sse.at)
            return self._take()
        for payload, at in zip(payloads, sse.starts, strict=True):
            if payload == b"[DONE]":
                self._at_end = True
                reader.cut(at)
                break
            if payload:
                reader.read(payload, at)
        return self._take()

    def end(self) -> Sequence[GrammarEvent]:
        """The body is over, or won't go on."""
        self._at_end = True
        self._reader.cut(self._sse.at)
        return self._take()

    def _take(self) -> Sequence[GrammarEvent]:
        out = self._reader.out
        if out:
            self._reader.out = []
        return out


def read_chat_reply(body: bytes) -> list[GrammarEvent]:
    """The events of a reply that came in one piece, as its stream would have given them. Never raises."""
    reader = _ReplyReader()
    reader.read(body, 0)
    reader.cut(len(body))
    return reader.out


def _text_of(parts: list[Any] | None) -> str:
    """The text of a list of content parts (Mistral's models stream such lists)."""
    if not parts:
        return ""
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return "".join(text for text in texts if isinstance(text, str))
