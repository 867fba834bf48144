"""SGLang's wire format as its OpenAI server writes it (0.5.23): nulls spelled out, one object per event."""

from typing import Any

import msgspec
import orjson

from paste_proxy.lab.conversation import WireMessage
from paste_proxy.lab.policy import Turn

DONE = b"data: [DONE]\n\n"


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool = False


class ChatBody(msgspec.Struct, frozen=True):
    """The fields of a chat request that the engine reads; all others are ignored, as SGLang does."""

    messages: list[WireMessage]
    model: str = ""
    stream: bool = False
    stream_options: StreamOptions | None = None
    rid: str | None = None

    @property
    def wants_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


class Reply(msgspec.Struct, frozen=True):
    """What all pieces of one reply share."""

    id: str
    model: str
    created: int

    def delta(self, **fields: Any) -> bytes:
        """One chunk; the fields of the delta that are not given are null."""
        nothing = {"role": None, "content": None, "reasoning_content": None, "tool_calls": None}
        return self._chunk([_choice(delta=nothing | fields)])

    def opened_call(self, call_id: str, name: str, index: int = 0) -> bytes:
        return self.delta(tool_calls=[_call(call_id, name, "", index)])

    def argument(self, text: str, index: int = 0) -> bytes:
        """Continuations of a call carry null for its id and name."""
        return self.delta(tool_calls=[_call(None, None, text, index)])

    def finished(self, reason: str) -> bytes:
        empty = {"role": None, "content": None, "reasoning_content": None, "tool_calls": None}
        return self._chunk([_choice(delta=empty, finish_reason=reason)])

    def usage(self, usage: dict[str, Any]) -> bytes:
        return self._chunk([], usage)

    def whole(self, turn: Turn, reason: str, usage: dict[str, Any]) -> bytes:
        """The body of a reply that is not streamed."""
        calls = [_call(turn.call.call_id, turn.call.tool, turn.call.arguments)] if turn.call else None
        message = {"role": "assistant", "content": turn.text, "reasoning_content": None, "tool_calls": calls}
        choice = _choice(message=message, finish_reason=reason)
        return orjson.dumps(self._object("chat.completion", [choice], usage) | {"metadata": None})

    def _chunk(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
        return b"data: " + orjson.dumps(self._object("chat.completion.chunk", choices, usage)) + b"\n\n"

    def _object(self, kind: str, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "usage": usage,
        }


def usage(prompt: int, completion: int, cached: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "total_tokens": prompt + completion,
        "completion_tokens": completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        "reasoning_tokens": 0,
    }


def error(status: int, message: str, param: str | None = None) -> bytes:
    """SGLang's error object."""
    kind = "BadRequest" if status == 400 else "InternalServerError"
    return orjson.dumps({"object": "error", "message": message, "type": kind, "param": param, "code": status})


def _choice(*, finish_reason: str | None = None, **content: Any) -> dict[str, Any]:
    return {
        "index": 0,
        **content,
        "logprobs": None,
        "finish_reason": finish_reason,
        "matched_stop": None,
    }


def _call(call_id: str | None, name: str | None, arguments: str, index: int = 0) -> dict[str, Any]:
    return {
        "id": call_id,
        "index": index,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }
