"""Requests of the responses API (OpenAI API reference; SGLang 0.5.23 `ResponsesRequest`).

The input is a list of items, of which a reply may be several: what stands between two things that the client
says is one reply, so one message. A request either brings the whole history, or names the reply after which it
goes on (`previous_response_id`) and brings what is new.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from paste_proxy.grammar.client_calls import CallItem
from paste_proxy.grammar.digests import digest
from paste_proxy.grammar.errors import UnreadableRequestError
from paste_proxy.grammar.requests.fields import UNREADABLE, Body, Content, content_of, foreign_digest
from paste_proxy.grammar.requests.model import (
    ChatRequest,
    Message,
    MessageCall,
    RequestTool,
    chain_of,
    new_message,
)


class _Item(CallItem, gc=False):
    role: str = ""
    content: Content = None
    output: msgspec.Raw = msgspec.Raw(b"null")


class _Conversation(msgspec.Struct, gc=False):
    id: str = ""


class _ResponsesBody(Body, gc=False, kw_only=True):
    input: str | list[msgspec.Raw]
    instructions: Any = None
    previous_response_id: Any = None
    conversation: Any = None
    background: Any = None
    request_id: Any = msgspec.UNSET


_decode_body = msgspec.json.Decoder(_ResponsesBody).decode
_decode_item = msgspec.json.Decoder(_Item).decode
_decode_content = msgspec.json.Decoder(Content).decode


def parse_responses_request(body: bytes) -> ChatRequest:
    """Read the body of POST /v1/responses. Raises `UnreadableRequestError`."""
    try:
        read = _decode_body(body)
        reply_to = _reply_to(read)
        messages = tuple(_messages(read, whole=not reply_to))
    except UNREADABLE as error:
        raise UnreadableRequestError(f"not a request for a response: {error}") from error
    return ChatRequest(
        messages=messages,
        chain=chain_of(messages),
        body_digest=digest(body),
        tools=tuple(_tools(read.tools)),
        model=read.model_name,
        stream=read.stream is True,
        # What runs in the background goes on without its client, and is not ours to abort.
        has_rid=read.request_id is not msgspec.UNSET or read.background is True,
        background=read.background is True,
        fields=read.session_fields(),
        names_session=read.names_session,
        hints=read.hints,
        reply_to=reply_to,
    )


def _reply_to(read: _ResponsesBody) -> str:
    """A conversation that the server keeps is told to nobody but by its name: it is no reply that we know."""
    held = read.conversation.get("id") if isinstance(read.conversation, dict) else read.conversation
    named = read.previous_response_id or held
    return named if isinstance(named, str) else ""


def _messages(read: _ResponsesBody, *, whole: bool) -> Iterator[Message]:
    """Instructions are of one request, and no part of a history that is kept by the server."""
    if whole and isinstance(read.instructions, str) and read.instructions:
        yield new_message("system", read.instructions)
    if isinstance(read.input, str):
        yield new_message("user", read.input)
    else:
        yield from _of_items(read.input)


class _Said:
    """The items of one reply, so far."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.calls: list[MessageCall] = []
        self.foreign: list[bytes] = []

    def message(self) -> Message:
        return new_message("assistant", "\n".join(self.texts), self.calls, foreign=self.foreign)


def _of_items(items: list[msgspec.Raw]) -> Iterator[Message]:
    said: _Said | None = None
    for raw in items:
        item = _decode_item(raw)
        if (message := _of_client(item, raw)) is not None:
            if said is not None:
                yield said.message()
                said = None
            yield message
        else:
            said = said or _Said()
            _add(said, item, raw)
    if said is not None:
        yield said.message()


def _of_client(item: _Item, raw: msgspec.Raw) -> Message | None:
    """What the client says; None for what was in a reply."""
    if item.type.endswith("_call_output"):
        text, foreign = _output(item.output)
        return new_message("tool", text, call_id=item.call_id or "", foreign=foreign)
    if item.type == "mcp_approval_response":
        return new_message("user", foreign=(foreign_digest(raw),))
    if item.type in ("", "message") and item.role != "assistant":
        text, foreign = content_of(item.content)
        return new_message(item.role, text, foreign=foreign)
    return None


def _output(raw: msgspec.Raw) -> tuple[str, list[bytes]]:
    """A text or a list of parts; of the API's own tools also an object, such as a screenshot."""
    try:
        return content_of(_decode_content(raw))
    except msgspec.ValidationError:
        return "", [foreign_digest(raw)]


def _add(said: _Said, item: _Item, raw: msgspec.Raw) -> None:
    """Reasoning, and what the server ran for the model, count nothing: the dialect tells neither."""
    if item.is_call:
        said.calls.append(MessageCall(item.call_id or "", item.tool, item.json()))
    elif item.type in ("", "message"):
        said.texts.append(content_of(item.content)[0])
    elif item.type == "item_reference":
        said.foreign.append(foreign_digest(raw))


def _tools(tools: Any) -> Iterator[RequestTool]:
    """Tools without a name are known by their type, as their calls are."""
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict) and isinstance(name := tool.get("name") or tool.get("type"), str):
            parameters = tool.get("parameters")
            yield RequestTool(name, parameters if isinstance(parameters, dict) else {})
