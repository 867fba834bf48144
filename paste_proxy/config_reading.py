"""Reads the configuration from YAML and holds it to its bounds; errors name the path of the bad key."""

import os
from pathlib import Path
from typing import Any

import msgspec
import yaml

from paste_proxy.config import BackendConfig, Config, LimitsConfig, StoreConfig
from paste_proxy.config_advice import advised, misnamed, named
from paste_proxy.config_mcp import check_mcp_server
from paste_proxy.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """Booleans as in YAML 1.2: true and false alone, so that `mode: off` is a word."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the base class has it
        first: [(tag, shape) for tag, shape in shapes if not tag.endswith(":bool") or first in "tTfF"]
        for first, shapes in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """PyYAML keeps the last of equal keys; the first would be lost without a word."""
        keys = [(key.value, key.start_mark.line) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key, line in keys:
            if [one for one, _ in keys].count(key) > 1:
                raise yaml.YAMLError(f"key `{key}` occurs twice, first in line {line + 1}")
        return super().construct_mapping(node, deep)


def load_config(path: Path) -> Config:
    """Read a YAML file. Raises `ConfigError`; relative plugin and store paths count from the file's folder."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # a SafeLoader
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", param=str(path)) from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date with month 13
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: not YAML: {reason}", param=str(path)) from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply", param=str(path)) from error
    try:
        _check_tenants_are_some(data)
        config = _converted(_without_empty({} if data is None else data, msgspec.inspect.type_info(Config)))
        check_config(config)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}", param=str(path)) from error
    return _anchored(config, path.resolve().parent)


def check_config(config: Config) -> None:
    """Hold a configuration that was made or changed in code to the same bounds as one that was read.

    Raises `ConfigError`; `param` is the key's path.
    """
    # A plugin's options are checked by the plugin.
    _converted(msgspec.to_builtins(msgspec.structs.replace(config, plugins=())))
    _check_host("listen.host", config.listen.host)
    _check_path("store.path", config.store.path)
    _check_backends(config)
    _check_orders(config.limits)
    for name, server in config.mcp_servers.items():
        check_mcp_server(f"mcp_servers.{name}", name, server)


def _check_tenants_are_some(data: Any) -> None:
    """The one section whose defaults open what it is written to close."""
    if isinstance(data, dict) and data.get("tenants", ...) in (None, {}):
        raise ConfigError(
            "tenants: names none, as where all are commented out, and without tenants nobody is asked for a "
            "key; name one, or delete the key",
            param="tenants",
        )


def _without_empty(data: Any, node: msgspec.inspect.Type) -> Any:
    """What has nothing below it, or only comments, is null in YAML: a section has its defaults then, and a list
    is empty where that is its default, and does not mean all. Any other value that was left out stays what it
    is: an error."""
    match node:
        case msgspec.inspect.StructType() if isinstance(data, dict):
            fields = {field.encode_name: field for field in node.fields}
            return {
                key: _without_empty(value, fields[key].type) if key in fields else value
                for key, value in data.items()
                if not (value is None and key in fields and _may_be_empty(fields[key]))
            }
        case msgspec.inspect.DictType() if isinstance(data, dict):
            is_section = isinstance(node.value_type, msgspec.inspect.StructType)
            return {
                key: {} if value is None and is_section else _without_empty(value, node.value_type)
                for key, value in data.items()
            }
        case msgspec.inspect.VarTupleType() if isinstance(data, list):
            return [_without_empty(item, node.item_type) for item in data]
    return data


def _may_be_empty(field: msgspec.inspect.Field) -> bool:
    """`AllIfEmpty` is none of these: its type is a description with the list in it."""
    match field.type:
        case msgspec.inspect.StructType() | msgspec.inspect.DictType():
            return True
        case msgspec.inspect.VarTupleType():
            return bool(field.default == ())
    return False


def _converted(data: object) -> Config:
    try:
        return msgspec.convert(data, Config)
    except msgspec.ValidationError as error:
        message, key = _with_key_path(str(error), data)
        raise ConfigError(message, param=key) from error


def _check_host(key: str, host: str) -> None:
    """What `getaddrinfo` raises as no OSError, or only after the start."""
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise ConfigError(f"{key}: {host!r} is no host name or address", param=key) from error
    if "\0" in host:
        raise ConfigError(f"{key}: {host!r} is no host name or address", param=key)


def _check_path(key: str, path: str) -> None:
    try:
        usable = b"\0" not in os.fsencode(path)
    except UnicodeError:
        usable = False
    if not usable:
        raise ConfigError(f"{key}: {path!r} can't be the name of a file", param=key)


def _check_backends(config: Config) -> None:
    if config.backends and config.backend != BackendConfig():
        raise ConfigError(
            "backends: there is `backend`, too: name one in `backend`, or all in `backends`", param="backends"
        )
    for name, backend in config.all_backends.items():
        key = config.key_of(name)
        if config.backends and not backend.url:
            raise ConfigError(f"{key}.url: a backend needs an address", param=f"{key}.url")
        if backend.parse == "proxy" and not backend.tool_format:
            raise ConfigError(
                f"{key}.parse: proxy needs {key}.tool_format, which says how the model writes its calls",
                param=f"{key}.parse",
            )


def _check_orders(limits: LimitsConfig) -> None:
    if limits.tool_reserve >= limits.tool_runs:
        raise ConfigError(
            f"limits.tool_reserve: {limits.tool_reserve} is not less than limits.tool_runs "
            f"({limits.tool_runs}): nothing could run ahead; speculation.mode: off says so",
            param="limits.tool_reserve",
        )
    for smaller, larger in (
        ("staged_result_bytes", "staged_session_bytes"),
        ("staged_session_bytes", "staged_total_bytes"),
    ):
        if getattr(limits, smaller) > getattr(limits, larger):
            raise ConfigError(
                f"limits.{smaller}: {getattr(limits, smaller)} is more than limits.{larger} "
                f"({getattr(limits, larger)})",
                param=f"limits.{smaller}",
            )


def _with_key_path(message: str, data: object) -> tuple[str, str | None]:
    """msgspec's "... - at `$.a.b`", as "a.b: ... and advice", and the path."""
    if (wrong := misnamed(message, data, Config)) is not None:
        reason, key = wrong
        return (f"{key}: {reason}", key) if key else (reason, None)
    reason, _, where = message.partition(" - at `$")
    where = where.rstrip("`")
    reason, key = advised(reason, where, Config), named(where, data, Config).removeprefix(".")
    return (f"{key}: {reason}", key) if key else (reason, None)


def _anchored(config: Config, folder: Path) -> Config:
    plugins = tuple(
        msgspec.structs.replace(
            plugin, path=str(folder / plugin.path) if plugin.path else "", folder=str(folder / plugin.folder)
        )
        for plugin in config.plugins
    )
    store = config.store
    if store.path:
        store = StoreConfig(path=str(folder / store.path))
    openapi = {
        name: msgspec.structs.replace(api, document=str(folder / api.document))
        if "://" not in api.document
        else api
        for name, api in config.openapi.items()
    }
    servers = {
        name: msgspec.structs.replace(server, cwd=str(folder / server.cwd)) if server.command else server
        for name, server in config.mcp_servers.items()
    }
    return msgspec.structs.replace(config, plugins=plugins, store=store, openapi=openapi, mcp_servers=servers)
