"""A server that speaks SGLang's stream format, each event in a write of its own, at a steady pace.

`python -m benchmarks.relay_engine`: prints its port. A request's `max_tokens` is its number of events,
its `pace_ms` the pause between them. Protocol-level, so that the load costs less than what is measured.
"""

import asyncio
import sys
from collections.abc import Iterator
from typing import cast

import msgspec
import uvloop

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
TEXT = (
    '{"id":"3f1c2a9d","object":"chat.completion.chunk","created":1790000000,"model":"smol","choices":[{"index":0,'
    '"delta":{"role":null,"content":" word","reasoning_content":null,"tool_calls":null},"logprobs":null,'
    '"finish_reason":null,"matched_stop":null}],"usage":null}'
)
ARGUMENTS = (
    '{"id":"3f1c2a9d","object":"chat.completion.chunk","created":1790000000,"model":"smol","choices":[{"index":0,'
    '"delta":{"role":null,"content":null,"reasoning_content":null,"tool_calls":[{"id":null,"index":0,'
    '"type":"function","function":{"name":null,"arguments":"x"}}]},"logprobs":null,'
    '"finish_reason":null,"matched_stop":null}],"usage":null}'
)


class Ask(msgspec.Struct):
    max_tokens: int
    pace_ms: float


def _event(data: str) -> bytes:
    body = f"data: {data}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(body), body)


def reply(events: int) -> list[bytes]:
    """A turn: text for three quarters, then a tool call whose arguments stream, then its end."""
    calls = events // 4
    first = ARGUMENTS.replace('"id":null,"index"', '"id":"call_1","index"').replace('"name":null', '"name":"f"')
    opening = _event(first.replace('"x"', '"{\\"q\\":\\""'))
    closing = _event(ARGUMENTS.replace('"x"', '"\\"}"'))
    end = _event(
        TEXT.replace('" word"', "null").replace('"finish_reason":null', '"finish_reason":"tool_calls"')
    )
    text = [_event(TEXT)] * (events - calls - 4)
    return [*text, opening, *[_event(ARGUMENTS)] * calls, closing, end, _event("[DONE]") + b"0\r\n\r\n"]


class Engine(asyncio.Protocol):
    """Keep-alive HTTP/1.1, requests with a Content-Length only."""

    def __init__(self) -> None:
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, end, body = self._held.partition(b"\r\n\r\n")
        if not end:
            return
        if head.startswith(b"GET"):
            self._held = b""
            self._transport.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
        if len(body) >= length:
            self._held = b""
            ask = msgspec.json.decode(body[:length], type=Ask)
            self._transport.write(HEAD)
            self._next(iter(reply(ask.max_tokens)), ask.pace_ms / 1000)

    def _next(self, events: Iterator[bytes], pace_s: float) -> None:
        event = next(events, None)
        if event is not None and not self._transport.is_closing():
            self._transport.write(event)
            asyncio.get_running_loop().call_later(pace_s, self._next, events, pace_s)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Engine, "127.0.0.1", 0, backlog=1024)
    print(f"listening on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
