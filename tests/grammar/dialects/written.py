"""One reply as every API writes it: as a stream and as a whole."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from paste_proxy.grammar.dialects import Api
from tests.grammar.dialects.support import DONE


class Words(NamedTuple):
    """Some reasoning or some of the answer, as it was streamed."""

    kind: str
    pieces: list[str]

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class Call(NamedTuple):
    call_id: str
    name: str
    pieces: list[str]
    """Of the JSON text of the arguments; none for a call without arguments."""

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)


class Said(NamedTuple):
    """One reply, whatever the API."""

    items: list[Words | Call]
    finished: bool
    usage: tuple[int, int, int]
    """Of the prompt (the cached part in it), of the reply, of the prompt from the cache."""


class Written(NamedTuple):
    stream: bytes
    whole: bytes


def as_chat(said: Said) -> Written:
    reason = ("tool_calls" if any(isinstance(item, Call) for item in said.items) else "stop") * said.finished
    usage = token_counts(said)
    message: dict[str, Any] = {"reasoning_content": "", "content": "", "tool_calls": []}
    deltas: list[dict[str, Any]] = []
    for item in sorted(said.items, key=lambda item: ("reasoning", "content", "call").index(kind_of(item))):
        if isinstance(item, Words):
            field = "reasoning_content" if item.kind == "reasoning" else "content"
            message[field] += item.text
            deltas += ({field: piece} for piece in item.pieces)
        else:
            index = len(message["tool_calls"])
            deltas.append({"tool_calls": [listed(index, item.call_id, item.name, "")]})
            deltas += ({"tool_calls": [listed(index, None, None, piece)]} for piece in item.pieces)
            message["tool_calls"].append(listed(None, item.call_id, item.name, item.arguments))
    chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": reason or "length"}]})
    chunks.append({"choices": [], "usage": usage})
    choice = {"index": 0, "message": message, "finish_reason": reason or "length"}
    return written(chunks, {"choices": [choice], "usage": usage})


def kind_of(item: Words | Call) -> str:
    return item.kind if isinstance(item, Words) else "call"


def listed(index: int | None, call_id: str | None, name: str | None, arguments: str) -> dict[str, Any]:
    return {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}


def token_counts(said: Said) -> dict[str, Any]:
    prompt, reply, cached = said.usage
    details = {"cached_tokens": cached}
    return {"prompt_tokens": prompt, "completion_tokens": reply, "prompt_tokens_details": details}


def as_responses(said: Said) -> Written:
    status = "completed" if said.finished else "incomplete"
    prompt, reply, cached = said.usage
    usage = {"input_tokens": prompt, "output_tokens": reply, "input_tokens_details": {"cached_tokens": cached}}
    begun = {"id": "resp_1", "status": "in_progress", "output": []}
    output = [response_item(item) for item in said.items]
    whole = {"id": "resp_1", "status": status, "output": output, "usage": usage}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    for index, (item, full) in enumerate(zip(said.items, output, strict=True)):
        empty = {**full, "content": [], "arguments": ""}
        events.append({"type": "response.output_item.added", "output_index": index, "item": empty})
        delta = {
            "reasoning": "response.reasoning_text.delta",
            "content": "response.output_text.delta",
            "call": "response.function_call_arguments.delta",
        }[kind_of(item)]
        events += ({"type": delta, "output_index": index, "delta": piece} for piece in item.pieces)
        if isinstance(item, Call):
            finished = {"type": "response.function_call_arguments.done", "arguments": item.arguments}
            events.append({**finished, "output_index": index})
        events.append({"type": "response.output_item.done", "output_index": index, "item": full})
    events.append({"type": f"response.{status}", "response": whole})
    return written(events, whole, done=False)


def response_item(item: Words | Call) -> dict[str, Any]:
    if isinstance(item, Call):
        named = {"type": "function_call", "id": "fc", "call_id": item.call_id, "name": item.name}
        return {**named, "arguments": item.arguments}
    if item.kind == "reasoning":
        return {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": item.text}]}
    return {"type": "message", "content": [{"type": "output_text", "text": item.text}]}


def as_messages(said: Said) -> Written:
    reason = "tool_use" if said.finished else "max_tokens"
    prompt, reply, cached = said.usage
    usage: dict[str, Any] = {
        "input_tokens": prompt - cached,
        "cache_read_input_tokens": cached,
        "output_tokens": 0,
    }
    begun: dict[str, Any] = {"type": "message", "content": [], "usage": usage}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": begun}]
    for index, item in enumerate(said.items):
        fields = {"reasoning": "thinking", "content": "text", "call": "partial_json"}
        field = fields[kind_of(item)]
        events.append(
            {"type": "content_block_start", "index": index, "content_block": block(item, whole=False)}
        )
        events += (
            {"type": "content_block_delta", "index": index, "delta": {field: piece}} for piece in item.pieces
        )
        events.append({"type": "content_block_stop", "index": index})
    events.append(
        {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": reply}}
    )
    events.append({"type": "message_stop"})
    content = [block(item, whole=True) for item in said.items]
    whole = {**begun, "content": content, "stop_reason": reason, "usage": {**usage, "output_tokens": reply}}
    return written(events, whole, done=False)


def block(item: Words | Call, *, whole: bool) -> dict[str, Any]:
    if isinstance(item, Call):
        # The text itself, since it is the text that both forms of a reply have to agree in.
        given = msgspec.Raw((item.arguments if whole else "").encode() or b"{}")
        return {"type": "tool_use", "id": item.call_id, "name": item.name, "input": given}
    kind = "thinking" if item.kind == "reasoning" else "text"
    return {"type": kind, kind: item.text if whole else ""}


def as_completion(said: Said) -> Written:
    reason = "stop" if said.finished else "length"
    pieces = [piece for item in said.items if kind_of(item) == "content" for piece in item.pieces]
    chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "text": piece}]} for piece in pieces]
    chunks.append({"choices": [{"index": 0, "text": "", "finish_reason": reason}]})
    chunks.append({"choices": [], "usage": token_counts(said)})
    choice = {"index": 0, "text": "".join(pieces), "finish_reason": reason}
    return written(chunks, {"choices": [choice], "usage": token_counts(said)})


def as_generated(said: Said, *, incremental: bool) -> Written:
    prompt, reply, cached = said.usage
    pieces = [piece for item in said.items if kind_of(item) == "content" for piece in item.pieces]
    events: list[dict[str, Any]] = []
    for count in range(1, len(pieces) + 1):
        ids, piece = ([7], pieces[count - 1]) if incremental else ([7] * count, "".join(pieces[:count]))
        meta: dict[str, Any] = {"finish_reason": None, "prompt_tokens": prompt, "completion_tokens": count}
        events.append({"text": piece, "output_ids": ids, "meta_info": meta})
    reason = {"type": "stop" if said.finished else "length"}
    counts = {"prompt_tokens": prompt, "completion_tokens": reply + len(pieces) + 1, "cached_tokens": cached}
    meta = {"finish_reason": reason, **counts}
    whole = {"text": "".join(pieces), "output_ids": [7] * (reply + len(pieces) + 1), "meta_info": meta}
    last = {**whole, "text": "", "output_ids": [7] * (reply + 1)} if incremental else whole
    return written([*events, last], whole)


def written(events: Iterable[dict[str, Any]], whole: dict[str, Any], *, done: bool = True) -> Written:
    stream = b"".join(b"data: " + msgspec.json.encode(one) + b"\n\n" for one in events)
    return Written(stream + DONE * done, msgspec.json.encode(whole))


WRITERS: dict[str, tuple[Api, Callable[[Said], Written]]] = {
    "chat": (Api.CHAT, as_chat),
    "responses": (Api.RESPONSES, as_responses),
    "messages": (Api.MESSAGES, as_messages),
    "completions": (Api.COMPLETIONS, as_completion),
    "generate": (Api.GENERATE, lambda said: as_generated(said, incremental=False)),
    "generate, incremental": (Api.GENERATE, lambda said: as_generated(said, incremental=True)),
}
