"""What a turn's request says, in chat's terms, whichever API it came by: only what the core reads."""

from collections.abc import Iterable, Sequence

import msgspec

from paste_proxy.grammar.digests import extend_chain, message_digest


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


class Hints(msgspec.Struct, frozen=True):
    """What the body says of its urgency and length, as it says it."""

    priority: int | None = None
    """`priority`, as the engine counts."""
    agent_priority: int | None = None
    """Dynamo's `nvext.agent_hints.priority`: higher is sooner, whatever the engine."""
    output_tokens: int = 0
    """Its `osl`, the length that the agent expects of the reply; 0: it does not say."""


NO_HINTS = Hints()


class ChatRequest(msgspec.Struct, frozen=True):
    """`chain[i]` digests messages 0..i; two histories share a prefix of n messages iff chain[n-1] is equal."""

    messages: tuple[Message, ...]
    """None where the request has no history that could be known again: token ids, a batch."""
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
    names_session: bool = False
    """To the engine itself: SGLang's `session_id` or `session_params`, of which it takes one only."""
    fields: dict[str, str] = {}
    """Body fields that name a session, by path, as the client sent them: session_id, metadata.session_id..."""
    reply_to: str = ""
    """The id of the reply that this request goes on from: the messages are only what is new since."""
    background: bool = False
    """The model goes on though its client leaves, which may read the reply later, and elsewhere."""
    text_is_read: bool = False
    """Calls are looked for in the reply's text, as its client may find some there: who relays it says so."""
    hints: Hints = NO_HINTS
    prompt: bytes = b""
    """The history where it is one text, without its white space: the next prompt begins with it."""


def new_message(
    role: str,
    text: str = "",
    calls: Iterable[MessageCall] = (),
    call_id: str = "",
    foreign: Iterable[bytes] = (),
) -> Message:
    """`foreign` are digests of parts that are no text."""
    calls = tuple(calls)
    parts = [(call.call_id, call.name, call.arguments) for call in calls]
    return Message(role, text, calls, call_id, message_digest(role, text, parts, call_id, foreign))


def chain_of(messages: Sequence[Message], after: bytes = b"") -> tuple[bytes, ...]:
    """The chain of a history; `after` is the digest of what came before it."""
    chain: list[bytes] = []
    for message in messages:
        after = extend_chain(after, message.digest)
        chain.append(after)
    return tuple(chain)
