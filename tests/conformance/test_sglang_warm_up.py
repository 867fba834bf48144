"""A real SGLang forgets a session while its agent runs a tool, and is made to read it again before it comes.

Whether that helps is decided by the engine alone: its prefix cache finds what was read ahead only if the prompt
came out in the same tokens.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from paste_proxy.lab.sglang_server import (
    INSTALL_COMMAND,
    SglangServer,
    call_markup,
    find_install,
    saying,
    venv_folder,
)
from tests.conformance.support import ENGINE_TEST, MODEL, SEARCH, serving

pytestmark = ENGINE_TEST

MEMORY = 4096
WORDS = 350
"""Of each prompt's beginning: with them the memory has room for two sessions."""
FLAGS = (
    f"--max-total-tokens={MEMORY}",
    "--enable-priority-scheduling",
    "--schedule-policy=fcfs",
    "--default-priority-value=0",
)
WAIT_S = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def small(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """An engine that forgets soon."""
    install = find_install()
    if install is None:
        pytest.skip(f"no SGLang in {venv_folder()}; to install it: {INSTALL_COMMAND}")
    folder = tmp_path_factory.mktemp("small")
    async with SglangServer(install, folder, max_running_requests=4, extra_args=FLAGS) as server:
        yield server.url


class Agent:
    """One session; each of its turns asks for one call."""

    def __init__(self, base: str, name: str, http: aiohttp.ClientSession) -> None:
        self._url = f"{base}/v1/chat/completions"
        self._http = http
        self._headers = {"x-session-id": name}
        self._messages: list[dict[str, Any]] = [
            {"role": "system", "content": f"You are {name}. " + "word list here. " * WORDS},
            {"role": "user", "content": "Find something."},
        ]

    async def turn(self, says: str) -> int:
        """The tokens of its prompt that the engine had."""
        body = {
            "model": MODEL,
            "messages": self._messages,
            "tools": [SEARCH],
            "stream": True,  # only streams tell how fast the engine reads
            "stream_options": {"include_usage": True},
            **saying(says),
        }
        reply = Streamed()
        async with self._http.post(self._url, json=body, headers=self._headers) as response:
            assert response.status == 200, await response.text()
            async for line in response.content:
                reply.take(line)
        self._messages += reply.messages
        return reply.cached


class Streamed:
    """A reply, put together from its stream."""

    def __init__(self) -> None:
        self.cached = 0
        self._content = ""
        self._calls: list[dict[str, Any]] = []

    def take(self, line: bytes) -> None:
        if not line.startswith(b"data: {"):
            return
        chunk = msgspec.json.decode(line[6:])
        details = (chunk.get("usage") or {}).get("prompt_tokens_details") or {}
        self.cached = details.get("cached_tokens", self.cached)
        for choice in chunk["choices"]:
            self._content += choice["delta"].get("content") or ""
            for part in choice["delta"].get("tool_calls") or ():
                self._take_call(part["function"], part.get("id"))

    def _take_call(self, function: dict[str, Any], call_id: str | None) -> None:
        if call_id:
            call = {"name": function["name"], "arguments": ""}
            self._calls.append({"id": call_id, "type": "function", "function": call})
        self._calls[-1]["function"]["arguments"] += function.get("arguments") or ""

    @property
    def messages(self) -> list[dict[str, Any]]:
        """With its calls' results."""
        said: dict[str, Any] = {"role": "assistant", "content": self._content}
        results = [{"role": "tool", "tool_call_id": call["id"], "content": "a page"} for call in self._calls]
        return [said | ({"tool_calls": self._calls} if self._calls else {}), *results]


async def warm_ups(http: aiohttp.ClientSession, base: str) -> dict[str, int]:
    async with http.get(f"{base}/paste/v1/stats") as response:
        counted: dict[str, int] = msgspec.json.decode(await response.read())["warm_ups"]
        return counted


async def returned_after_others(base: str, http: aiohttp.ClientSession, *, warmed: bool) -> int:
    """What the engine has of a session that was driven out while its tool ran."""
    agent = Agent(base, f"agent-{warmed}", http)
    before = await warm_ups(http, base)
    await agent.turn(call_markup("search", '{"query": "cats"}'))
    for number in range(3):
        await Agent(base, f"other-{warmed}-{number}", http).turn("Nothing to do.")
    if warmed:
        async with asyncio.timeout(WAIT_S):
            while (await warm_ups(http, base))["read_tokens"] == before["read_tokens"]:  # noqa: ASYNC110 - the proxy tells nobody
                await asyncio.sleep(0.1)
    return await agent.turn("Found it.")


async def test_a_session_that_was_driven_out_finds_its_prefix(small: str, tmp_path: Path) -> None:
    for mode in ("off", "on"):
        (tmp_path / mode).mkdir()
    async with aiohttp.ClientSession() as http:
        async with serving(small, tmp_path / "off") as base:
            cold = await returned_after_others(base, http, warmed=False)
        async with serving(small, tmp_path / "on", "schedule: {warm_up: 'on'}") as base:
            warm = await returned_after_others(base, http, warmed=True)
            counted = await warm_ups(http, base)
    assert cold < 100
    assert warm > 1500
    assert counted["used"] == 1  # one that another agent's turn called off may have come before
    assert counted["unused"] == counted["failed"] == 0
