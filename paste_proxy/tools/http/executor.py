"""Runs HTTP tools: a call becomes a request, its answer a result. Implements `ports.Executor`."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from paste_proxy.config import NetworkConfig
from paste_proxy.errors import ToolError, UnknownToolError
from paste_proxy.tools.ahead import enter
from paste_proxy.tools.http.client import Client, Limits, Response
from paste_proxy.tools.http.operations import Operation
from paste_proxy.tools.http.texts import content_type, decoded, is_json, is_text
from paste_proxy.tools.moments import limit_of
from paste_proxy.tools.ports import Output, Run

HTTP = "http"
"""The source of these tools."""

SHOWN = 2000
"""Characters of an error's body that are passed on: it goes into a model's context."""
METADATA = ("Content-Type", "Content-Length", "Last-Modified", "ETag", "Location")
"""Headers that are the result of a HEAD: what a program asks it for, and nothing that changes by itself."""


class HttpExecutor:
    """`network`: `speculation.network`."""

    def __init__(
        self,
        operations: Iterable[Operation],
        client: Client,
        network: Mapping[str, NetworkConfig] = MappingProxyType({}),
    ) -> None:
        self._network = network
        self._operations = {operation.spec.name: operation for operation in operations}
        self._client = client

    async def run(self, run: Run, begun: Callable[[], None]) -> Output:
        operation = self._operations.get(run.tool)
        if operation is None:
            raise UnknownToolError(f"unknown tool {run.tool!r}", param=run.tool)
        enter(run, self._network)
        request = operation.request(run.arguments)
        limits = Limits(operation.spec.result_limit, operation.spec.timeout, operation.grace)
        try:
            self._client.check_ahead(request, run.tool)
            begun()
            answer = await self._client.send(request, limits, group=run.tool)
        except ToolError as error:
            raise type(error)(f"{run.tool}: {error.message}", param=run.tool) from error
        return result(operation, answer)

    def fingerprint(self, tool: str, arguments: dict[str, Any]) -> bytes | None:
        return None

    def promote(self, run: str) -> None:
        """Requests have no priority here."""

    async def warm_up(self) -> None:
        """Connections come with the first request: one that nobody uses is closed by the server."""

    async def close(self) -> None:
        await self._client.close()


def result(operation: Operation, answer: Response) -> Output:
    """Raises `ToolError` for a status that is no success, or a body that is neither JSON nor text."""
    tool = operation.spec.name
    kind, charset = content_type(answer.headers)
    if not 200 <= answer.status < 300:
        said = " ".join(decoded(answer.body[: 4 * SHOWN], charset).split())[:SHOWN]
        reason = f"{tool}: {answer.url.raw_host} answered {answer.status}{': ' if said else ''}{said}"
        raise ToolError(reason, param=tool)
    if operation.method == "HEAD":
        told = {name.lower(): answer.headers[name] for name in METADATA if name in answer.headers}
        return Output(msgspec.json.encode(told), max_age=answer.max_age)
    if is_json(kind):
        return _json(operation, answer)
    if not answer.body or is_text(kind):
        text = decoded(answer.body, charset).encode()
        return Output(text, is_text=True, max_age=_max_age(operation, answer, None))
    size = len(answer.body)
    raise ToolError(f"{tool}: the answer is {kind}, {size} bytes: neither JSON nor text", param=tool)


def _json(operation: Operation, answer: Response) -> Output:
    tool = operation.spec.name
    body = answer.body.removeprefix(b"\xef\xbb\xbf")
    if not body:
        return Output(b"", is_text=True, max_age=_max_age(operation, answer, None))
    try:
        value = msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:
        raise ToolError(f"{tool}: the answer calls itself JSON and is not: {error}", param=tool) from error
    return Output(body, max_age=_max_age(operation, answer, value))


def _max_age(operation: Operation, answer: Response, value: object) -> float | None:
    """By the server's headers and, where one is declared, the result's time stamp. Without it: of any age."""
    if not operation.timestamp:
        return answer.max_age
    stamp = value.get(operation.timestamp) if isinstance(value, dict) else None
    limit = limit_of(stamp, operation.spec.max_age, answer.sent)
    return limit if answer.max_age is None else min(limit, answer.max_age)
