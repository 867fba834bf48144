"""From the configuration to operations: a tool's declaration, and the request that a call of it becomes.

Everything that can be wrong is told when the proxy starts, with the path of the key.
"""

import re
from collections.abc import Mapping
from typing import Any

import jsonschema_rs
import msgspec
from yarl import URL

from paste_proxy.config_http import HttpToolConfig, OpenApiConfig
from paste_proxy.errors import ConfigError, InvalidArgumentsError
from paste_proxy.tools.http.client import Request
from paste_proxy.tools.http.guard import Guard
from paste_proxy.tools.http.templates import (
    body_slots,
    encoded_query,
    filled_body,
    filled_path,
    filled_query,
    fixed_path,
    slot,
    slots,
)
from paste_proxy.tools.spec import Effect, ToolSpec, narrowed

READING = frozenset({"GET", "HEAD"})
"""Safe methods by RFC 9110, section 9.2.1: all that may ever run ahead of the model."""
OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "upgrade", "te"}
)
"""Headers that the connection sets."""
PATTERN_BYTES = 64 * 1024
"""Of a compiled regular expression; the engine is linear in the text."""

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A header's name: RFC 9110, section 5.1."""


class Operation(msgspec.Struct, frozen=True):
    """One request as a tool."""

    spec: ToolSpec
    method: str
    base: URL
    """Scheme, host and port; what a call can't change."""
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    validator: jsonschema_rs.Validator
    body: Any = None
    has_body: bool = False
    joined: frozenset[str] = frozenset()
    """Lists that stand in the query as one value, with commas."""
    timestamp: str = ""
    """A key of the result's object that says of when it is."""
    grace: float = 0.0
    """Of `client.Limits`."""

    def request(self, arguments: dict[str, Any]) -> Request:
        """Raises `InvalidArgumentsError`."""
        tool = self.spec.name
        try:
            self.validator.validate(arguments)
        except jsonschema_rs.ValidationError as error:
            where = "".join(
                f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path
            )
            raise InvalidArgumentsError(
                f"{tool}: ${where}: {error.message}"[:500], param=f"${where}"
            ) from error
        path = filled_path(tool, self.path, arguments)
        query = encoded_query(filled_query(tool, self.query, arguments, self.joined))
        url = URL(f"{self.base}{path}{'?' if query else ''}{query}", encoded=True)
        whole = slot(self.body)
        if not self.has_body or (whole and whole not in arguments):
            return Request(self.method, url, self.headers)
        body = msgspec.json.encode(filled_body(self.body, arguments))
        return Request(self.method, url, {"Content-Type": "application/json", **self.headers}, body)


def operations_of(
    tools: Mapping[str, HttpToolConfig], guard: Guard, environment: Mapping[str, str]
) -> list[Operation]:
    """What `http_tools` declares. Raises `ConfigError`."""
    return [_operation(name, config, guard, environment) for name, config in tools.items()]


def _operation(name: str, config: HttpToolConfig, guard: Guard, environment: Mapping[str, str]) -> Operation:
    key = f"http_tools.{name}"
    if config.effect == "read" and config.method not in READING:
        raise ConfigError(f"{key}.effect: {config.method} is never a `read`", param=f"{key}.effect")
    base, path = split_url(f"{key}.url", config.url, guard)
    parameters = closed_schema(f"{key}.parameters", config.parameters)
    query = {
        name: text if slot(text) else with_environment(f"{key}.query.{name}", text, environment)
        for name, text in config.query.items()
    }
    used = {*slots(path), *filter(None, map(slot, query.values())), *body_slots(config.body)}
    _check_slots(key, used, frozenset(config.inert), parameters)
    return Operation(
        spec=declared(
            key,
            name,
            config.description,
            parameters,
            config,
            reads_only=config.effect == "read",
            inert=config.inert,
            volatile=config.volatile,
            consumes=config.consumes,
        ),
        method=config.method,
        base=base,
        path=path,
        query=query,
        headers=headers_of(key, config.headers, environment, reads_only=config.effect == "read"),
        validator=compiled(f"{key}.parameters", parameters),
        body=config.body,
        has_body=config.body is not None,
        timestamp=config.timestamp,
        grace=config.grace,
    )


