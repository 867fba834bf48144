"""What log probabilities cost the engine: tokens per second and bytes per token, with and without them."""

import asyncio
import statistics
import time
from typing import Any

import aiohttp
import msgspec

from paste_proxy.lab.sglang_server import saying

ROUNDS = 11
STREAMS = (1, 8)
TEXT = " ".join(f"line {n} of what the model has to say." for n in range(24))


class Load(msgspec.Struct, frozen=True):
    tokens_per_s: float
    bytes_per_token: float


async def stream(http: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> tuple[int, int]:
    """Tokens and bytes of one streamed reply."""
    size, tail = 0, b""
    async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
        reply.raise_for_status()
        async for data in reply.content.iter_any():
            size += len(data)
            tail = (tail + data)[-4096:]
    usage = next(line for line in reversed(tail.split(b"\n\n")) if b'"usage":{' in line)
    return int(msgspec.json.decode(usage[6:])["usage"]["completion_tokens"]), size


async def load(url: str, tools: list[Any], streams: int, *, logprobs: bool) -> Load:
    base = {"model": "tiny", "stream": True, "stream_options": {"include_usage": True}, "tools": tools}
    bodies = [
        base | saying(TEXT) | {"logprobs": logprobs, "messages": [{"role": "user", "content": f"Stream {n}."}]}
        for n in range(streams)
    ]
    async with aiohttp.ClientSession() as http:
        begun = time.perf_counter()
        replies = await asyncio.gather(*(stream(http, url, body) for body in bodies))
        seconds = time.perf_counter() - begun
    tokens = sum(count for count, _ in replies)
    return Load(tokens / seconds, sum(size for _, size in replies) / tokens)


async def compare(url: str, tools: list[Any]) -> dict[str, Any]:
    """The loads interleaved, so that whatever else the machine does falls on both; medians of the rounds."""
    figures = {}
    for streams in STREAMS:
        await load(url, tools, streams, logprobs=True)  # the prompts are in the cache from here on
        pairs = []
        for number in range(ROUNDS):
            order = (False, True) if number % 2 else (True, False)
            pairs.append({on: await load(url, tools, streams, logprobs=on) for on in order})
        losses = [1 - pair[True].tokens_per_s / pair[False].tokens_per_s for pair in pairs]
        figures[f"{streams} streams"] = {
            "tokens_per_s": {name: _median(pairs, on, "tokens_per_s") for name, on in _MODES},
            "loss_percent": round(100 * statistics.median(losses), 1),
            "loss_percent_of_rounds": [round(100 * loss, 1) for loss in sorted(losses)],
            "bytes_per_token": {name: _median(pairs, on, "bytes_per_token") for name, on in _MODES},
        }
    return figures


_MODES = (("without", False), ("with logprobs", True))


def _median(pairs: list[dict[bool, Load]], on: bool, figure: str) -> float:
    values: list[float] = [getattr(pair[on], figure) for pair in pairs]
    return round(statistics.median(values), 1)
