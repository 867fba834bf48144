"""What a chat request says, decoded once: only the fields that the core reads (SGLang 0.5.23 protocol.py)."""

from collections.abc import Iterator
from typing import Any

import msgspec

from paste_proxy.grammar.digests import digest, extend_chain, message_digest
from paste_proxy.grammar.errors import UnreadableRequestError

SESSION_FIELDS = ("session_id", "program_id", "conversation_id", "litellm_session_id")
"""Fields that name a session where they stand: at the top (vLLM, SGLang; ThunderAgent's program_id) or in an
object of extensions. Not `user`, `safety_identifier` or `prompt_cache_key`: one user has many sessions, and
a cache key may be shared by all of an application's. Not `request_id` or `rid`: they name a request."""

SESSION_OBJECTS = ("metadata", "nvext", "nvext.agent_context", "vllm_xargs", "extra_body")
"""Where extensions are kept: OpenAI's metadata, Dynamo's nvext, vLLM's xargs, LiteLLM's extra_body."""


class MessageCall(msgspec.Struct, frozen=True):
    """A tool call inside an assistant message of the history; `arguments` is its raw JSON text."""

    call_id: str
    name: str
    arguments: str


class Message(msgspec.Struct, frozen=True):
    """One message of the history. `text` joins the text parts; other parts (images, audio) count by digest."""

    role: str
    text: str = ""
    calls: tuple[MessageCall, ...] = ()
    call_id: str = ""
    """Of a tool message: the id of the call that it answers."""
    digest: bytes = b""
    """Digest of role, text, calls with ids and foreign parts; not of reasoning, nor of white space."""


class RequestTool(msgspec.Struct, frozen=True):
    """A tool that the request offers to the model; `parameters` is its JSON schema."""

    name: str
    parameters: dict[str, object]


class ChatRequest(msgspec.Struct, frozen=True):
    """`chain[i]` digests messages 0..i; two histories share a prefix of n messages iff chain[n-1] is equal."""

    messages: tuple[Message, ...]
    chain: tuple[bytes, ...]
    body_digest: bytes
    """Of the bytes as received: tells a retry or a duplicate."""
    tools: tuple[RequestTool, ...] = ()
    model: str = ""
    stream: bool = False
    choices: int = 1
    """`n`: replies asked for. With more than one, nothing is decided for the agent."""
    has_rid: bool = False
    """The key is there, whatever its value: of two such keys the server would read the last, the client's."""
    fields: dict[str, str] = {}
    """Body fields that name a session, by path, as the client sent them: session_id, metadata.session_id..."""


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: msgspec.Raw = msgspec.Raw(b"null")


class _ToolCall(msgspec.Struct, gc=False):
    id: str | None = None
    function: _Function | None = None


class _Message(msgspec.Struct, gc=False):
    role: str = ""
    content: str | list[msgspec.Raw] | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str | None = None


class _Body(msgspec.Struct, gc=False):
    """Fields of which a wrong type harms nobody are `Any`: they are looked at, and passed over."""

    messages: list[_Message]
    tools: Any = None
    model: Any = None
    stream: Any = None
    n: Any = None
    rid: Any = msgspec.UNSET
    session_id: Any = None
    program_id: Any = None
    conversation_id: Any = None
    litellm_session_id: Any = None
    metadata: Any = None
    nvext: Any = None
    vllm_xargs: Any = None
    extra_body: Any = None


class _Part(msgspec.Struct, gc=False):
    type: str | None = None
    text: str | None = None


_decode_body = msgspec.json.Decoder(_Body).decode
_decode_part = msgspec.json.Decoder(_Part).decode
_decode_any = msgspec.json.Decoder().decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder(order="sorted").encode

_THINKING = frozenset({"thinking", "redacted_thinking", "reasoning"})


def parse_chat_request(body: bytes) -> ChatRequest:
    """Read the body of POST /v1/chat/completions. Raises `UnreadableRequestError`.

    Unknown fields are skipped, and so are `function_call` and role `function`'s leftovers of the old API.
    """
    try:
        read = _decode_body(body)
        messages = tuple(_message(one) for one in read.messages)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UnreadableRequestError(f"not a chat request: {error}") from error
    return ChatRequest(
        messages=messages,
        chain=tuple(_chain(messages)),
        body_digest=digest(body),
        tools=tuple(_tools(read.tools)),
        model=read.model if isinstance(read.model, str) else "",
        stream=read.stream is True,
        choices=read.n if isinstance(read.n, int) and read.n > 1 else 1,
        has_rid=read.rid is not msgspec.UNSET,
        fields=dict(_session_fields(read)),
    )


def _message(read: _Message) -> Message:
    text, foreign = _content(read.content)
    calls = tuple(_calls(read.tool_calls)) if read.tool_calls else ()
    call_id = read.tool_call_id or ""
    parts = [(call.call_id, call.name, call.arguments) for call in calls]
    return Message(
        role=read.role,
        text=text,
        calls=calls,
        call_id=call_id,
        digest=message_digest(read.role, text, parts, call_id, foreign),
    )


def _content(content: str | list[msgspec.Raw] | None) -> tuple[str, list[bytes]]:
    """The text, and the digests of what is no text. Thinking is neither: it comes and goes with the client."""
    if not isinstance(content, list):
        return content or "", []
    texts: list[str] = []
    foreign: list[bytes] = []
    for raw in content:
        part = _decode_part(raw)
        if part.text is not None and part.type in (None, "text", "input_text", "output_text"):
            texts.append(part.text)
        elif part.type not in _THINKING:
            foreign.append(_foreign(bytes(raw)))
    return "\n".join(texts), foreign


def _foreign(raw: bytes) -> bytes:
    """Cache marks wander through a history from request to request; they are not what it says."""
    if b'"cache_control"' in raw:
        part = _decode_any(raw)
        part.pop("cache_control", None)
        raw = _encode(part)
    return digest(raw)


def _calls(calls: list[_ToolCall]) -> Iterator[MessageCall]:
    for call in calls:
        if call.function is not None:
            raw = bytes(call.function.arguments)
            arguments = _decode_text(raw) if raw.startswith(b'"') else raw.decode()
            yield MessageCall(call.id or "", call.function.name or "", "" if arguments == "null" else arguments)


def _chain(messages: tuple[Message, ...]) -> Iterator[bytes]:
    chain = b""
    for message in messages:
        chain = extend_chain(chain, message.digest)
        yield chain


def _tools(tools: Any) -> Iterator[RequestTool]:
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function") if isinstance(tool, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if isinstance(function, dict) and isinstance(name, str):
            parameters = function.get("parameters")
            yield RequestTool(name, parameters if isinstance(parameters, dict) else {})


def _session_fields(read: _Body) -> Iterator[tuple[str, str]]:
    for name in SESSION_FIELDS:
        if value := _name(getattr(read, name)):
            yield name, value
    for path in SESSION_OBJECTS:
        top, _, inner = path.partition(".")
        holder = getattr(read, top)
        if inner and isinstance(holder, dict):
            holder = holder.get(inner)
        if isinstance(holder, dict):
            for name in SESSION_FIELDS:
                if value := _name(holder.get(name)):
                    yield f"{path}.{name}", value


def _name(value: Any) -> str:
    """Names are strings; clients also send integers."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""
