"""Requests of the messages API (Anthropic Messages API reference; SGLang 0.5.23 `entrypoints/anthropic`).

A message of the user's may bring the results of several calls and text beside them: here they are messages of
their own, in that order, as in the chat API. An assistant message is one reply.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from paste_proxy.grammar.digests import digest
from paste_proxy.grammar.errors import UnreadableRequestError
from paste_proxy.grammar.requests.fields import (
    THINKING,
    UNREADABLE,
    Body,
    Content,
    content_of,
    foreign_digest,
)
from paste_proxy.grammar.requests.model import (
    ChatRequest,
    Message,
    MessageCall,
    RequestTool,
    chain_of,
    new_message,
)


class _Block(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"{}")
    tool_use_id: str | None = None
    content: msgspec.Raw = msgspec.Raw(b"null")


class _Message(msgspec.Struct, gc=False):
    role: str = ""
    content: Content = None


class _MessagesBody(Body, gc=False, kw_only=True):
    messages: list[_Message]
    system: Content = None


_decode_body = msgspec.json.Decoder(_MessagesBody).decode
_decode_block = msgspec.json.Decoder(_Block).decode
_decode_content = msgspec.json.Decoder(Content).decode


def parse_messages_request(body: bytes) -> ChatRequest:
    """Read the body of POST /v1/messages. Raises `UnreadableRequestError`."""
    try:
        read = _decode_body(body)
        messages = tuple(_messages(read))
    except UNREADABLE as error:
        raise UnreadableRequestError(f"not a request for a message: {error}") from error
    return ChatRequest(
        messages=messages,
        chain=chain_of(messages),
        body_digest=digest(body),
        tools=tuple(_tools(read.tools)),
        model=read.model_name,
        stream=read.stream is True,
        fields=read.session_fields(),
        names_session=read.names_session,
        hints=read.hints,
    )


def _messages(read: _MessagesBody) -> Iterator[Message]:
    if read.system:
        text, foreign = content_of(read.system)
        yield new_message("system", text, foreign=foreign)
    for message in read.messages:
        if not isinstance(message.content, list):
            yield new_message(message.role, message.content or "")
        elif message.role == "assistant":
            yield _reply(message.content)
        else:
            yield from _said_by_client(message.role, message.content)


def _reply(blocks: list[msgspec.Raw]) -> Message:
    """Thinking, and what the server ran for the model, count nothing: the dialect tells neither."""
    texts: list[str] = []
    calls: list[MessageCall] = []
    for raw in blocks:
        block = _decode_block(raw)
        if block.type == "text":
            texts.append(block.text or "")
        elif block.type == "tool_use":
            calls.append(MessageCall(block.id or "", block.name or "", bytes(block.input).decode()))
    return new_message("assistant", "\n".join(texts), calls)


def _said_by_client(role: str, blocks: list[msgspec.Raw]) -> Iterator[Message]:
    texts: list[str] = []
    foreign: list[bytes] = []
    results = 0
    for raw in blocks:
        block = _decode_block(raw)
        if block.type == "tool_result":
            if texts or foreign:
                yield new_message(role, "\n".join(texts), foreign=foreign)
                texts, foreign = [], []
            results += 1
            yield _result(block)
        elif block.type == "text":
            texts.append(block.text or "")
        elif block.type not in THINKING:
            foreign.append(foreign_digest(raw))
    if texts or foreign or not results:
        yield new_message(role, "\n".join(texts), foreign=foreign)


def _result(block: _Block) -> Message:
    text, foreign = content_of(_decode_content(block.content))
    return new_message("tool", text, call_id=block.tool_use_id or block.id or "", foreign=foreign)


def _tools(tools: Any) -> Iterator[RequestTool]:
    """Anthropic's own tools have a name and no schema; sets of a server's tools have only a type."""
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict) and isinstance(name := tool.get("name") or tool.get("type"), str):
            schema = tool.get("input_schema")
            yield RequestTool(name, schema if isinstance(schema, dict) else {})
