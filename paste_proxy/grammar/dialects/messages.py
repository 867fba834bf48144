"""The messages dialect: streams of typed events and whole `message` replies (Anthropic Messages API reference;
SGLang 0.5.23 `entrypoints/anthropic` and vLLM 0.33's serving of it for what engines do).

A reply is a list of content blocks. A `tool_use` block is a call of the agent; what the server runs itself
(`server_tool_use` and its results) is not. The arguments come in `input_json_delta`s; the `input` that the
block begins with counts only where none came, as in the SDK: it is `{}`, but some engines fill it.
"""

import msgspec

from paste_proxy.grammar.calls import CALL_LIMIT
from paste_proxy.grammar.dialects.decoding import UNDECODABLE, is_foreign
from paste_proxy.grammar.events import Usage
from paste_proxy.grammar.reply import Reply

FINISHED = frozenset({"tool_use", "end_turn", "stop_sequence"})
"""Reasons that mean that the model said all it wanted, so that a call without arguments is a whole call."""

_EVENTS = frozenset(
    {
        "",
        "message",
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "error",
    }
)
_BLOCKS = frozenset({"text", "thinking", "tool_use"})


class _Delta(msgspec.Struct, gc=False):
    """Of a content block, or of the message. What it holds says what it is; its `type` adds nothing."""

    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class _Usage(msgspec.Struct, gc=False):
    """Totals so far; what is missing is as it was. `input_tokens` leaves out what the cache gave or took."""

    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens: int | None = None


class _Start(msgspec.Struct, gc=False):
    usage: _Usage | None = None


class _Event(msgspec.Struct, gc=False):
    """An event of a stream; or the frame of a whole reply, whose `type` is "message"."""

    type: str = ""
    index: int | None = None
    delta: _Delta | None = None
    content_block: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()
    usage: _Usage | None = None
    content: list[msgspec.Raw] | None = None
    stop_reason: str | None = None


class _Block(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Event).decode
_decode_block = msgspec.json.Decoder(_Block).decode
_decode_start = msgspec.json.Decoder(_Start).decode


class MessagesDialect:
    """Events of a stream and whole replies alike; what can't be decoded spoils the calls that are open."""

    __slots__ = ("_inputs", "_last_call", "_reply", "_usage")

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._inputs: dict[int | None, str] = {}
        """Of each open call: the input that its block began with, while no delta has replaced it."""
        self._last_call: tuple[int | None] | None = None
        """The index of the last call whose block has stopped."""
        self._usage: _Usage | None = None

    def read(self, payload: bytes, at: int) -> None:
        try:
            event = _decode(payload)
        except UNDECODABLE as error:
            if not is_foreign(payload, _EVENTS):
                self._reply.unreadable(f"not an event of a message: {error}", at)
            return
        kind = event.type
        if kind == "content_block_delta":
            self._read_delta(event, at)
        elif kind == "content_block_start":
            self._start_block(event.index, event.content_block, at)
        elif kind == "content_block_stop":
            self._stop_block(event.index, at)
        else:
            self._read_frame(event, at)

    def _read_delta(self, event: _Event, at: int) -> None:
        delta = event.delta
        if delta is None:
            return
        if delta.text:
            self._reply.content(delta.text, at)
        elif delta.thinking:
            self._reply.reasoning(delta.thinking)
        elif delta.partial_json and event.index in self._inputs:
            self._inputs[event.index] = ""
            self._reply.call(event.index, "", "", delta.partial_json, at)

    def _read_frame(self, event: _Event, at: int) -> None:
        """What is not of one block."""
        match event.type:
            case "message_start":
                self._read_start(event.message, at)
            case "message_delta":
                self._end(event.delta.stop_reason if event.delta is not None else None, event.usage, at)
            case "message":
                for index, block in enumerate(event.content or ()):
                    self._start_block(index, block, at)
                    self._stop_block(index, at)
                self._end(event.stop_reason, event.usage, at)
            case "error":
                self._reply.end("error", at, finished=False)

    def _read_start(self, message: msgspec.Raw, at: int) -> None:
        try:
            self._count(_decode_start(message).usage)
        except UNDECODABLE as error:
            self._reply.unreadable(f"not the start of a message: {error}", at)

    def _start_block(self, index: int | None, raw: msgspec.Raw, at: int) -> None:
        self._close_call(at)
        self._inputs.pop(index, None)
        try:
            block = _decode_block(raw)
            given = _given(block.input)
        except UNDECODABLE as error:
            if not is_foreign(raw, _BLOCKS):
                self._reply.unreadable(f"not a content block: {error}", at)
            return
        if block.type == "text" and block.text:
            self._reply.content(block.text, at)
        elif block.type == "thinking" and block.thinking:
            self._reply.reasoning(block.thinking)
        elif block.type == "tool_use":
            if len(self._inputs) < CALL_LIMIT:
                self._inputs[index] = given
            self._reply.call(index, block.id or "", block.name or "", "", at)

    def _stop_block(self, index: int | None, at: int) -> None:
        given = self._inputs.pop(index, None)
        if given is None:
            return
        if given:
            self._reply.call(index, "", "", given, at)
        self._last_call = (index,)

    def _close_call(self, at: int) -> None:
        """The model goes on after its last call, so that one was whole, even if it has no arguments. Not known
        before: SGLang stops the block of a call that `max_tokens` cut off just as well."""
        if self._last_call is not None:
            self._reply.close_call(self._last_call[0], at)
            self._last_call = None

    def _end(self, stop_reason: str | None, usage: _Usage | None, at: int) -> None:
        self._count(usage)
        if stop_reason:
            self._reply.end(stop_reason, at, finished=stop_reason in FINISHED)
        if self._reply.ended and self._usage is not None:
            self._reply.usage(_told(self._usage))

    def _count(self, usage: _Usage | None) -> None:
        if self._usage is None or usage is None:
            self._usage = usage or self._usage
            return
        for field in _Usage.__struct_fields__:
            if (value := getattr(usage, field)) is not None:
                setattr(self._usage, field, value)


def _given(raw: msgspec.Raw) -> str:
    """The JSON text of an `input`; empty where it says nothing (`{}`, null, an empty string)."""
    text = bytes(raw).decode()
    return "" if text.strip("{} \t\r\n") in ("", "null", '""') else text


def _told(usage: _Usage) -> Usage:
    """`prompt_tokens` counts the whole prompt, as the other APIs do."""
    cached = usage.cache_read_input_tokens or 0
    prompt = (usage.input_tokens or 0) + cached + (usage.cache_creation_input_tokens or 0)
    return Usage.told(prompt, usage.output_tokens, cached)
