"""What the tool plane costs: a call over REST and MCP, one whose result is staged, and one of a wrapped tool.

`python -m benchmarks.gateway [--json]`, below a minute. The tool does nothing. Proxy, engine and what is
compared with are processes of their own on loopback; pairs are interleaved, call by call, and each figure is a
median:

- `rest_added_ms_p50`: a call of the gateway, less one of the same function in a bare aiohttp handler;
- `rest_calls_per_s`: calls over one core, by the CPU time that the kernel charged to the proxy;
- `reused_ms_p50`: a whole call that finds its result staged (a turn of its own had asked for it);
- `mcp_added_ms_p50`: a call over `/mcp`, less one of the SDK's own server, both with the SDK's client;
- `wrap_added_ms_p50`: a call of a wrapped function for which nothing is staged, less one of the bare function.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import uvloop
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from benchmarks.gateway_bare import TOOL, look_up
from benchmarks.relay import cpu_s, running
from paste_proxy.client import close, wrap

PAIRS = 1500
WARM_UP = 100
BURST = 32
"""Connections that call at once, for the figure per core."""
BURST_CALLS = 4000

PLUGIN = '''
from paste_proxy.tools import Effect, tool

@tool(effect=Effect.READ, reads=())
async def look_up(word: str) -> str:
    """Look a word up."""
    return word
'''
SCHEMA = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}

Once = Callable[[int], Awaitable[None]]
"""Makes one call, of the tool with a word that no other call has."""


class Rest:
    """One keep-alive connection; as thin as it can be, so that what is measured is at its other end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, url: str) -> "Rest":
        host, _, port = url.removeprefix("http://").partition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def post(self, path: str, body: bytes, **headers: str) -> bytes:
        """The head of the reply; its body is read and dropped."""
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}Content-Type: application/json\r\n"
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        lower = answer.lower()
        if b"chunked" in lower:
            await self._reader.readuntil(b"\r\n0\r\n\r\n")
        else:
            await self._reader.readexactly(int(lower.partition(b"content-length:")[2].split()[0]))
        if b" 200 " not in answer[:16]:
            raise SystemExit(f"{path}: {answer!r}")
        return lower

    async def call(self, number: int) -> None:
        await self.post(f"/v1/tools/{TOOL}", b'{"word":"w%d"}' % number)


async def added(ours: Once, theirs: Once, pairs: int) -> float:
    """Milliseconds that ours takes longer, as the difference of the medians of interleaved calls."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(2 * (pairs + WARM_UP)):
        one = (ours, theirs)[number % 2]
        start = time.perf_counter()
        await one(number)
        if number >= 2 * WARM_UP:
            times[number % 2].append((time.perf_counter() - start) * 1000)
    return round(statistics.median(times[0]) - statistics.median(times[1]), 3)


async def calls_per_s(url: str, pid: int) -> int:
    async def work(number: int) -> None:
        connection = await Rest.connect(url)
        for call in range(BURST_CALLS // BURST):
            await connection.call(number * BURST_CALLS + call)

    before = cpu_s(pid)
    await asyncio.gather(*(work(number) for number in range(BURST)))
    return round(BURST_CALLS / (cpu_s(pid) - before))


async def reused_ms(url: str) -> float:
    """Each call after a turn that asked for it, and has ended."""
    turns, calls = await Rest.connect(url), await Rest.connect(url)
    tools = [{"type": "function", "function": {"name": TOOL, "parameters": SCHEMA}}]
    times: list[float] = []
    outcomes: list[bool] = []
    for number in range(PAIRS // 3 + WARM_UP):
        word = f"r{number}"
        messages = [{"role": "user", "content": word}]
        turn = json.dumps({"model": "m", "stream": True, "messages": messages, "tools": tools}).encode()
        await turns.post("/v1/chat/completions", turn, x_session_id=word)
        arguments, ids = (
            b'{"word":"%b"}' % word.encode(),
            {"x_session_id": word, "x_tool_call_id": f"call_{word}"},
        )
        start = time.perf_counter()
        answer = await calls.post(f"/v1/tools/{TOOL}", arguments, **ids)
        times.append((time.perf_counter() - start) * 1000)
        outcomes.append(b"x-paste-outcome: reused" in answer)
    if sum(outcomes) < 0.9 * len(outcomes):
        raise SystemExit(f"only {sum(outcomes)} of {len(outcomes)} calls found a result staged")
    return round(statistics.median(times[WARM_UP:]), 3)


async def mcp_session(stack: AsyncExitStack, url: str) -> Once:
    streams = await stack.enter_async_context(streamable_http_client(f"{url}/mcp"))
    session = await stack.enter_async_context(ClientSession(streams[0], streams[1]))
    await session.initialize()

    async def once(number: int) -> None:
        result: Any = await session.call_tool(TOOL, {"word": f"m{number}"})
        if result.is_error:
            raise SystemExit(f"{url}: {result}")

    return once


async def wrap_added_ms(url: str) -> float:
    [wrapped] = wrap([look_up], proxy=url, effects={TOOL: "read"})
    await asyncio.sleep(1.0)  # the connection is made in the background

    async def ours(number: int) -> None:
        await wrapped(word=f"x{number}")

    async def theirs(number: int) -> None:
        await look_up(word=f"x{number}")

    try:
        return await added(ours, theirs, PAIRS)
    finally:
        await asyncio.to_thread(close)


async def measure(gateway: tuple[str, int], leasing: str, rest: str, mcp: str) -> dict[str, float]:
    url, pid = gateway
    direct, proxied = await Rest.connect(rest), await Rest.connect(url)
    figures: dict[str, float] = {"rest_added_ms_p50": await added(proxied.call, direct.call, PAIRS)}
    figures["rest_calls_per_s"] = await calls_per_s(url, pid)
    figures["reused_ms_p50"] = await reused_ms(url)
    async with AsyncExitStack() as stack:
        ours, theirs = await mcp_session(stack, url), await mcp_session(stack, mcp)
        figures["mcp_added_ms_p50"] = await added(ours, theirs, PAIRS // 3)
    figures["wrap_added_ms_p50"] = await wrap_added_ms(leasing)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="paste-bench-")))
        (folder / "p.py").write_text(PLUGIN)
        speculation = {"allow": [TOOL], "min_service_s": 0}
        (folder / "leasing.yaml").write_text(json.dumps({"speculation": speculation}))
        config = {"speculation": speculation, "plugins": [{"path": "p.py"}]}
        (folder / "gateway.yaml").write_text(json.dumps(config))
        engine, _ = stack.enter_context(running("-m", "benchmarks.gateway_bare", "engine"))
        serve = ("-m", "paste_proxy", "serve", "--backend", engine, "--port", "0", "--config")
        gateway = stack.enter_context(running(*serve, str(folder / "gateway.yaml")))
        leasing, _ = stack.enter_context(running(*serve, str(folder / "leasing.yaml")))
        rest, _ = stack.enter_context(running("-m", "benchmarks.gateway_bare", "rest"))
        mcp, _ = stack.enter_context(running("-m", "benchmarks.gateway_bare", "mcp"))
        figures = uvloop.run(measure(gateway, leasing, rest, mcp))
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:20} {value}")


if __name__ == "__main__":
    main()
