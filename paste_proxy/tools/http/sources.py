"""All HTTP tools of a configuration: those written in it, and those of OpenAPI documents."""

from collections.abc import Mapping
from pathlib import Path

from yarl import URL

from paste_proxy.config import Config
from paste_proxy.config_http import OpenApiConfig
from paste_proxy.errors import ConfigError, ToolError, UnavailableError
from paste_proxy.tools.http.client import Client, Limits, Request
from paste_proxy.tools.http.guard import Guard, TargetRefusedError
from paste_proxy.tools.http.openapi import operations_of_document
from paste_proxy.tools.http.operations import Operation, operations_of

DOCUMENT = Limits(bytes=16 * 1024 * 1024, seconds=30.0)
"""Of an OpenAPI document that is fetched: GitHub's, among the largest, has 12 MB."""


def http_operations(
    config: Config, guard: Guard, documents: Mapping[str, bytes], environment: Mapping[str, str]
) -> list[Operation]:
    """Raises `ConfigError`. `documents`: what `fetched_documents` gave."""
    found = operations_of(config.http_tools, guard, environment)
    for name, api in config.openapi.items():
        text = documents[name] if name in documents else _read(f"openapi.{name}.document", api)
        found += operations_of_document(name, api, text, guard, environment)
    return found


async def fetched_documents(config: Config) -> dict[str, bytes]:
    """The documents that are named by address. Raises `UnavailableError`, and `ConfigError`."""
    client = Client(config.http.targets, "http.targets")
    try:
        return {
            name: await _fetched(client, f"openapi.{name}.document", api.document)
            for name, api in config.openapi.items()
            if "://" in api.document
        }
    finally:
        await client.close()


async def _fetched(client: Client, key: str, address: str) -> bytes:
    try:
        answer = await client.send(Request("GET", client.guard.parse(address)), DOCUMENT, ahead=False)
    except TargetRefusedError as error:
        raise ConfigError(f"{key}: {error.message}", param=key) from error
    except ToolError as error:
        raise UnavailableError(f"{key}: {error.message}", param=key) from error
    if answer.status != 200:
        raise UnavailableError(f"{key}: {URL(address).raw_host} answered {answer.status}", param=key)
    return answer.body


def _read(key: str, api: OpenApiConfig) -> bytes:
    if "://" in api.document:
        raise ConfigError(f"{key}: {api.document} has to be fetched first", param=key)
    try:
        return Path(api.document).read_bytes()
    except OSError as error:
        raise ConfigError(f"{key}: {api.document}: {error.strerror}", param=key) from error
