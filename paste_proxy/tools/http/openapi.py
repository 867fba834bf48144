"""OpenAPI 3.0 and 3.1: chosen operations of a document as tools.

A tool's arguments are the operation's parameters and, where its JSON body is an object with named properties
that are no parameters, these beside them; any other body is the argument `body`. What a document may say and
this can't carry out is an error at the start, with the operation's name: a call that leaves something out would
be another call.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import yaml
from yarl import URL

from paste_proxy.config_http import OpenApiConfig
from paste_proxy.errors import ConfigError
from paste_proxy.tools.http.guard import Guard
from paste_proxy.tools.http.openapi_schemas import Schemas, UnsupportedError
from paste_proxy.tools.http.operations import (
    READING,
    Operation,
    closed_schema,
    compiled,
    declared,
    headers_of,
    split_url,
)

_ODD_NAME = re.compile(r"[{}/\s]")
"""Of an argument: it could not be written as `{name}`."""

METHODS = ("get", "head", "post", "put", "patch", "delete")
BODY = "body"
"""The argument that is the whole body."""
DESCRIBED = 2000
"""Characters of a description: models read it with every request."""
NAMED = 30
"""Operations that an error lists: large documents have a thousand."""


class _Loader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]
    """Dates are texts, as in JSON."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the base class has it
        first: [(tag, shape) for tag, shape in shapes if not tag.endswith(":timestamp")]
        for first, shapes in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class Found(msgspec.Struct, frozen=True):
    """An operation where the document has it."""

    method: str
    path: str
    item: dict[str, Any]
    operation: dict[str, Any]

    @property
    def label(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def id(self) -> str:
        """Its `operationId`; "" where it has none."""
        said = self.operation.get("operationId")
        return said if isinstance(said, str) else ""

    @property
    def name(self) -> str:
        """`operationId` as a name of tools, else one made of method and path."""
        return re.sub(r"[^a-zA-Z0-9_-]+", "_", self.id or self.label).strip("_")


class Parts(msgspec.Struct):
    """What an operation's parameters and body come to."""

    properties: dict[str, Any] = {}
    required: list[str] = []
    query: dict[str, str] = {}
    joined: set[str] = set()
    body: Any = None
    has_body: bool = False


def operations_of_document(
    name: str, config: OpenApiConfig, text: bytes, guard: Guard, environment: Mapping[str, str]
) -> list[Operation]:
    """Raises `ConfigError`."""
    key = f"openapi.{name}"
    document = _document(f"{key}.document", text)
    found = _chosen(key, config, list(_operations(document)))
    base = _base(key, config, document)
    made = []
    for one in found:
        try:
            made.append(_operation(key, config, one, document, base, guard, environment))
        except ConfigError:
            raise
        except Exception as error:  # somebody else's document may have anything anywhere
            reason = str(error) if isinstance(error, UnsupportedError) else f"malformed: {error}"
            raise ConfigError(f"{key}.include: {one.label}: {reason}", param=f"{key}.include") from error
    return made


def _document(key: str, text: bytes) -> dict[str, Any]:
    """JSON is tried first: it is YAML too, but takes a hundredth of the time."""
    try:
        document = msgspec.json.decode(text)
    except ValueError:
        try:
            document = yaml.load(text, _Loader)  # a SafeLoader
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ConfigError(f"{key}: neither JSON nor YAML: {reason}", param=key) from error
    version = document.get("openapi") if isinstance(document, dict) else None
    if not isinstance(version, str) or not version.startswith("3."):
        raise ConfigError(f"{key}: {_not_openapi_3(document)}", param=key)
    return dict(document)


def _not_openapi_3(document: object) -> str:
    if isinstance(document, dict) and "swagger" in document:
        return "Swagger 2.0: only OpenAPI 3 is read; converters exist"
    if isinstance(document, dict) and "openapi" in document:
        return f"openapi: {document['openapi']}: only versions 3.x are read"
    return "no OpenAPI document: it has no key `openapi` with its version, as in `openapi: 3.1.0`"


def _operations(document: dict[str, Any]) -> Iterator[Found]:
    paths = document.get("paths")
    for path, item in paths.items() if isinstance(paths, dict) else ():
        for method in METHODS if isinstance(item, dict) else ():
            if isinstance(item.get(method), dict):
                yield Found(method, path, item, item[method])


def _chosen(key: str, config: OpenApiConfig, found: list[Found]) -> list[Found]:
    by_name = {one.label: one for one in found} | {one.id: one for one in found if one.id}
    for wanted in config.include:
        if wanted not in by_name:
            known = ", ".join(one.id or one.label for one in found[:NAMED])
            more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
            reason = f"there is no operation {wanted!r}; known: {known}{more}"
            raise ConfigError(f"{key}.include: {reason}", param=f"{key}.include")
    for setting in ("read", "volatile", "consumes"):
        for wanted in getattr(config, setting):
            if wanted not in config.include:
                where = f"{key}.{setting}"
                raise ConfigError(f"{where}: {wanted!r} is not under {key}.include", param=where)
    for wanted in config.read:
        if by_name[wanted].method.upper() not in READING:
            method = by_name[wanted].method.upper()
            raise ConfigError(f"{key}.read: {wanted}: {method} is never a `read`", param=f"{key}.read")
    return list({id(one): one for one in map(by_name.__getitem__, config.include)}.values())


def _base(key: str, config: OpenApiConfig, document: dict[str, Any]) -> str:
    """The address that paths are appended to."""
    if config.base_url:
        return config.base_url.rstrip("/")
    servers = document.get("servers")
    server = servers[0] if isinstance(servers, list) and servers and isinstance(servers[0], dict) else {}
    address = str(server.get("url", ""))
    variables = server.get("variables")
    for name, variable in variables.items() if isinstance(variables, dict) else ():
        if isinstance(variable, dict):
            address = address.replace(f"{{{name}}}", str(variable.get("default", "")))
    if "://" not in address and "://" in config.document:
        address = str(URL(config.document).join(URL(address or "/")))
    if "://" not in address:
        key = f"{key}.base_url"
        raise ConfigError(f"{key}: the document names no server: state it here", param=key)
    return address.rstrip("/")


def _operation(
    key: str,
    config: OpenApiConfig,
    found: Found,
    document: dict[str, Any],
    base: str,
    guard: Guard,
    environment: Mapping[str, str],
) -> Operation:
    """Raises `ConfigError`, `UnsupportedError`."""
    place = f"{key}.include: {found.label}"
    headers = headers_of(key, config.headers, environment, reads_only=_is_read(config, found))
    parts = _parts(found, Schemas(document), {name.lower() for name in headers})
    schema = {"type": "object", "properties": parts.properties, "required": parts.required}
    if not parts.required:
        del schema["required"]
    origin, path = split_url(place, base + found.path, guard)
    parameters = closed_schema(place, schema)
    name = config.prefix + found.name
    if not 1 <= len(name) <= 64:
        raise UnsupportedError(f"{name!r} is no name of a tool: at most 64 characters")
    return Operation(
        spec=declared(
            key,
            name,
            _described(found),
            parameters,
            config,
            reads_only=_is_read(config, found),
            volatile=_is_said(config.volatile, found, "x-paste-volatile"),
            consumes=_is_said(config.consumes, found, "x-paste-consumes"),
        ),
        method=found.method.upper(),
        base=origin,
        path=path,
        query=parts.query,
        headers=headers,
        validator=compiled(place, parameters),
        body=parts.body,
        has_body=parts.has_body,
        joined=frozenset(parts.joined),
        grace=config.grace,
    )


def _is_read(config: OpenApiConfig, found: Found) -> bool:
    return found.label in config.read or found.id in config.read


def _is_said(listed: tuple[str, ...], found: Found, extension: str) -> bool:
    """By the operator, or by the document, whose word can only narrow what the tool may do."""
    return found.label in listed or found.id in listed or bool(found.operation.get(extension))


def _described(found: Found) -> str:
    said = [found.operation.get("summary"), found.operation.get("description")]
    texts = [text.strip() for text in said if isinstance(text, str) and text.strip()]
    return "\n\n".join(dict.fromkeys(texts))[:DESCRIBED]


def _parts(found: Found, schemas: Schemas, given: set[str]) -> Parts:
    """`given`: headers that the operator sets, in lower case. Raises `UnsupportedError`."""
    parts = Parts()
    in_path: set[str] = set()
    for parameter in _parameters(found, schemas):
        name, place, needed = parameter.get("name"), parameter.get("in"), parameter.get("required") is True
        if not isinstance(name, str):
            raise UnsupportedError("a parameter has no name")
        if place in ("header", "cookie"):
            if needed and not (place == "header" and name.lower() in given):
                raise UnsupportedError(f"needs the {place} {name!r}: set it under `headers`")
            continue
        if _ODD_NAME.search(name):
            raise UnsupportedError(f"parameter {name!r}: such a name can't be an argument")
        if name in parts.properties:
            raise UnsupportedError(f"two parameters are called {name!r}")
        parts.properties[name] = _described_schema(parameter, schemas)
        if needed or place == "path":
            parts.required.append(name)
        if place == "query":
            _add_to_query(parts, name, parameter)
        else:
            in_path.add(name)
    named = set(re.findall(r"\{([^{}]+)\}", found.path))
    if named != in_path:
        odd = ", ".join(sorted(named ^ in_path))
        raise UnsupportedError(f"path and parameters don't agree on {odd}")
    _add_body(parts, found, schemas)
    return parts


def _parameters(found: Found, schemas: Schemas) -> list[dict[str, Any]]:
    """Those of the operation replace those of its path that have the same name and place."""
    by_place: dict[tuple[Any, Any], dict[str, Any]] = {}
    for owner in (found.item, found.operation):
        for one in owner.get("parameters") or ():
            parameter = schemas.resolved(one)
            by_place[parameter.get("name"), parameter.get("in")] = parameter
    return list(by_place.values())


def _described_schema(parameter: dict[str, Any], schemas: Schemas) -> dict[str, Any]:
    name, place = parameter["name"], parameter.get("in")
    if "schema" not in parameter:
        raise UnsupportedError(f"parameter {name!r} has no `schema` (`content` is not read)")
    style = parameter.get("style", "simple" if place == "path" else "form")
    if (place, style) not in (("path", "simple"), ("query", "form")):
        raise UnsupportedError(f"parameter {name!r}: in: {place}, style: {style} is not known here")
    schema = schemas.plain(parameter["schema"])
    if schema.get("type") == "object" or (place == "path" and schema.get("type") == "array"):
        raise UnsupportedError(f"parameter {name!r}: an {schema['type']} in a {place} is not known here")
    said = parameter.get("description")
    return {"description": said, **schema} if isinstance(said, str) and said else schema


def _add_to_query(parts: Parts, name: str, parameter: dict[str, Any]) -> None:
    parts.query[name] = f"{{{name}}}"
    if parameter.get("explode") is False:
        parts.joined.add(name)


def _add_body(parts: Parts, found: Found, schemas: Schemas) -> None:
    if "requestBody" not in found.operation:
        return
    request = schemas.resolved(found.operation["requestBody"])
    kinds = request.get("content")
    content = kinds.get("application/json") if isinstance(kinds, dict) else None
    if not isinstance(content, dict):
        known = ", ".join(kinds) if isinstance(kinds, dict) else "none"
        raise UnsupportedError(f"its body is {known}: only application/json is known here")
    if found.method.upper() in READING:
        raise UnsupportedError(f"a {found.method.upper()} with a body")
    schema = schemas.plain(content.get("schema", {}))
    needed = request.get("required") is True
    parts.has_body = True
    if _is_spread(schema, parts):
        parts.body = {name: f"{{{name}}}" for name in schema["properties"]}
        parts.properties |= schema["properties"]
        parts.required += schema.get("required", []) if needed else []
        return
    if BODY in parts.properties:
        raise UnsupportedError(f"a parameter is called {BODY!r}, as the argument for the body would be")
    parts.properties[BODY], parts.body = schema, f"{{{BODY}}}"
    parts.required += [BODY] if needed else []


def _is_spread(schema: dict[str, Any], parts: Parts) -> bool:
    """Whether a body's properties can stand beside the parameters, and say all that it may hold."""
    if schema.get("type", "object") != "object" or not schema.get("properties"):
        return False
    if schema.keys() - {"type", "properties", "required", "additionalProperties", "title", "description"}:
        return False
    names = schema["properties"].keys()
    fits = not any(_ODD_NAME.search(name) for name in names) and not names & parts.properties.keys()
    return fits and not isinstance(schema.get("additionalProperties"), dict)
