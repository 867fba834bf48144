"""The configuration: typed, read from YAML, with errors that name the path of the bad key.

Every default states its reason. `docs/configuration.md` lists all keys; a test holds the two together.
"""

from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from paste_proxy.errors import ConfigError


class ListenConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the proxy listens."""

    host: str = "127.0.0.1"
    """Loopback: nothing is open to a network unless asked for."""
    port: int = 8700
    """Free by IANA's list and on developers' machines; 0 takes any free one."""


class BackendConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The LLM server."""

    url: str = ""
    """Base address without `/v1`, as in http://127.0.0.1:30000."""
    kind: Literal["auto", "sglang", "openai"] = "auto"
    """`auto` asks the server once (`/model_info`)."""
    wait_s: float = 0.0
    """How long `serve` waits at the start for the backend to accept connections; then it gives up. 0: a wrong
    address is told at once."""
    connect_timeout_s: float = 10.0
    """A healthy server on a network accepts within a second; ten cover a restart behind a load balancer."""
    silence_timeout_s: float = 600.0
    """Longest silence of the backend; agents' SDKs give up after 600 s by default."""
    max_turns: int = 0
    """LLM turns sent at once; 0: no limit, the engine's own queue orders them."""


class PluginConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One plugin: a file, or the name of an installed entry point; and its options."""

    path: str = ""
    entry_point: str = ""
    options: dict[str, Any] = {}


class SpeculationConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may run ahead of the model."""

    mode: Literal["off", "on"] = "on"
    """`on` runs nothing by itself: a tool must be listed in `allow` too."""
    allow: tuple[str, ...] = ()
    """Tools that the operator lets run ahead. Empty: none (default deny)."""
    candidates: int = 3
    """Predicted calls per turn at most: of pages opened after a search 69 % are among the first three."""
    min_probability: float = 0.025
    """A candidate whose cautious estimate is below it is not run: on research tasks with three candidates it
    costs 1 % of the saving and a fifth of the waste."""
    min_service_s: float = 0.02
    """Tools known to be faster are not run ahead: their start costs more than it saves."""
    slots: int = 16
    """Speculative runs at once, all tools together."""


class LimitsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds on memory and work."""

    tool_runs: int = 64
    """Tool runs at once, all classes together."""
    tool_reserve: int = 4
    """Of those, kept free of speculation."""
    queued_calls: int = 1024
    """Authoritative calls that may wait; more are refused with 503."""
    staged_result_bytes: int = 1024 * 1024
    """A larger result is not kept: few tool results above it fit a context window."""
    staged_session_bytes: int = 8 * 1024 * 1024
    staged_total_bytes: int = 256 * 1024 * 1024
    sessions: int = 10_000
    """Sessions remembered; the longest idle is forgotten first."""
    session_idle_s: float = 1800.0
    """A session silent for so long is over: longer than the slowest builds that agents wait for."""
    body_bytes: int = 64 * 1024 * 1024
    """Largest request body that is read; a million tokens with images stay below."""


class ClientToolConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool that the agent runs itself: what its calls write. Default: everything."""

    writes: tuple[str, ...] = ("*",)


class StoreConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where learnt patterns are kept."""

    path: str = ""
    """SQLite file; empty: in memory, forgotten at exit."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    listen: ListenConfig = ListenConfig()
    backend: BackendConfig = BackendConfig()
    plugins: tuple[PluginConfig, ...] = ()
    speculation: SpeculationConfig = SpeculationConfig()
    limits: LimitsConfig = LimitsConfig()
    client_tools: dict[str, ClientToolConfig] = {}
    client_prefixes: tuple[str, ...] = ()
    """Prefixes that clients put before the gateway's tool names, as in mcp__paste__."""
    store: StoreConfig = StoreConfig()


def load_config(path: Path) -> Config:
    """Read a YAML file. Raises `ConfigError`; relative plugin and store paths count from the file's folder."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", param=str(path)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: not YAML: {reason}", param=str(path)) from error
    try:
        config = msgspec.convert(data if data is not None else {}, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_with_key_path(str(error))}", param=str(path)) from error
    return _anchored(config, path.resolve().parent)


def _with_key_path(message: str) -> str:
    """msgspec's "... - at `$.a.b`", as "a.b: ..."."""
    reason, _, where = message.partition(" - at `$")
    key = where.rstrip("`").removeprefix(".")
    return f"{key}: {reason}" if key else reason


def _anchored(config: Config, folder: Path) -> Config:
    plugins = tuple(
        msgspec.structs.replace(p, path=str(folder / p.path)) if p.path else p for p in config.plugins
    )
    store = config.store
    if store.path:
        store = StoreConfig(path=str(folder / store.path))
    return msgspec.structs.replace(config, plugins=plugins, store=store)
