"""The chat dialect: `chat.completion.chunk` streams and whole `chat.completion` replies (OpenAI API reference;
SGLang 0.5.23 and vLLM 0.33 `protocol.py` for what engines add).

Only choice 0 is read. Engines write explicit nulls, so presence says nothing: truth values do. Reasoning is
`reasoning_content` (SGLang) or `reasoning` (vLLM); who sends both, for clients of either kind, sends one text
twice. llama-cpp-python tells a call twice too, as `tool_calls` and as the older `function_call`.
"""

from typing import Any

import msgspec

from paste_proxy.grammar.calls import CALL_LIMIT
from paste_proxy.grammar.client_calls import INPUT_BEGINS, INPUT_ENDS, input_text
from paste_proxy.grammar.dialects.decoding import UNDECODABLE
from paste_proxy.grammar.events import Usage
from paste_proxy.grammar.reply import Reply

FINISHED = frozenset({"tool_calls", "stop", "function_call"})
"""Reasons that mean that the model said all it wanted, so that a call without arguments is a whole call."""

_LEGACY = "function_call"
"""The index of the one call of a reply that has no list of calls."""


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _Custom(msgspec.Struct, gc=False):
    name: str | None = None
    input: str | None = None


class _ToolCall(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None
    custom: _Custom | None = None


class _Delta(msgspec.Struct, gc=False):
    """A delta of a stream, or the message of a whole reply."""

    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int | None = 0
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None


class TokenCounts(msgspec.Struct, gc=False):
    """The `usage` of the chat and completions APIs."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None

    def told(self) -> Usage:
        details = self.prompt_tokens_details
        cached = details.cached_tokens if details is not None else None
        return Usage.told(self.prompt_tokens, self.completion_tokens, cached)


class _Reply(msgspec.Struct, gc=False):
    """A chunk of a stream, or a whole reply."""

    choices: list[_Choice] | None = None
    usage: TokenCounts | None = None
    error: Any = None
    object: Any = None


_decode = msgspec.json.Decoder(_Reply).decode


class ChatDialect:
    """Chunks of a stream and whole replies alike; what can't be decoded spoils the calls that are open."""

    __slots__ = ("_customs", "_listed", "_reply")

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._listed = False
        """Calls came in a list: then a legacy call says nothing new."""
        self._customs: list[int | None] = []
        """The indexes of calls of custom tools whose input has begun."""

    def read(self, payload: bytes, at: int) -> None:
        try:
            read = _decode(payload)
        except UNDECODABLE as error:
            self._reply.unreadable(f"not a chat completion: {error}", at)
            return
        if read.choices:
            for choice in read.choices:
                if not choice.index:
                    self._read_choice(choice, at)
        elif read.error or read.object == "error":
            self._reply.end("error", at, finished=False)
        if read.usage is not None and (self._reply.ended or not read.choices):
            self._reply.usage(read.usage.told())

    def _read_choice(self, choice: _Choice, at: int) -> None:
        delta = choice.delta or choice.message
        if delta is not None:
            if delta.reasoning_content or delta.reasoning:
                self._reply.reasoning(delta.reasoning_content or delta.reasoning or "")
            if isinstance(delta.content, str):
                if delta.content:
                    self._reply.content(delta.content, at)
            elif delta.content:
                self._read_parts(delta.content, at)
            if delta.tool_calls:
                self._read_calls(delta.tool_calls, at, whole=choice.delta is None)
            if delta.function_call is not None and not self._listed:
                call = delta.function_call
                self._reply.call(_LEGACY, "", call.name or "", call.arguments or "", at)
        if choice.finish_reason:
            self._end(choice.finish_reason, at)

    def _read_calls(self, calls: list[_ToolCall], at: int, *, whole: bool) -> None:
        self._listed = True
        for place, call in enumerate(calls):
            function = call.function
            index = place if whole else call.index
            if function is not None:
                self._reply.call(index, call.id or "", function.name or "", function.arguments or "", at)
            elif call.custom is not None:
                self._read_custom(index, call.id or "", call.custom, at)

    def _read_custom(self, index: int | None, call_id: str, custom: _Custom, at: int) -> None:
        """Its plain text ends with the reply."""
        text = input_text(custom.input or "")
        if text and index not in self._customs and len(self._customs) < CALL_LIMIT:
            self._customs.append(index)
            text = INPUT_BEGINS + text
        self._reply.call(index, call_id, custom.name or "", text, at)

    def _end(self, reason: str, at: int) -> None:
        finished = reason in FINISHED
        for index in self._customs if finished else ():
            self._reply.call(index, "", "", INPUT_ENDS, at)
        self._customs.clear()
        self._reply.end(reason, at, finished=finished)

    def _read_parts(self, parts: list[Any], at: int) -> None:
        """A list of content parts, as Mistral's API streams them. A `thinking` part has such a list itself."""
        for part in parts:
            if isinstance(part, dict):
                if part.get("type") == "thinking":
                    if reasoning := _text_of(part.get("thinking")):
                        self._reply.reasoning(reasoning)
                elif content := _text_of([part]):
                    self._reply.content(content, at)


def _text_of(parts: Any) -> str:
    """The text of a list of text parts."""
    if not isinstance(parts, list):
        return ""
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return "".join(text for text in texts if isinstance(text, str))
