"""The ends of a relay: this process's stdin and stdout, a server that is a child, a server at a URL."""

import asyncio
import contextlib
import os
import selectors
import signal
import stat
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, BinaryIO, Protocol

from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp.shared.message import ClientMessageMetadata, SessionMessage
from mcp_types import jsonrpc_message_adapter

from paste_proxy.client.carrier import KEY_VARIABLE
from paste_proxy.tools.mcp.process import EXIT_GRACE_S, TERM_GRACE_S, ServerFailedError, reaped
from paste_proxy.tools.mcp.transports import Streams

LINE_LIMIT = 256 * 1024 * 1024
"""Bytes of one line: what an agent and its server agree on passes, but something must end."""


class Wire(Protocol):
    def lines(self) -> AsyncIterator[bytes]:
        """With their ends; until the other side has ended."""
        ...

    async def say(self, line: bytes) -> None: ...


class AgentWire:
    """Our stdin and stdout."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def lines(self) -> AsyncIterator[bytes]:
        async for line in _lines(self._reader):
            yield line

    async def say(self, line: bytes) -> None:
        self._writer.write(line)
        await self._writer.drain()

    def close(self) -> None:
        self._writer.close()


async def agent_wire() -> AgentWire:
    """Raises `ServerFailedError` where nobody can be at the other ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    if not _waits(sys.stdin.buffer) or stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode):
        raise ServerFailedError("stdin and stdout are no pipes: an agent starts this command, as a server's")
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.streams.FlowControlMixin(loop=loop), sys.stdout.buffer
    )
    return AgentWire(reader, asyncio.StreamWriter(transport, protocol, None, loop))


def _waits(stream: BinaryIO) -> bool:
    """Whether its next bytes can be waited for: not those of a file, nor of /dev/null."""
    with selectors.DefaultSelector() as selector:
        try:
            selector.register(stream, selectors.EVENT_READ)
        except PermissionError:
            return False
    return True


class ChildWire:
    """The agent's own server, as the agent would have started it: its environment, our stderr."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._stdin, self._stdout = process.stdin, process.stdout

    async def lines(self) -> AsyncIterator[bytes]:
        async for line in _lines(self._stdout):
            yield line

    async def say(self, line: bytes) -> None:
        """Where it is gone, its output says so."""
        self._stdin.write(line)
        with contextlib.suppress(ConnectionError):
            await self._stdin.drain()

    async def stop(self) -> int:
        """Its exit status, as a shell has it."""
        self._stdin.close()
        for number, grace_s in ((signal.SIGTERM, EXIT_GRACE_S), (signal.SIGKILL, TERM_GRACE_S)):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._process.wait()
                break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
        status = await reaped(self._process)
        return status if status >= 0 else 128 - status


def child_environment() -> dict[str, str]:
    """Ours, as the agent gave it to us, but for the proxy's key: it is for us, and no server's."""
    return {name: value for name, value in os.environ.items() if name != KEY_VARIABLE}


async def child_wire(command: Sequence[str]) -> ChildWire:
    """Raises `ServerFailedError`."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
            start_new_session=True,
            env=child_environment(),
        )
    except (OSError, ValueError) as error:
        raise ServerFailedError(f"{command[0]!r} can't be started: {error}") from error
    return ChildWire(process)


class HttpWire:
    """A server at a URL: messages rather than lines, so their spelling is ours, and their content is not."""

    def __init__(self, streams: Streams) -> None:
        self._heard, self._to_say = streams
        self._headers: dict[str, str] = {}

    async def lines(self) -> AsyncIterator[bytes]:
        async for item in self._heard:
            if isinstance(item, Exception):
                continue  # the SDK has logged what was no message
            self._note_version(item.message)
            yield item.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"

    async def say(self, line: bytes) -> None:
        with contextlib.suppress(ValueError):  # what is no message can't be sent to a server at a URL
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
            await self._to_say.send(SessionMessage(message, ClientMessageMetadata(headers=self._headers)))

    def _note_version(self, message: Any) -> None:
        """Later requests must name it (2025-11-25, Transports, Protocol Version Header)."""
        result = getattr(message, "result", None)
        if isinstance(result, Mapping) and "serverInfo" in result:
            self._headers = {MCP_PROTOCOL_VERSION_HEADER: str(result.get("protocolVersion", ""))}


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    try:
        while line := await reader.readline():
            yield line
    except ValueError as error:
        raise ServerFailedError(f"a line of more than {LINE_LIMIT} bytes") from error
