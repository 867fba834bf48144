"""What a chat request says, decoded once: only the fields that the core reads (SGLang 0.5.23 protocol.py)."""

import msgspec


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
    fields: dict[str, str] = {}
    """Body fields that name a session, as the client sent them: session_id, program_id, user, ..."""
