"""An agent's whole loop over a real SGLang: sessions are told apart, and speculation changes no transcript.

What the model says is fixed by the messages before it and carries a hash of them, so that one wrong tool
result would change all that follows.
"""

import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import openai
import pytest

from paste_proxy.lab.sglang_server import call_markup, saying
from tests.conformance.support import ENGINE_TEST, MODEL, Reply, serving

pytestmark = ENGINE_TEST

CONFIG = """
plugins: [{path: %s}]
speculation: {mode: "%s", allow: [find_topics, read_topic]}
"""
PLUGIN = Path(__file__).parent / "manual.py"
SYSTEM = {"role": "system", "content": "You read the manual of a language."}
WORDS = ("string", "list", "types")
"""One task each; every word finds two topics or more."""


class Agent:
    """The plain loop that everybody writes. `outcomes` tells how the gateway served each call."""

    def __init__(self, base: str, sdk: openai.AsyncOpenAI, http: aiohttp.ClientSession) -> None:
        self._base = base
        self._sdk = sdk
        self._http = http
        self._tools: list[Any] = []
        self.outcomes: list[str] = []

    async def task(self, word: str) -> list[dict[str, Any]]:
        """Runs to the final answer; returns the transcript."""
        async with self._http.get(f"{self._base}/v1/tools") as response:
            self._tools = (await response.json())["tools"]
        messages: list[dict[str, Any]] = [SYSTEM, {"role": "user", "content": f"What is there on {word!r}?"}]
        while True:
            message, calls = await self._turn(messages, word)
            messages.append(message)
            if not calls:
                return messages
            for call in message["tool_calls"]:
                content = await self._call(call["id"], **call["function"])
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})

    async def _turn(self, messages: list[dict[str, Any]], word: str) -> tuple[dict[str, Any], int]:
        request: dict[str, Any] = {"model": MODEL, "messages": messages, "tools": self._tools, "stream": True}
        stream = await self._sdk.chat.completions.create(**request, extra_body=saying(decide(messages, word)))
        reply = await Reply().read(stream)
        message: dict[str, Any] = {"role": "assistant", "content": reply.text.strip()}
        if reply.calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in reply.calls
            ]
        return message, len(reply.calls)

    async def _call(self, call_id: str, name: str, arguments: str) -> str:
        async with self._http.post(
            f"{self._base}/v1/tools/{name}", data=arguments.encode(), headers={"x-tool-call-id": call_id}
        ) as response:
            assert response.status == 200, await response.text()
            self.outcomes.append(response.headers["x-paste-outcome"])
            return await response.text()


def decide(messages: list[dict[str, Any]], word: str) -> str:
    """Search, then read the first two topics found, then say so. One call a turn: see sglang#37634."""
    seen = hashlib.sha256(msgspec.json.encode(timeless(messages))).hexdigest()[:8]
    results = [message["content"] for message in messages if message["role"] == "tool"]
    if not results:
        return f"First the index ({seen}).\n" + call_markup("find_topics", f'{{"word": "{word}"}}')
    if len(results) <= 2:
        name = msgspec.json.decode(results[0], type=list[str])[len(results) - 1]
        return f"Topic {len(results)} looks right ({seen}).\n" + call_markup(
            "read_topic", f'{{"name": "{name}"}}'
        )
    return f"That is all on {word}: {results[1][:40].strip()} ({seen})."


def timeless(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A transcript whose call ids, which SGLang draws at random, are numbered instead."""
    numbers: dict[str, str] = {}
    text = msgspec.json.encode(messages).decode()
    for message in messages:
        for call in message.get("tool_calls", ()):
            numbers[call["id"]] = f"call {len(numbers)}"
    for call_id, number in numbers.items():
        text = text.replace(call_id, number)
    decoded: list[dict[str, Any]] = msgspec.json.decode(text)
    return decoded


@asynccontextmanager
async def agent_behind(engine: str, folder: Path, mode: str) -> AsyncIterator[tuple[str, Agent]]:
    """A fresh proxy with the manual as its tools, and an agent that uses both planes of it."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(engine, folder, CONFIG % (PLUGIN, mode)))
        sdk = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
        await stack.enter_async_context(sdk)
        yield url, Agent(url, sdk, await stack.enter_async_context(aiohttp.ClientSession()))


async def transcripts(engine: str, folder: Path, mode: str) -> tuple[list[Any], list[str]]:
    async with agent_behind(engine, folder, mode) as (_, agent):
        return [timeless(await agent.task(word)) for word in WORDS], agent.outcomes


async def test_speculation_changes_no_transcript(engine: str, tmp_path: Path) -> None:
    plain, plain_outcomes = await transcripts(engine, tmp_path, "off")
    ahead, outcomes = await transcripts(engine, tmp_path, "on")
    assert ahead == plain
    assert set(plain_outcomes) == {"executed"}
    assert len(outcomes) == 3 * len(WORDS)
    assert outcomes.count("reused") + outcomes.count("joined") >= len(WORDS), outcomes


async def test_each_task_is_one_session(engine: str, tmp_path: Path) -> None:
    """The agent names no session, and all tasks share a system prompt and a connection."""
    async with agent_behind(engine, tmp_path, "off") as (url, agent):
        for word in WORDS[:2]:
            await agent.task(word)
        async with aiohttp.ClientSession() as http, http.get(f"{url}/paste/v1/sessions") as response:
            sessions = (await response.json())["sessions"]
    assert [session["turns"] for session in sessions] == [4, 4]


@pytest.mark.parametrize("header", ["x-session-id", "x-claude-code-session-id"])
async def test_equal_tasks_with_different_names_are_two_sessions(
    client: openai.AsyncOpenAI, proxy: str, header: str
) -> None:
    names = [f"{header} {number}" for number in (1, 2)]
    question = {"role": "user", "content": "one"}
    for messages in ([question], [question, {"role": "assistant", "content": "yes"}, question]):
        for name in names:
            request: dict[str, Any] = {"model": MODEL, "messages": messages, "extra_body": saying("yes")}
            await client.chat.completions.create(**request, extra_headers={header: name})
    async with aiohttp.ClientSession() as http, http.get(f"{proxy}/paste/v1/sessions") as response:
        sessions = (await response.json())["sessions"]
    assert {s["name"]: s["turns"] for s in sessions if s["name"] in names} == dict.fromkeys(names, 2)
