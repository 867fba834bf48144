"""A slow reader slows its writer down; what the proxy holds meanwhile is bounded."""

import asyncio
import contextlib
import socket

from tests.patience import SOON_S
from tests.proxy.support import STREAM_HEAD, Streams, chat_request, chunk, proxy, raw_backend, read_request

TOTAL = 64 << 20
PIECE = 64 << 10
SLACK = 16 << 20
"""What the kernel's socket buffers of four sockets, and the proxy's own, may hold in all."""


def narrow(streams: Streams) -> None:
    """A small receive window, so that the kernel does not hide what the proxy does."""
    sock: socket.socket = streams[1].get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)


async def stalls(count: list[int]) -> int:
    """Waits until `count[0]` no longer grows."""
    last = -1
    while count[0] != last:
        last = count[0]
        await asyncio.sleep(0.05)
    return last


async def test_a_client_that_does_not_read_stops_the_backend() -> None:
    sent = [0]

    async def backend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD)
        piece = chunk(b":" + b"x" * (PIECE - 2) + b"\n")
        while sent[0] < TOTAL:
            writer.write(piece)
            await writer.drain()
            sent[0] += PIECE
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async with raw_backend(backend) as port, proxy(port) as running:
        reader, writer = await running.connect()
        narrow((reader, writer))
        writer.write(chat_request())
        assert await stalls(sent) < SLACK
        received = 0
        while not (part := await asyncio.wait_for(reader.read(1 << 20), SOON_S)).endswith(b"0\r\n\r\n"):
            received += len(part)
        assert received + len(part) > TOTAL
        assert await asyncio.wait_for(running.runtime.turns[0].closed, SOON_S) is True


async def test_a_client_that_does_not_read_and_leaves_frees_the_backend() -> None:
    left = asyncio.Event()
    sent = [0]

    async def backend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD)
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(chunk(b"x" * PIECE))
                await writer.drain()
                sent[0] += PIECE
        left.set()

    async with raw_backend(backend) as port, proxy(port) as running:
        streams = await running.connect()
        narrow(streams)
        streams[1].write(chat_request())
        assert await stalls(sent) < SLACK
        streams[1].transport.abort()
        await asyncio.wait_for(left.wait(), SOON_S)


async def test_a_backend_that_does_not_read_stops_the_client() -> None:
    async def backend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    sent = [0]

    async def upload(writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % TOTAL)
        while sent[0] < TOTAL:
            writer.write(b"x" * PIECE)
            await writer.drain()
            sent[0] += PIECE

    async with raw_backend(backend) as port, proxy(port, silence_s=0.5) as running:
        _, writer = await running.connect()
        uploading = asyncio.create_task(upload(writer))  # noqa: TID251 - a test's own task
        assert await stalls(sent) < SLACK
        uploading.cancel()
        await asyncio.wait([uploading])
