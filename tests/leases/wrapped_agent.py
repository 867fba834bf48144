"""An agent whose tools are wrapped in its own process, for the engine of `test_app`."""

import asyncio
import inspect
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

from paste_proxy.app import Proxy, build, listening
from paste_proxy.client.calling import tool_call
from paste_proxy.client.wrapping import close, wrap
from paste_proxy.config import BackendConfig, Config, LimitsConfig, ListenConfig, SpeculationConfig
from tests.patience import SOON_S
from tests.test_app import Engine

Function = Callable[..., Any]


class Library:
    """Tools that count their runs."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    def tools(self) -> list[Function]:
        async def find(word: str) -> list[str]:
            """Find books."""
            self.runs.append(word)
            await asyncio.sleep(0.03)
            return [f"{word}-1", f"{word}-2"]

        async def read(book: str) -> str:
            """Read a book."""
            self.runs.append(book)
            await asyncio.sleep(0.03)
            return f"text of {book}"

        return [find, read]

    def sync_tools(self) -> list[Function]:
        def find(word: str) -> list[str]:
            """Find books."""
            self.runs.append(word)
            time.sleep(0.03)
            return [f"{word}-1", f"{word}-2"]

        def read(book: str) -> str:
            """Read a book."""
            self.runs.append(book)
            time.sleep(0.03)
            return f"text of {book}"

        return [find, read]


READS = {"find": "read", "read": "read"}


@asynccontextmanager
async def running(*allow: str, clients: int = 8, port: int = 0) -> AsyncIterator[tuple[str, Proxy]]:
    async with TestServer(Engine().application(), host="127.0.0.1") as server:
        config = Config(
            listen=ListenConfig(port=port),
            backend=BackendConfig(url=str(server.make_url("")).rstrip("/"), kind="openai"),
            speculation=SpeculationConfig(allow=allow),
            limits=LimitsConfig(clients=clients),
        )
        proxy = build(config)
        async with listening(proxy) as url:
            try:
                yield url, proxy
            finally:
                await asyncio.to_thread(close)


def schemas(tools: Sequence[Function]) -> list[dict[str, Any]]:
    """As an agent writes them."""
    return [
        {
            "type": "function",
            "function": {
                "name": one.__name__,
                "description": one.__doc__,
                "parameters": {
                    "type": "object",
                    "properties": {name: {"type": "string"} for name in list(one.__annotations__)[:1]},
                    "required": list(one.__annotations__)[:1],
                },
            },
        }
        for one in tools
    ]


async def agent(url: str, task: str, tools: Sequence[Function]) -> list[dict[str, Any]]:
    """The plain loop; its messages."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": task}]
    by_name = {one.__name__: one for one in tools}
    async with ClientSession(url) as http:
        while True:
            body = {"model": "m", "messages": messages, "tools": schemas(tools), "stream": True}
            async with http.post("/v1/chat/completions", json=body) as reply:
                lines = (await reply.text()).splitlines()
            deltas = [json.loads(one[6:])["choices"][0]["delta"] for one in lines if one.startswith("data: {")]
            calls = [call for delta in deltas for call in delta["tool_calls"] or ()]
            messages.append({"role": "assistant", "content": "", "tool_calls": calls})
            if not calls:
                return messages
            for call in calls:
                function, arguments = by_name[call["function"]["name"]], call["function"]["arguments"]
                with tool_call(call["id"]):
                    if inspect.iscoroutinefunction(function):
                        result = await function(**json.loads(arguments))
                    else:
                        result = await asyncio.to_thread(function, **json.loads(arguments))
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": json.dumps(result)})


async def connected(url: str, made: Sequence[Function], proxy: Proxy, **keys: Any) -> list[Function]:
    """The tools, wrapped, once the proxy knows them."""
    tools = wrap(made, proxy=url, effects=READS, **keys)
    async with asyncio.timeout(SOON_S):
        while not any(proxy.runtime.core.tools.is_leased(name) for name in READS):  # noqa: ASYNC110
            await asyncio.sleep(0.005)  # nothing tells: the connection is another thread's
    return tools