def split_url(key: str, text: str, guard: Guard) -> tuple[URL, str]:
    """What a call can't change, and the path with its slots. Raises `ConfigError`."""
    scheme, separator, rest = text.partition("://")
    host, slash, path = rest.partition("/")
    if not separator or "?" in rest or "#" in rest or set(host) & set("{}"):
        raise ConfigError(
            f"{key}: {text!r} must be http://HOST/PATH or https://HOST/PATH; arguments stand in the path, and "
            "under `query`",
            param=key,
        )
    try:
        base = URL(f"{scheme}://{host}")
        guard.check(base)
    except Exception as error:
        raise ConfigError(f"{key}: {getattr(error, 'message', error)}", param=key) from error
    if {".", ".."} & set(path.split("/")):
        raise ConfigError(f"{key}: {text!r} has `.` or `..` in its path", param=key)
    return base.origin(), fixed_path(slash + path) or "/"


def declared(
    key: str,
    name: str,
    description: str,
    parameters: dict[str, Any],
    config: HttpToolConfig | OpenApiConfig,
    *,
    reads_only: bool,
    inert: tuple[str, ...] = (),
    volatile: bool = False,
    consumes: bool = False,
) -> ToolSpec:
    """Raises `ConfigError`."""
    if reads_only and config.writes and isinstance(config, HttpToolConfig):
        raise ConfigError(f"{key}.writes: a tool with effect `read` writes nothing", param=f"{key}.writes")
    writes = frozenset(config.writes) if config.writes is not None else frozenset("*")
    return narrowed(
        ToolSpec(
            name=name,
            description=description,
            parameters=parameters,
            effect=Effect.READ if reads_only else Effect.NEVER,
            reads=frozenset(config.reads),
            writes=frozenset() if reads_only else writes,
            max_age=config.max_age,
            retention=config.retention,
            timeout=config.timeout,
            concurrency=config.concurrency,
            price=config.price,
            volatility=config.volatility,
            inert=frozenset(inert),
            network=True,
            exact=True,
            result_limit=config.result_limit,
            volatile=volatile,
            consumes=consumes,
        )
    )


def closed_schema(key: str, schema: dict[str, Any]) -> dict[str, Any]:
    """An object's schema with its properties, closed to other names unless it says otherwise."""
    whole = {"type": "object", "properties": {}, "additionalProperties": False, **schema}
    properties, required = whole["properties"], whole.get("required", [])
    if whole["type"] != "object" or not isinstance(properties, dict) or not isinstance(required, list):
        raise ConfigError(f"{key}: must be the JSON schema of an object, with `properties`", param=key)
    return whole


def compiled(key: str, schema: dict[str, Any]) -> jsonschema_rs.Validator:
    """Raises `ConfigError`."""
    options = jsonschema_rs.RegexOptions(PATTERN_BYTES, PATTERN_BYTES)
    try:
        return jsonschema_rs.validator_for(
            schema, validate_formats=False, pattern_options=options, mask="the value", offline=True
        )
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise ConfigError(
            f"{key}: not a JSON schema: {' '.join(str(error).split())[:300]}", param=key
        ) from error


def headers_of(
    key: str, headers: Mapping[str, str], environment: Mapping[str, str], *, reads_only: bool
) -> dict[str, str]:
    """Raises `ConfigError`."""
    filled = {"Accept": "application/json, text/*;q=0.9, */*;q=0.5"}
    for name, text in headers.items():
        place = f"{key}.headers.{name}"
        if not _NAME.fullmatch(name) or name.lower() in OURS:
            raise ConfigError(f"{place}: this header can't be set", param=place)
        if reads_only and name.lower() == "cookie":
            raise ConfigError(f"{place}: cookies are never sent ahead of the model", param=place)
        value = with_environment(place, text, environment)
        if not value.isprintable():
            raise ConfigError(f"{place}: control characters in a header", param=place)
        filled = {known: kept for known, kept in filled.items() if known.lower() != name.lower()} | {
            name: value
        }
    return filled


def with_environment(key: str, text: str, environment: Mapping[str, str]) -> str:
    """With `${NAME}` replaced. Raises `ConfigError`; no error shows a value."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise ConfigError(f"{key}: the environment has no variable {match[1]}", param=key)
        return environment[match[1]]

    return _VARIABLE.sub(value, text)


def _check_slots(key: str, used: set[str], inert: frozenset[str], parameters: dict[str, Any]) -> None:
    """An argument without a place would be lost without a word; so would a place without its argument."""
    declared_names = set(parameters["properties"])
    if unknown := sorted((used | inert) - declared_names):
        raise ConfigError(
            f"{key}: {{{unknown[0]}}} is no argument; {key}.parameters.properties has "
            f"{', '.join(sorted(declared_names)) or 'none'}",
            param=key,
        )
    if unused := sorted(declared_names - used - inert):
        raise ConfigError(
            f"{key}: argument {unused[0]!r} is used nowhere: put {{{unused[0]}}} into url, query or body, or "
            "list it under `inert`",
            param=key,
        )
