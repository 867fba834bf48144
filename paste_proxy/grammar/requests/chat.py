"""Requests of the chat API (OpenAI API reference; SGLang 0.5.23 protocol.py)."""

from collections.abc import Iterator
from typing import Any

import msgspec

from paste_proxy.grammar.client_calls import input_as_json
from paste_proxy.grammar.digests import digest, message_digest
from paste_proxy.grammar.errors import UnreadableRequestError
from paste_proxy.grammar.requests.fields import UNREADABLE, Body, Content, content_of
from paste_proxy.grammar.requests.model import (
    ChatRequest,
    Message,
    MessageCall,
    RequestTool,
    chain_of,
    new_message,
)
from paste_proxy.grammar.requests.written_calls import split_written_calls


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: msgspec.Raw = msgspec.Raw(b"null")


class _Custom(msgspec.Struct, gc=False):
    name: str | None = None
    input: str | None = None


class _ToolCall(msgspec.Struct, gc=False):
    id: str | None = None
    function: _Function | None = None
    custom: _Custom | None = None


class _Message(msgspec.Struct, gc=False):
    role: str = ""
    content: Content = None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str | None = None


class _ChatBody(Body, gc=False, kw_only=True):
    messages: list[_Message]
    rid: Any = msgspec.UNSET


_decode_body = msgspec.json.Decoder(_ChatBody).decode
_decode_text = msgspec.json.Decoder(str).decode


def parse_chat_request(body: bytes) -> ChatRequest:
    """Read the body of POST /v1/chat/completions. Raises `UnreadableRequestError`.

    Unknown fields are skipped, and so are `function_call` and role `function`'s leftovers of the old API.
    """
    try:
        read = _decode_body(body)
        messages = tuple(map(_message, read.messages))
    except UNREADABLE as error:
        raise UnreadableRequestError(f"not a chat request: {error}") from error
    return ChatRequest(
        messages=messages,
        chain=chain_of(messages),
        body_digest=digest(body),
        tools=tuple(_tools(read.tools)),
        model=read.model_name,
        stream=read.stream is True,
        choices=read.choices,
        has_rid=read.rid is not msgspec.UNSET,
        fields=read.session_fields(),
        names_session=read.names_session,
        hints=read.hints,
    )


def _message(read: _Message) -> Message:
    text, foreign = content_of(read.content)
    if read.role == "assistant" and not read.tool_calls and "Calling tools:" in text:
        before, written = split_written_calls(text)
        return Message(read.role, text, digest=message_digest(read.role, before, written, "", foreign))
    calls = _calls(read.tool_calls) if read.tool_calls else ()
    return new_message(read.role, text, calls, read.tool_call_id or "", foreign)


def _calls(calls: list[_ToolCall]) -> Iterator[MessageCall]:
    for call in calls:
        if call.function is not None:
            raw = bytes(call.function.arguments)
            arguments = _decode_text(raw) if raw.startswith(b'"') else raw.decode()
            yield MessageCall(call.id or "", call.function.name or "", "" if arguments == "null" else arguments)
        elif call.custom is not None:
            yield MessageCall(call.id or "", call.custom.name or "", input_as_json(call.custom.input or ""))


def _tools(tools: Any) -> Iterator[RequestTool]:
    for tool in tools if isinstance(tools, list) else ():
        told = (tool.get("function") or tool.get("custom")) if isinstance(tool, dict) else None
        name = told.get("name") if isinstance(told, dict) else None
        if isinstance(told, dict) and isinstance(name, str):
            parameters = told.get("parameters")
            yield RequestTool(name, parameters if isinstance(parameters, dict) else {})
