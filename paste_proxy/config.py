"""The configuration: what there is to set, typed. `config_reading.py` reads it.

Every default states its reason. Every number has bounds: a value that would silently do something else is an
error at the start. `docs/configuration.md` lists all keys; a test holds the two together.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from paste_proxy.config_bounds import (
    BackendName,
    Bytes,
    Count,
    CountOrNone,
    Hint,
    HostName,
    HostPattern,
    Money,
    Port,
    Probability,
    Ratio,
    Scope,
    Seconds,
    SecondsOrNone,
    Share,
    TenantName,
)
from paste_proxy.config_http import HttpConfig, HttpToolConfig, OpenApiConfig, ToolName
from paste_proxy.config_mcp import McpServerConfig
from paste_proxy.config_schedule import ScheduleConfig


class ListenConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the proxy listens."""

    host: HostName = "127.0.0.1"
    """Loopback: nothing is open to a network unless asked for."""
    port: Port = 8700
    """Free by IANA's list and on developers' machines; 0 takes any free one."""


class BackendConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The LLM server."""

    url: str = ""
    """Base address without `/v1`, as in http://127.0.0.1:30000."""
    kind: Literal["auto", "sglang", "vllm", "openai"] = "auto"
    """`auto` asks the server (`/model_info`, `/version`)."""
    key: str = ""
    """`${NAME}`: the backend's own key, in the environment. Sent in the place of a tenant's."""
    wait_s: SecondsOrNone = 0.0
    """How long `serve` waits at the start for the backend to accept connections; then it gives up. 0: a wrong
    address is told at once."""
    connect_timeout_s: Seconds = 10.0
    """A healthy server on a network accepts within a second; ten cover a restart behind a load balancer."""
    silence_timeout_s: Seconds = 600.0
    """Longest silence of the backend; agents' SDKs give up after 600 s by default."""
    max_turns: CountOrNone = 0
    """LLM turns sent at once; 0: no limit, the engine's own queue orders them."""
    priority: Literal["auto", "on", "off"] = "auto"
    """`auto` sends priorities where the backend was verified to honour them: they change the order of requests,
    and no reply. `on`: the operator vouches for a backend that can't be asked."""
    session_radix: Literal["auto", "off"] = "auto"
    """`auto` names the session in requests where SGLang runs with `--enable-session-radix-cache`: who set that
    flag asked for it, it does nothing without, and it changes no reply."""
    load_poll_s: SecondsOrNone = 1.0
    """Between questions how busy the backend is: a turn takes seconds, and an answer a few milliseconds of the
    engine's front. 0: it is not asked."""
    tool_format: str = ""
    """How the model writes tool calls, a name of `grammar.formats`; empty: as the engine's own parser says."""
    reasoning_format: str = ""
    """That of reasoning."""
    raw_tap: Literal["off", "logprobs"] = "off"
    """`logprobs` asks for what the client did not ask for, so it is off unless asked for."""
    parse: Literal["engine", "proxy"] = "engine"
    """`proxy` changes replies, so it is off unless asked for."""


class PluginConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One plugin: a file, or the name of an installed entry point; and its options."""

    path: str = ""
    entry_point: str = ""
    options: dict[str, Any] = {}
    folder: str = ""
    """Where relative paths in `options` count from; set by `load_config` to the file's folder."""


class NetworkConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a tool that reaches a network may be told ahead of the model: `broker/egress.py`."""

    hosts: tuple[HostPattern, ...] = ()
    """Hosts that addresses may name, as in `docs.python.org`; `*.python.org` for all below it; `*` for any.
    Empty: none (default deny)."""
    free: tuple[str, ...] = ()
    """Arguments whose numbers may be any: pages, limits. Others are copied, or choices of the schema."""


class BudgetConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much may run ahead of the model. 0: no limit of its own; the load and the others limit it already."""

    concurrent: CountOrNone = 0
    """Predicted runs at once."""
    per_minute: CountOrNone = 0
    """Predicted runs begun a minute; as many may come at once after a minute of rest."""
    price_per_hour: Money = 0.0
    """What they may cost, in the currency of the tools' `price`."""


class BudgetsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Budgets for predicted runs: all together, and of each tenant, session and tool."""

    overall: BudgetConfig = BudgetConfig()
    tenant: BudgetConfig = BudgetConfig()
    session: BudgetConfig = BudgetConfig()
    tool: BudgetConfig = BudgetConfig()


class SpeculationConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may run ahead of the model."""

    mode: Literal["off", "shadow", "on"] = "on"
    """`on` runs nothing by itself: a tool must be listed in `allow` too. `shadow` predicts and runs nothing."""
    allow: tuple[str, ...] = ()
    """Tools that the operator lets run ahead. Empty: none (default deny)."""
    inert: dict[str, tuple[str, ...]] = {}
    """By tool, arguments that the operator declares to have no influence on results, beside those that the
    tool's author does."""
    pages: tuple[str, ...] = ()
    """Tools of servers, agents and addresses whose cursor-like arguments only name a place: using one changes
    nothing. Others that have such an argument never run ahead."""
    network: dict[str, NetworkConfig] = {}
    """By tool, what may leave ahead of the model. A tool that is listed here counts as one that reaches a
    network, whatever its author says."""
    candidates: CountOrNone = 3
    """Predictions per turn and level at most: 69 % of pages opened after a search are among the first three."""
    min_probability: Probability = 0.025
    """A candidate whose cautious estimate is below it is not run: on research tasks with three candidates it
    costs 1 % of the saving and a fifth of the waste."""
    chain_depth: CountOrNone = 2
    """Turns beyond the one under way for which calls may run ahead behind staged results; 0: none. Chances are
    multiplied: three likely calls in a row (0.4 each) come in 6 % of cases, less than most starts are worth."""
    min_service_s: SecondsOrNone = 0.02
    """Tools known to be faster are not run ahead: their start costs more than it saves."""
    budgets: BudgetsConfig = BudgetsConfig()
    waste: Ratio = 4.0
    """Unused runs per authoritative call, above which a tool stays at home for a while. With three candidates
    a turn an ordinary tool wastes one to two; 0: no cap."""
    sample: Probability = 0.01
    """The share of hits that are run again and compared with what was released: one in a hundred costs little
    and finds a tool that is often wrong within a day. 0: none."""
    slots: CountOrNone = 16
    """Speculative runs at once, all tools together."""


class LimitsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds on memory and work."""

    tool_runs: Count = 64
    """Tool runs at once, all classes together."""
    tool_reserve: CountOrNone = 4
    """Of those, kept free of speculation; fewer than all."""
    queued_calls: Count = 1024
    """Authoritative calls that may wait; more are refused with 503."""
    queued_turns: Count = 4096
    """LLM turns that may be held; more are refused with 503. Each keeps its request, 100 KB with an agent's
    usual history: 400 MB."""
    staged_result_bytes: Bytes = 1024 * 1024
    """A larger result is not kept: few tool results above it fit a context window."""
    staged_session_bytes: Bytes = 8 * 1024 * 1024
    staged_total_bytes: Bytes = 256 * 1024 * 1024
    sessions: Count = 10_000
    """Sessions remembered; the longest idle is forgotten first."""
    session_idle_s: Seconds = 1800.0
    """A session silent for so long is over: longer than the slowest builds that agents wait for."""
    clients: CountOrNone = 256
    """Processes with wrapped tools that may be connected; 0: none, wrapped tools are run as if unwrapped."""
    body_bytes: Bytes = 64 * 1024 * 1024
    """Largest body of a turn's request that is read; a million tokens with images stay below."""
    arguments_bytes: Bytes = 1024 * 1024
    """Arguments of one tool call. They are what a model wrote: a MiB is 300,000 tokens, and takes a moment of
    the loop to decode."""


class ClientToolConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool that the agent runs itself: what its calls write. Default: everything. `*` for a name: all that
    are not listed."""

    writes: tuple[Scope, ...] = ("*",)
    """`session`: what only the tools of the same session read, as a sandbox of its own."""
    timeout_s: Seconds = 600.0
    """After the end of the turn that asked for it, without a result, a call counts as over: ten minutes are the
    longest that coding agents let a command run, and their SDKs wait for a request."""


class TenantConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who pays and who may see, and how much of it. 0: no limit."""

    keys: tuple[str, ...] = ()
    """`sha256:...` of a key, or `${NAME}` of one in the environment; several, so that one can be replaced."""
    requests_per_minute: CountOrNone = 0
    """To the backend."""
    concurrent_turns: CountOrNone = 0
    max_priority: Hint = 0
    """The highest priority that its clients may give a request. 0: they may put one behind others, and none
    before another tenant's."""
    calls_per_minute: CountOrNone = 0
    """Of tools, asked for; what runs ahead is not counted."""
    share: Share = 1.0
    """Of the engine's memory, against that of others, where sessions wait for it."""
    tools: tuple[str, ...] = ("*",)
    """Tools of the gateway that there are for this tenant; `*`: all."""
    admin: bool = False
    """Sees the sessions of all tenants and what is summed over them, and reaches all paths of the backend."""

    def permits(self, tool: str) -> bool:
        return "*" in self.tools or tool in self.tools


class StoreConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where learnt patterns are kept."""

    path: str = ""
    """SQLite file; empty: in memory, forgotten at exit."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    listen: ListenConfig = ListenConfig()
    backend: BackendConfig = BackendConfig()
    backends: dict[BackendName, BackendConfig] = {}
    """Several, by name, in the place of `backend`."""
    plugins: tuple[PluginConfig, ...] = ()
    http: HttpConfig = HttpConfig()
    http_tools: dict[ToolName, HttpToolConfig] = {}
    openapi: dict[str, OpenApiConfig] = {}
    speculation: SpeculationConfig = SpeculationConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    limits: LimitsConfig = LimitsConfig()
    client_tools: dict[str, ClientToolConfig] = {}
    mcp_servers: dict[str, McpServerConfig] = {}
    client_prefixes: tuple[str, ...] = ()
    """Prefixes that clients put before the gateway's tool names, as in mcp__paste__."""
    store: StoreConfig = StoreConfig()
    auth: Literal["auto", "off"] = "auto"
    """`auto` asks for keys where there are tenants, and does not start without on another address than
    loopback. `off` says that nobody need be asked."""
    tenants: dict[TenantName, TenantConfig] = {}

    @property
    def all_backends(self) -> Mapping[str, BackendConfig]:
        """By name; "" is that of the only one."""
        return self.backends or {"": self.backend}

    def key_of(self, backend: str) -> str:
        """The path of a backend's section."""
        return f"backends.{backend}" if backend else "backend"

    def share(self, tenant: str) -> float:
        known = self.tenants.get(tenant)
        return known.share if known is not None else 1.0

    def permits(self, tenant: str, tool: str) -> bool:
        """Whether there is such a tool for the tenant. For one that is gone, though its client may be connected
        still, there is none."""
        known = self.tenants.get(tenant)
        return known.permits(tool) if known is not None else not self.tenants
