"""How early a call is known at a real SGLang, by its own parser, by `raw_tap: logprobs` and by `parse: proxy`.

`python -m benchmarks.raw_text [--json]`, about four minutes: it starts SGLang (as
`tests/conformance/install_sglang.py` installs it) once for each parser and once without, and has a tiny model
with random weights say exactly one call. For each way it reports the character of the model's text, and the
seconds since the request, at which the call's name, its first argument and its end are known; and what log
probabilities cost the engine, in tokens per second and bytes per token.

The replies are recorded at the client, chunk by chunk, and then read by the proxy's own readers: what it adds
on the way is measured by `benchmarks.relay`.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from benchmarks.raw_text_load import compare
from paste_proxy.backends import ReplyText
from paste_proxy.config import BackendConfig
from paste_proxy.grammar.dialects import Api, stream_reader
from paste_proxy.grammar.events import ArgumentSealed, CallOpened, CallSealed, GrammarEvent
from paste_proxy.grammar.requests import RequestTool
from paste_proxy.lab.sglang_server import (
    INSTALL_COMMAND,
    SglangInstall,
    SglangServer,
    call_markup,
    find_install,
    saying,
)
from paste_proxy.proxy.rewrite_calls import CallWriter
from paste_proxy.proxy.rewrite_chat import ChatStreamWriter
from paste_proxy.proxy.rewrite_logprobs import LogprobStripper
from paste_proxy.proxy.rewrite_stream import framed

ROUNDS = 5
LONG = "What the second argument holds, in many words: " + "and so on, " * 20
PARAMETERS: dict[str, object] = {
    "type": "object",
    "properties": {"query": {"type": "string"}, "why": {"type": "string"}},
}
TOOLS = [{"type": "function", "function": {"name": "search", "parameters": PARAMETERS}}]
_ARGUMENTS = json.dumps({"query": "streams", "why": LONG})
TEXTS = {
    "pythonic": f'[search(query="streams", why="{LONG}")]',
    "qwen25": call_markup("search", _ARGUMENTS),
    "hermes": call_markup("search", _ARGUMENTS),
    "mistral": f"[TOOL_CALLS]search[ARGS]{_ARGUMENTS}",
}
LOAD_PARSER = "pythonic"

Chunk = tuple[float, bytes]
"""Seconds since the request, and the payload of one event."""
Heard = tuple[float, int, list[GrammarEvent]]
"""Seconds, characters of the model's text so far, and what is known by then."""


async def record(url: str, text: str, *, logprobs: bool) -> list[Chunk]:
    body = {"model": "tiny", "stream": True, "tools": TOOLS, "logprobs": logprobs} | saying(text)
    body["messages"] = [{"role": "user", "content": "What is there?"}]
    chunks: list[Chunk] = []
    async with aiohttp.ClientSession() as http:
        begun = time.perf_counter()
        async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
            reply.raise_for_status()
            async for line in reply.content:
                if line.startswith(b"data: {"):
                    chunks.append((time.perf_counter() - begun, line[6:].rstrip()))
    return chunks


def read_parsed(chunks: Iterable[Chunk]) -> Iterator[Heard]:
    """What the engine's own parser lets through."""
    reader = stream_reader(Api.CHAT)
    for seconds, payload in chunks:
        yield seconds, -1, list(reader.feed(framed(payload)))


def read_logprobs(chunks: Iterable[Chunk], parser: str) -> tuple[list[Heard], list[Heard]]:
    """What the raw text says, and beside it the parsed stream of the same reply with its place in that text.

    A step's log probabilities come after what the parser made of it.
    """
    stripper, reader = LogprobStripper(), _reader(parser)
    parsed = stream_reader(Api.CHAT)
    raw_heard, parsed_heard, waiting = list[Heard](), list[Heard](), list[tuple[float, list[GrammarEvent]]]()
    at = 0
    for seconds, payload in chunks:
        waiting.append((seconds, list(parsed.feed(framed(payload)))))
        stripper(payload)
        if text := stripper.take():
            events: list[GrammarEvent] = []
            reader.feed(text, at, events)
            at += len(text)
            raw_heard.append((seconds, at, events))
            parsed_heard += [(then, at, told) for then, told in waiting]
            waiting.clear()
    return raw_heard, parsed_heard + [(then, at, told) for then, told in waiting]


def read_proxy(chunks: Iterable[Chunk], parser: str) -> Iterator[Heard]:
    """What a client sees behind `parse: proxy`, before an engine without a parser."""
    writer = ChatStreamWriter(lambda: CallWriter(_reader(parser)))
    reader = stream_reader(Api.CHAT)
    at = 0
    for seconds, payload in chunks:
        at += len(msgspec.json.decode(payload)["choices"][0]["delta"].get("content") or "")
        rewritten = writer(payload)
        yield seconds, at, list(reader.feed(framed(payload) if rewritten is None else rewritten))


def _reader(parser: str) -> Any:
    text = ReplyText(BackendConfig(tool_format=parser))
    return text.reader((RequestTool("search", PARAMETERS),))


def milestones(heard: Iterable[Heard]) -> dict[str, tuple[float, int]]:
    """Seconds and character of the name, the first argument and the end of the first call."""
    found: dict[str, tuple[float, int]] = {}
    for seconds, at, events in heard:
        for event in events:
            for name, kind in (("name", CallOpened), ("first_argument", ArgumentSealed), ("end", CallSealed)):
                if isinstance(event, kind):
                    found.setdefault(name, (seconds, at))
    return found


def summary(runs: list[dict[str, tuple[float, int]]]) -> dict[str, Any]:
    """Medians. Characters are the same in every run but for what comes in one chunk."""
    names = runs[0].keys()
    return {
        name: {
            "seconds": round(statistics.median(run[name][0] for run in runs), 3),
            "character": round(statistics.median(run[name][1] for run in runs)),
        }
        for name in names
    }


async def earliness(parser: str, parsing: str, plain: str) -> dict[str, Any]:
    text = TEXTS[parser]
    runs: dict[str, list[dict[str, tuple[float, int]]]] = {"engine": [], "raw_tap": [], "parse: proxy": []}
    await record(parsing, text, logprobs=True)
    await record(plain, text, logprobs=False)
    for _ in range(ROUNDS):
        without = milestones(read_parsed(await record(parsing, text, logprobs=False)))
        raw, parsed = read_logprobs(await record(parsing, text, logprobs=True), parser)
        places = milestones(parsed)
        runs["engine"].append({name: (seconds, places[name][1]) for name, (seconds, _) in without.items()})
        runs["raw_tap"].append(milestones(raw))
        runs["parse: proxy"].append(milestones(read_proxy(await record(plain, text, logprobs=False), parser)))
    return {"characters": len(text)} | {way: summary(found) for way, found in runs.items()}


async def measure(install: SglangInstall, folder: Path) -> dict[str, Any]:
    figures: dict[str, Any] = {"earliness": {}}
    async with SglangServer(install, _folder(folder, "plain"), tool_call_parser="") as plain:
        for parser in TEXTS:
            async with SglangServer(install, _folder(folder, parser), tool_call_parser=parser) as parsing:
                figures["earliness"][parser] = await earliness(parser, parsing.url, plain.url)
                if parser == LOAD_PARSER:
                    figures["load"] = await compare(parsing.url, TOOLS)
    return figures


def _folder(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    install = find_install()
    if install is None:
        sys.exit(f"no SGLang is installed; to install it: {INSTALL_COMMAND}")
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(install, Path(folder)))
    print(json.dumps(figures) if options.json else json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
