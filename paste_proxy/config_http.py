"""The part of the configuration that is about tools at other servers, as `config.py` has the rest."""

from typing import Annotated, Any, Literal

import msgspec

from paste_proxy.config_bounds import AllIfEmpty, Bytes, Count, Probability, Scope, Seconds, SecondsOrNone

ToolName = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}\Z")]
"""As OpenAI's API demands."""
Price = Annotated[float, msgspec.Meta(ge=0)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class TargetsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where requests may go. Public addresses, at any port, unless stated."""

    allow: tuple[Annotated[str, msgspec.Meta(min_length=1)], ...] = ()
    """Hosts (by name), addresses and networks that are not public and may be asked all the same."""
    ports: AllIfEmpty[Port] = ()
    """Empty: any. The guard is about hosts; APIs are at all kinds of ports."""
    downgrade: bool = False
    """Follow redirects from https to http: what was encrypted would not be any more."""
    purpose: bool = False
    """Say `Sec-Purpose: prefetch` on requests ahead of the model: some servers refuse these."""
    rate_reserve: Probability = 0.5
    """Of the requests that a host allows in a window (`RateLimit-Remaining` and the like), the share that is
    kept for the model's calls. Half: as many of these may come at once as ran ahead, and none is refused."""


class HttpConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all HTTP tools have in common."""

    targets: TargetsConfig = TargetsConfig()


class _Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `ToolSpec` has, with the same defaults but where the network makes a difference."""

    headers: dict[str, str] = {}
    """Of each request. `${NAME}` is the value of an environment variable: secrets don't belong in files."""
    reads: tuple[Scope, ...] = ("*",)
    writes: tuple[Scope, ...] | None = None
    """None: nothing for a `read`, else everything."""
    max_age: SecondsOrNone = 60.0
    """What the server says of its answer's freshness can only shorten it."""
    grace: SecondsOrNone = 0.0
    """Of answers that their server calls stale at once. 0: its word holds."""
    retention: SecondsOrNone = 60.0
    timeout: Seconds = 30.0
    """Of one call with all redirects. 30 s: what the clients of most APIs wait."""
    concurrency: Count = 8
    price: Price = 0.0
    volatility: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    """The share of calls whose result may be another when it is run again at once."""
    result_limit: Bytes = 4 * 1024 * 1024
    """Of an answer, decompressed. 4 MiB: a million tokens."""


class HttpToolConfig(_Declared, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One request as a tool."""

    url: str
    """`{argument}` in its path is filled in."""
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    description: str = ""
    parameters: dict[str, Any] = {}
    """JSON schema of the arguments."""
    query: dict[str, str] = {}
    """`{argument}`, or a constant with `${NAME}` as in headers."""
    body: Any = None
    """JSON, in which the text `{argument}` stands for an argument."""
    effect: Literal["read", "never"] = "never"
    volatile: bool = False
    """As `@tool` has it: it never runs ahead."""
    consumes: bool = False
    inert: tuple[str, ...] = ()
    timestamp: str = ""
    """A key of the result's object that says of when it is."""


class OpenApiConfig(_Declared, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Operations of an OpenAPI document as tools."""

    document: str
    """A file, or an address that is fetched at the start."""
    include: tuple[str, ...]
    """Operations, by `operationId` or as in `GET /items/{id}`. No way to say all: each is looked at."""
    read: tuple[str, ...] = ()
    """Of those, the ones that change nothing: their effect is `read`."""
    volatile: tuple[str, ...] = ()
    """Of those, the ones that never run ahead, as `@tool` has it; `x-paste-volatile` in the document says so,
    too."""
    consumes: tuple[str, ...] = ()
    """The same with `x-paste-consumes`."""
    base_url: str = ""
    """Empty: the document's first server."""
    prefix: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]{0,32}\Z")] = ""
    """Of the tools' names."""
