"""What relaying costs: CPU per event, added time to the first token, and the second request of a connection.

`python -m benchmarks.relay [--json]`, below a minute. Engine, bare proxy and paste-proxy (its default
configuration, tap on) are processes of their own on loopback; the cells are interleaved, and each figure is
the median of its rounds. CPU is what the kernel charged to all threads of a proxy's process while 100
streams of separately sent events ran through it, divided by the events.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop

STREAMS = 100
EVENTS = 120
"""Per stream and round."""
PACE_MS = 25.0
"""Between a stream's events: 4,000 events a second in all leave every process below one core."""
ROUNDS = 4
TTFT_PAIRS = 300
SECOND_PAIRS = 60
WARM_UP = 50


@contextmanager
def running(*command: str) -> Iterator[tuple[str, int]]:
    """A process that prints `listening on URL`; gives URL and pid."""
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        if "http://" not in line:
            raise SystemExit(f"{' '.join(command)} did not start: {line!r}")
        yield "http://" + line.partition("http://")[2].strip(), process.pid
    finally:
        process.terminate()
        process.wait()


def cpu_s(pid: int) -> float:
    """CPU seconds of all threads of a process (Linux; nanoseconds from the scheduler)."""
    stats = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(stat.read_text().split()[0]) for stat in stats) / 1e9


def body(events: int, pace_ms: float) -> bytes:
    """A chat request as agents send them: a system prompt, a short history, two tools."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    history = [
        {"role": "system", "content": "You are an agent. " * 200},
        {"role": "user", "content": "Find it. " * 50},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "result " * 200},
    ]
    return json.dumps(
        {
            "model": "smol",
            "stream": True,
            "messages": history,
            "tools": [tool, tool],
            "max_tokens": events,
            "pace_ms": pace_ms,
        }
    ).encode()


class Client:
    """One keep-alive connection; streams one reply after another."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, url: str) -> "Client":
        parts = urlsplit(url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    async def stream(self, request: bytes) -> tuple[float, float]:
        """Seconds to the first event and to the end."""
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\n"
        start = time.perf_counter()
        self._writer.write(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(request), request))
        await self._reader.readuntil(b"data: ")
        first = time.perf_counter() - start
        await self._reader.readuntil(b"\r\n0\r\n\r\n")
        return first, time.perf_counter() - start

    def close(self) -> None:
        self._writer.close()


async def load(url: str) -> int:
    """Runs the streams, spread over one pace; returns the events."""
    request = body(EVENTS, PACE_MS)

    async def one(delay_s: float) -> None:
        client = await Client.connect(url)
        await asyncio.sleep(delay_s)
        await client.stream(request)
        client.close()

    await asyncio.gather(*(one(n * PACE_MS / 1000 / STREAMS) for n in range(STREAMS)))
    return STREAMS * EVENTS


async def cpu_per_event(cells: dict[str, tuple[str, int]]) -> dict[str, float]:
    """Microseconds of the proxy's CPU per event relayed."""
    rounds: dict[str, list[float]] = {name: [] for name in cells}
    for number in range(ROUNDS):
        order = list(cells) if number % 2 else list(reversed(cells))
        for name in order:
            url, pid = cells[name]
            before = cpu_s(pid)
            events = await load(url)
            rounds[name].append((cpu_s(pid) - before) * 1e6 / events)
    return {name: round(statistics.median(values), 2) for name, values in rounds.items()}


async def ttft_added(direct: str, proxied: str, pairs: int) -> dict[str, float]:
    """Milliseconds that the proxy adds to the first event: difference of the quantiles, on idle machines."""
    request = body(5, 0.0)
    clients = [await Client.connect(direct), await Client.connect(proxied)]
    times: list[list[float]] = [[], []]
    for number in range(2 * pairs):
        which = number % 2
        times[which].append((await clients[which].stream(request))[0] * 1000)
    for client in clients:
        client.close()
    return {
        f"p{percent}": round(quantile(times[1], percent) - quantile(times[0], percent), 3)
        for percent in (50, 99)
    }


def quantile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


async def request_times(cells: dict[str, str]) -> tuple[dict[str, float], dict[str, float]]:
    """Milliseconds of a whole short stream: the first and the second request of a fresh connection."""
    request = body(8, 1.0)
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in cells}
    for _ in range(SECOND_PAIRS):
        for name, url in cells.items():
            client = await Client.connect(url)
            for values in times[name]:
                values.append((await client.stream(request))[1] * 1000)
            client.close()
    first = {name: round(statistics.median(values[0]), 3) for name, values in times.items()}
    second = {name: round(statistics.median(values[1]), 3) for name, values in times.items()}
    return first, second


async def measure(engine: str, bare: tuple[str, int], ours: tuple[str, int]) -> dict[str, Any]:
    cells = {"bare": bare, "paste-proxy": ours}
    urls = {name: url for name, (url, _) in cells.items()}
    for url in urls.values():
        await ttft_added(engine, url, WARM_UP)  # Warm up: imports, allocator, connections.
    first, second = await request_times(urls)
    return {
        "ttft_added_ms": await ttft_added(engine, ours[0], TTFT_PAIRS),
        "first_request_ms": first,
        "second_request_ms": second,
        "cpu_us_per_event": await cpu_per_event(cells),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with ExitStack() as stack:
        engine, _ = stack.enter_context(running("-m", "benchmarks.relay_engine"))
        bare = stack.enter_context(running("-m", "benchmarks.relay_bare", engine))
        ours = stack.enter_context(running("-m", "paste_proxy", "serve", "--backend", engine, "--port", "0"))
        figures = uvloop.run(measure(engine, bare, ours))
    if options.json:
        print(json.dumps(figures))
        return
    for name, values in figures.items():
        print(f"{name:18}", "  ".join(f"{key} {value}" for key, value in values.items()))


if __name__ == "__main__":
    main()
