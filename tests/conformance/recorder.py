"""Between proxy and engine: notes the bytes of every reply, to compare them with what the client gets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from paste_proxy.tasks import TaskSet


class Recorder:
    """Relays TCP connections, one request each; `replies` holds the bytes that came back on each."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._tasks = TaskSet()
        self.url = ""
        self.replies: list[bytearray] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Recorder"]:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            await self._tasks.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        note = bytearray()
        self.replies.append(note)
        back_reader, back_writer = await asyncio.open_connection(*self._target)
        self._tasks.spawn(_pump(reader, back_writer, bytearray()), name="requests")
        await _pump(back_reader, writer, note)

    def last_body(self) -> bytes:
        """The body of the last reply, out of its chunks or as long as it says (RFC 9112 section 6)."""
        head, _, body = bytes(self.replies[-1]).rpartition(b"HTTP/1.1 ")[2].partition(b"\r\n\r\n")
        return _unchunked(body) if b"chunked" in head.lower() else body


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: bytearray) -> None:
    try:
        while part := await reader.read(65536):
            note += part
            writer.write(part)
            await writer.drain()
    except ConnectionError:
        pass  # either side may leave at any time: the other one is told by the close below
    finally:
        writer.close()


def _unchunked(body: bytes) -> bytes:
    data = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        data += rest[:length]
        body = rest[length + 2 :]
    return data
