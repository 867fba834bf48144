"""What the conformance tests share: the proxy as users start it, SGLang's metrics, and a reader of replies."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from openai import AsyncStream
from openai.types.chat import ChatCompletionChunk, ChatCompletionToolParam
from openai.types.completion_usage import CompletionUsage

ENGINE_TEST = [
    pytest.mark.conformance,
    # One engine for all tests: its process belongs to the session's event loop.
    pytest.mark.asyncio(loop_scope="session"),
    # The first test also waits for the engine, which takes minutes where cores are shared.
    pytest.mark.timeout(480),
]
MODEL = "tiny"
START_TIMEOUT_S = 60.0

SEARCH: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Find pages about a subject.",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    },
}


@asynccontextmanager
async def serving(backend: str, folder: Path, config: str = "") -> AsyncIterator[str]:
    """`paste-proxy serve` in front of `backend`: yields its URL. Its log is `folder/proxy.log`."""
    (folder / "config.yaml").write_text(config, encoding="utf-8")
    command = (sys.executable, "-m", "paste_proxy", "serve", "--backend", backend, "--port", "0")
    log_file = folder / "proxy.log"
    with log_file.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, "--config", str(folder / "config.yaml"), stdout=asyncio.subprocess.PIPE, stderr=log
        )
    try:
        yield await _announced(process, log_file)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _announced(process: asyncio.subprocess.Process, log: Path) -> str:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT_S)
    assert line.startswith(b"listening on "), f"{line!r}; its log is {log}"
    return line.decode().removeprefix("listening on ").strip()


async def metric(url: str, name: str) -> float:
    """The sum of all samples of a Prometheus metric at `url`; 0 where there is none yet."""
    async with aiohttp.ClientSession() as client, client.get(url) as response:
        assert response.status == 200
        lines = (await response.text()).splitlines()
    samples = [line for line in lines if line.startswith((f"{name}{{", f"{name} "))]
    return sum(float(line.rsplit(" ", 1)[1]) for line in samples)


async def until(holds: Callable[[], Awaitable[bool]], timeout_s: float, what: str) -> float:
    """Waits until `holds`, and says how long it took, in seconds."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while not await holds():
        assert loop.time() - started < timeout_s, f"after {timeout_s:.1f} s not yet: {what}"
        await asyncio.sleep(0.02)
    return loop.time() - started


class Call(msgspec.Struct):
    """A tool call put together from its deltas."""

    id: str
    name: str
    arguments: str = ""
    pieces: int = 0


class Reply(msgspec.Struct):
    """A streamed reply put together."""

    text: str = ""
    calls: list[Call] = []
    finish_reason: str = ""
    usage: CompletionUsage | None = None

    async def read(self, stream: AsyncStream[ChatCompletionChunk]) -> "Reply":
        async for chunk in stream:
            self.usage = chunk.usage or self.usage
            for choice in chunk.choices:
                self.text += choice.delta.content or ""
                self.finish_reason = choice.finish_reason or self.finish_reason
                for delta in choice.delta.tool_calls or ():
                    self._add(delta.id, delta.function)
        return self

    def _add(self, call_id: str | None, function: Any) -> None:
        if call_id:
            self.calls.append(Call(id=call_id, name=function.name))
        self.calls[-1].arguments += function.arguments or ""
        self.calls[-1].pieces += 1

    def meaning(self) -> tuple[object, ...]:
        """Everything but the ids, which SGLang draws at random, and the text's ends (see `saying`)."""
        calls = [(call.name, call.arguments) for call in self.calls]
        return self.text.strip(), calls, self.finish_reason, self.usage


def environment_url() -> str:
    """`$PASTE_SGLANG_URL`: an engine that already runs, to try the tests without waiting for a start."""
    return os.environ.get("PASTE_SGLANG_URL", "")
