"""How the SDK's client is connected: a pair of streams of messages, over a process's pipes or over HTTP.

Both are bounded, and say why they ended before they do, so that whoever waits for an answer can be told.
"""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeAlias

import anyio
import httpx2
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCMessage, jsonrpc_message_adapter
from pydantic import ValidationError

from paste_proxy.tools.mcp.process import LINE_LIMIT, ServerFailedError, ServerProcess

log = logging.getLogger(__name__)

Streams: TypeAlias = tuple[Any, Any]
"""What the SDK reads from and writes to: streams of `SessionMessage`, of its private types."""


class Fate(Protocol):
    """Who is told what becomes of a connection."""

    def end(self, why: str) -> None:
        """It is at its end; told before its streams are."""
        ...

    def not_run(self, request: int | str) -> None:
        """The server has forgotten the session that this request was for."""
        ...


CONNECT_TIMEOUT_S = 30.0
"""For a connection, and to write a request: the SDK's own value. Answers have the tool's time limit instead."""


@asynccontextmanager
async def process_streams(process: ServerProcess, fate: Fate) -> AsyncIterator[Streams]:
    """Stops the process when left."""
    said, heard = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    to_say, outbox = anyio.create_memory_object_stream[SessionMessage](0)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_read, process, said, fate)
            tasks.start_soon(_write, process, outbox)
            try:
                yield heard, to_say
            finally:
                tasks.cancel_scope.cancel()
    finally:
        for stream in (said, heard, to_say, outbox):
            stream.close()
        with anyio.CancelScope(shield=True):
            await process.stop()


async def _read(
    process: ServerProcess, said: MemoryObjectSendStream[SessionMessage | Exception], fate: Fate
) -> None:
    with said:
        try:
            async for line in process.lines():
                await said.send(SessionMessage(_message(line)))
            fate.end(await process.why_it_ended())
        except ServerFailedError as error:
            fate.end(str(error))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            log.debug("process %d: nobody listens to it any more", process.pid)


def _message(line: bytes) -> JSONRPCMessage:
    try:
        return jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValidationError as error:
        begin = line[:80].decode("utf-8", "replace")
        reason = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise ServerFailedError(f"it sent what is no JSON-RPC message ({reason}): {begin}") from error


async def _write(process: ServerProcess, outbox: MemoryObjectReceiveStream[SessionMessage]) -> None:
    async for item in outbox:
        try:
            await process.write(item.message.model_dump_json(by_alias=True, exclude_unset=True).encode())
        except OSError:
            return  # it reads no more; that it ended is told by its output


@asynccontextmanager
async def http_streams(url: str, headers: Mapping[str, str], fate: Fate) -> AsyncIterator[Streams]:
    # It would write each address into the log, with the key that some servers want in its query.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    # It shows a traceback for each answer that is no MCP; why a session ended is told by `connection`.
    logging.getLogger("mcp.client.streamable_http").setLevel(logging.CRITICAL)
    client = httpx2.AsyncClient(
        headers=dict(headers),
        timeout=httpx2.Timeout(CONNECT_TIMEOUT_S, read=None),
        transport=_Bounded(httpx2.AsyncHTTPTransport(), fate),
    )
    async with (
        client,
        streamable_http_client(url, http_client=client, max_sse_event_size=LINE_LIMIT) as streams,
    ):
        yield streams


class _Named(msgspec.Struct):
    id: int | str = ""
    """Notifications have none."""


class _Bounded(httpx2.AsyncBaseTransport):
    """The SDK bounds events of a stream, but no JSON body."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, fate: Fate) -> None:
        self._inner = inner
        self._fate = fate

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            response = await self._inner.handle_async_request(request)
        except httpx2.TransportError as error:
            address = request.url.copy_with(query=None)
            self._fate.end(f"{address} can't be reached: {error or type(error).__name__}")
            raise
        if response.status_code == 404 and "mcp-session-id" in request.headers and request.method == "POST":
            self._fate.not_run(msgspec.json.decode(request.content, type=_Named).id)
        if response.headers.get("content-type", "").lower().startswith("text/event-stream"):
            return response
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _BoundedBody(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedBody(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        room = LINE_LIMIT
        async for part in self._inner:
            room -= len(part)
            if room < 0:
                raise httpx2.StreamError(f"the body is larger than {LINE_LIMIT} bytes")
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()
