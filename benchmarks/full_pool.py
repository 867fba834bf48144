"""Does running ahead get in the way? Calls of short and long tools, beside a full pool of runs ahead or none.

`python -m benchmarks.full_pool [--json]`, two minutes. Three proxies of one configuration take turns, call by
call: A and A' run nothing ahead, in B every slot for it is taken all the time. Per tool, milliseconds: the 50th
and 99th percentile of each, and the interval that the rounds of A and A' span: what is inside it is noise.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import uvloop

from benchmarks.gateway import SCHEMA, Rest
from benchmarks.gateway_bare import TOOL
from benchmarks.relay import running

SLOTS = 16
"""The default of `speculation.slots`."""
HELD_S = 20.0
"""How long a run ahead takes here; then the slot is taken again."""
ROUNDS = 9
CALLS = {"tool_1_ms": 150, "tool_100_ms": 20}
"""Of each tool and proxy in a round."""

PLUGIN = f'''
import asyncio

from paste_proxy.tools import Effect, tool

@tool(effect=Effect.READ, reads=(), concurrency={2 * SLOTS})
async def {TOOL}(word: str) -> str:
    """Look a word up, which takes long."""
    await asyncio.sleep({HELD_S})
    return word

@tool(effect=Effect.READ, reads=())
async def tool_1_ms(word: str) -> str:
    """Short."""
    await asyncio.sleep(0.001)
    return word

@tool(effect=Effect.READ, reads=())
async def tool_100_ms(word: str) -> str:
    """Long."""
    await asyncio.sleep(0.1)
    return word
'''


async def fill(url: str, rounds: int) -> None:
    """One turn for each slot, which asks for a call that nobody makes."""
    turns = await Rest.connect(url)
    tools = [{"type": "function", "function": {"name": TOOL, "parameters": SCHEMA}}]
    for number in range(SLOTS):
        word = f"f{rounds}-{number}"
        messages = [{"role": "user", "content": word}]
        body = {"model": "m", "stream": True, "messages": messages, "tools": tools}
        await turns.post("/v1/chat/completions", json.dumps(body).encode(), x_session_id=word)


async def keep_full(url: str) -> None:
    for number in range(1000):
        await fill(url, number)
        await asyncio.sleep(HELD_S + 0.2)


async def timed(connection: Rest, tool: str, number: int) -> float:
    start = time.perf_counter()
    await connection.post(f"/v1/tools/{tool}", b'{"word":"w%d"}' % number)
    return (time.perf_counter() - start) * 1000


async def round_of(connections: dict[str, Rest], tool: str, calls: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {cell: [] for cell in connections}
    for number in range(calls):
        for cell, connection in connections.items():
            times[cell].append(await timed(connection, tool, number))
    return times


def percentile(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


async def measure(urls: dict[str, str]) -> dict[str, dict[str, object]]:
    connections = {cell: await Rest.connect(url) for cell, url in urls.items()}
    filling = asyncio.get_running_loop().create_task(keep_full(urls["B"]))
    rounds: dict[str, list[dict[str, list[float]]]] = {tool: [] for tool in CALLS}
    try:
        await asyncio.sleep(1.0)
        for _ in range(ROUNDS):
            for tool, calls in CALLS.items():
                rounds[tool].append(await round_of(connections, tool, calls))
        async with aiohttp.ClientSession() as client, client.get(f"{urls['B']}/paste/v1/stats") as reply:
            live = (await reply.json())["speculations"]["live"]
        if live < SLOTS:
            raise SystemExit(f"only {live} of {SLOTS} slots were taken")
    finally:
        filling.cancel()
    return {tool: figures(several) for tool, several in rounds.items()}


def figures(rounds: list[dict[str, list[float]]]) -> dict[str, object]:
    told: dict[str, object] = {}
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        of = {cell: [percentile(times[cell], share) for times in rounds] for cell in ("A", "A'", "B")}
        told[name] = {cell: round(statistics.median(several), 3) for cell, several in of.items()}
        noise = of["A"] + of["A'"]
        told[f"{name}_noise"] = [round(min(noise), 3), round(max(noise), 3)]
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="paste-bench-")))
        (folder / "p.py").write_text(PLUGIN)
        config = {
            "speculation": {"allow": [TOOL], "min_service_s": 0, "slots": SLOTS},
            "plugins": [{"path": "p.py"}],
        }
        (folder / "config.yaml").write_text(json.dumps(config))
        engine, _ = stack.enter_context(running("-m", "benchmarks.gateway_bare", "engine"))
        serve = ("-m", "paste_proxy", "serve", "--backend", engine, "--port", "0", "--config")
        urls = {
            cell: stack.enter_context(running(*serve, str(folder / "config.yaml")))[0]
            for cell in ("A", "A'", "B")
        }
        found = uvloop.run(measure(urls))
    if options.json:
        print(json.dumps(found))
        return
    for tool, several in found.items():
        for name, value in several.items():
            print(f"{tool:12} {name:10} {value}")


if __name__ == "__main__":
    main()
