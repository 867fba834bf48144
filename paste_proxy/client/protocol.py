"""What a client of wrapped tools and the proxy say to each other over one WebSocket (docs/design.md).

Each message is one text frame of JSON, an object whose `say` names its kind. Either side ignores keys that it
does not know, and ends the connection at a kind that it does not know, or that is out of place.
"""

from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec

from paste_proxy.tools.spec import Effect, ToolSpec, narrowed

T = TypeVar("T")

PATH = "/paste/v1/client"
VERSION = 1
MESSAGE_LIMIT = 4 * 1024 * 1024
"""Bytes of a message: the arguments of a call (`limits.arguments_bytes`) quoted once more, or 256 tools."""
TOOLS_LIMIT = 256
"""Tools of one client: twice as many as an API lets a request offer."""
UNUSABLE = "its parameters can't be used"
"""Begins why a tool is refused whose schema the proxy can't read; its client logs it."""
ID_LIMIT = 256
"""Characters of names and ids; UUIDs with a prefix have fifty."""

Id = Annotated[str, msgspec.Meta(max_length=ID_LIMIT)]
ToolName = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}\Z")]
Number = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Scope = Annotated[str, msgspec.Meta(min_length=1, max_length=ID_LIMIT)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
"""A day at most: what is older is of no use, what takes longer is no tool call."""


class OfferedTool(msgspec.Struct, frozen=True):
    """A tool that is wrapped in the client's process: `ToolSpec`, bounded, since it comes from outside."""

    name: ToolName
    parameters: dict[str, Any]
    description: Annotated[str, msgspec.Meta(max_length=16_384)] = ""
    effect: Effect = Effect.NEVER
    reads: Annotated[tuple[Scope, ...], msgspec.Meta(max_length=64)] = ("*",)
    writes: Annotated[tuple[Scope, ...], msgspec.Meta(max_length=64)] = ("*",)
    max_age: Seconds = 60.0
    retention: Seconds = 60.0
    timeout: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 120.0
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 8
    price: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 0.0
    volatility: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    inert: Annotated[tuple[str, ...], msgspec.Meta(max_length=256)] = ()
    volatile: bool = False
    consumes: bool = False
    network: bool = False
    exact: bool = False

    def spec(self) -> ToolSpec:
        return narrowed(
            ToolSpec(
                name=self.name,
                description=self.description,
                parameters=self.parameters,
                effect=self.effect,
                reads=frozenset(self.reads),
                writes=frozenset() if self.effect is Effect.READ else frozenset(self.writes),
                max_age=self.max_age,
                retention=self.retention,
                timeout=self.timeout,
                concurrency=self.concurrency,
                price=self.price,
                volatility=self.volatility,
                inert=frozenset(self.inert),
                network=self.network,
                exact=self.exact,
                volatile=self.volatile,
                consumes=self.consumes,
            )
        )


def offered(spec: ToolSpec) -> OfferedTool:
    """Raises `msgspec.ValidationError` where it is out of bounds."""
    kept = {name: getattr(spec, name) for name in OfferedTool.__struct_fields__}
    for name in ("reads", "writes", "inert"):
        kept[name] = sorted(kept[name])
    return msgspec.convert(kept, OfferedTool)


# -- from the client --------------------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True, tag_field="say", tag="hello"):
    """The first message, and again where the tools are others now, or more `ran`."""

    version: int
    tools: Annotated[tuple[OfferedTool, ...], msgspec.Meta(max_length=TOOLS_LIMIT)]
    name: Id = ""
    """Of the process, for people."""
    ran: Annotated[tuple[ToolName, ...], msgspec.Meta(max_length=TOOLS_LIMIT)] = ()
    """Tools that write and that were run while there was no connection."""


class Claim(msgspec.Struct, frozen=True, tag_field="say", tag="claim"):
    """The agent has called a tool."""

    call: Number
    tool: ToolName
    arguments: str
    """JSON text."""
    tool_call_id: Id = ""
    session: Id = ""
    """The name that the agent's requests give their session, if it knows one."""


class Leave(msgspec.Struct, frozen=True, tag_field="say", tag="leave"):
    """Nobody waits for the call any more."""

    call: Number


class Began(msgspec.Struct, frozen=True, tag_field="say", tag="began"):
    """The function of a run ahead was entered."""

    run: Id


class Ended(msgspec.Struct, frozen=True, tag_field="say", tag="ended"):
    """A run has really ended; ahead of its call or as the call."""

    run: Id
    error: Annotated[str, msgspec.Meta(max_length=4096)] | None = None
    """Why there is no result; None where there is one."""
    size: Number = 0
    """Bytes of the result, about."""
    digest: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """Of the result of a run ahead; equal for equal results."""
    max_age: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Seconds from its start for which the result may be used, where it tells a time that says so."""
    output: str | None = None
    """The result as the model will see it, where the client shares it; nobody needs it but predictions."""


class Unused(msgspec.Struct, frozen=True, tag_field="say", tag="unused"):
    """A result that a call was to get was not given out: it was too old by the client's clock, what it read is
    another now, or its caller had gone on without."""

    run: Id


FromClient: TypeAlias = Hello | Claim | Leave | Began | Ended | Unused

# -- from the proxy ---------------------------------------------------------------------------------------


class Welcome(msgspec.Struct, frozen=True, tag_field="say", tag="welcome"):
    """The answer to `hello`, and again whenever it has changed: what can never run ahead, and why."""

    version: int
    refused: dict[str, str]


class RunAhead(msgspec.Struct, frozen=True, tag_field="say", tag="run"):
    """A speculation is leased: run it and keep the result."""

    run: Id
    tool: ToolName
    arguments: msgspec.Raw
    session: Id
    """The proxy's name of it: the one that answers to its calls bring."""
    decided: bool = False
    """The call is complete in the model's stream, rather than predicted."""


class Cancel(msgspec.Struct, frozen=True, tag_field="say", tag="cancel"):
    """A run ahead, or its result, is not wanted any more."""

    run: Id


class Answer(msgspec.Struct, frozen=True, tag_field="say", tag="answer"):
    """What becomes of a call.

    `reused`: it gets the result of `run`. `joined`: it will, when that ends. `promoted`, `executed`: run it; it
    is `run`. `refused`: run it; nobody keeps account of it.
    """

    call: Number
    outcome: str
    run: Id = ""
    session: Id = ""
    error: str = ""


FromProxy: TypeAlias = Welcome | RunAhead | Cancel | Answer

_encoder = msgspec.json.Encoder()
_from_client: msgspec.json.Decoder[FromClient] = msgspec.json.Decoder(FromClient)
_from_proxy: msgspec.json.Decoder[FromProxy] = msgspec.json.Decoder(FromProxy)


class ProtocolError(Exception):
    """The other side said what it must not; the connection ends. The message says what."""


def encode(message: FromClient | FromProxy) -> bytes:
    return _encoder.encode(message)


def encode_tool(tool: OfferedTool) -> bytes:
    return _encoder.encode(tool)


def decode_from_client(frame: bytes | str) -> FromClient:
    """Raises `ProtocolError`."""
    return _decoded(_from_client, frame)


def decode_from_proxy(frame: bytes | str) -> FromProxy:
    """Raises `ProtocolError`."""
    return _decoded(_from_proxy, frame)


def _decoded(decoder: msgspec.json.Decoder[T], frame: bytes | str) -> T:
    try:
        return decoder.decode(frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ProtocolError(f"not a message of version {VERSION}: {error}") from error
