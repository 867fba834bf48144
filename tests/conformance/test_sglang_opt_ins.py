"""The two opt-ins at a real SGLang: the SDK sees the same events with and without, and the tap sees more."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest
import pytest_asyncio

from paste_proxy.grammar.events import CallSealed, Foreseen
from paste_proxy.lab.sglang_server import (
    INSTALL_COMMAND,
    SglangServer,
    call_markup,
    find_install,
    saying,
    venv_folder,
)
from tests.conformance.support import ENGINE_TEST, MODEL, SEARCH, until
from tests.patience import SOON_S, TRIES
from tests.proxy.support import Proxy, proxy

pytestmark = ENGINE_TEST

LONG = "caf\u00e9 \U00020bb7 " + "word " * 20
PYTHONIC = {
    "a call": f'[search(query="{LONG}")]',
    "two calls": f'[search(query="one"), search(query="{LONG}")]',
    "text": "No [call] here, caf\u00e9 \U00020bb7.",
}
QWEN = {
    "a call": call_markup("search", json.dumps({"query": LONG}, ensure_ascii=False)),
    "text and two calls": "Let me look. "
    + call_markup("search", '{"query": "one"}')
    + "\n"
    + call_markup("search", '{"query": "</tool_call>"}'),
    "text": "No <tool> here, caf\u00e9 \U00020bb7.",
}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def plain_engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """One without a parser."""
    if url := os.environ.get("PASTE_SGLANG_PLAIN_URL"):
        yield url
        return
    install = find_install()
    if install is None:
        pytest.skip(f"no SGLang in {venv_folder()}; to install it: {INSTALL_COMMAND}")
    async with SglangServer(install, tmp_path_factory.mktemp("plain"), tool_call_parser="") as server:
        yield server.url


@asynccontextmanager
async def front(engine: str, **settings: Any) -> AsyncIterator[Proxy]:
    """The LLM plane with an opt-in, before a runtime that keeps the events."""
    port = urlsplit(engine).port
    assert port is not None
    async with proxy(port, kind="sglang", backend=settings) as running:
        text = running.plane.lines.first.control.text
        running.plane.lines.first.control.doubt()

        async def verified() -> bool:
            return text.tapped or text.parsed_here

        await until(verified, SOON_S, "the backend has said what parser it runs")
        yield running


async def told(url: str, text: str, **changes: Any) -> list[tuple[str, Any]]:
    """What the SDK sees of a streamed reply: neighbouring texts joined, ids replaced by what they are."""
    out: list[tuple[str, Any]] = []
    request: dict[str, Any] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Which library?"}],
        "tools": [SEARCH],
        "extra_body": saying(text),
        "stream_options": {"include_usage": True},
    } | changes
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as sdk:
        async for chunk in await sdk.chat.completions.create(stream=True, **request):
            if chunk.usage is not None:
                out.append(("usage", chunk.usage.completion_tokens))
            for choice in chunk.choices:
                _add(out, "content", choice.delta.content or "")
                for call in choice.delta.tool_calls or ():
                    function = call.function
                    assert function is not None
                    if call.id:
                        assert call.id.startswith("call_")
                        out.append(("call", (call.index, function.name)))
                    _add(out, "arguments", function.arguments or "")
                if choice.logprobs is not None:
                    _add(out, "logprobs", "".join(one.token for one in choice.logprobs.content or ()))
                if choice.finish_reason:
                    out.append(("finish", choice.finish_reason))
    return out


async def as_told(engine: str, text: str, ours: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """What the SDK sees of the engine's parser: the like of `ours`, if there is one in many. That parser drops
    the text before a call that comes in one piece with its beginning, as an engine short of CPU has it."""
    for _ in range(TRIES):
        theirs = await told(engine, text)
        if ours in (theirs, meaning(theirs)):
            break
    return theirs


def _add(out: list[tuple[str, Any]], what: str, text: str) -> None:
    if text and out and out[-1][0] == what:
        out[-1] = (what, out[-1][1] + text)
    elif text:
        out.append((what, text))


@pytest.mark.parametrize("text", PYTHONIC.values(), ids=PYTHONIC)
async def test_the_raw_tap_changes_nothing_and_foresees(pythonic_engine: str, text: str) -> None:
    calls = text.count("search(")
    await told(pythonic_engine, text)  # so that both find the prompt in the engine's cache
    async with front(pythonic_engine, raw_tap="logprobs") as running:
        for _ in range(TRIES):  # a busy engine says several tokens at once: then the parsed stream is as early
            got = await told(running.url, text)
            seen = running.runtime.turns[-1].events
            ahead = [one.event for one in seen if isinstance(one, Foreseen)]
            foreseen = [event for event in ahead if isinstance(event, CallSealed)]
            if len(foreseen) >= calls - 1:  # the last call and the list's end can be one token
                break
        else:
            pytest.fail("no call was foreseen")
        assert await as_told(pythonic_engine, text, got) == got
        assert running.counters.tap_failures == {}
    sealed = [one for one in seen if isinstance(one, CallSealed)]
    assert len(sealed) == calls
    for one, other in zip(foreseen, sealed, strict=False):
        assert (one.name, json.loads(one.arguments)) == (other.name, json.loads(other.arguments))


async def test_the_client_s_own_log_probabilities_stay(pythonic_engine: str) -> None:
    """An engine short of CPU says several tokens at once: then the parsed stream is as early."""
    text = PYTHONIC["two calls"]
    expected = await told(pythonic_engine, text, logprobs=True)
    async with front(pythonic_engine, raw_tap="logprobs") as running:
        for _ in range(TRIES):
            assert await told(running.url, text, logprobs=True) == expected
            if any(isinstance(one, Foreseen) for one in running.runtime.turns[-1].events):
                break
        else:
            pytest.fail("nothing was foreseen")


@pytest.mark.parametrize("text", QWEN.values(), ids=QWEN)
async def test_calls_made_here_are_those_of_the_engine_s_parser(
    engine: str, plain_engine: str, text: str
) -> None:
    async with front(plain_engine, parse="proxy", tool_format="qwen") as running:
        got = meaning(await told(running.url, text))
        assert meaning(await as_told(engine, text, got)) == got
        assert running.counters.tap_failures == {}


@pytest.mark.parametrize("text", PYTHONIC.values(), ids=PYTHONIC)
async def test_pythonic_calls_too(pythonic_engine: str, plain_engine: str, text: str) -> None:
    async with front(plain_engine, parse="proxy", tool_format="pythonic") as running:
        got = meaning(await told(running.url, text))
        assert meaning(await as_told(pythonic_engine, text, got)) == got


@pytest.mark.parametrize("text", QWEN.values(), ids=QWEN)
async def test_a_whole_reply_made_here_is_that_of_the_engine(engine: str, plain_engine: str, text: str) -> None:
    expected = await whole(engine, text)
    async with front(plain_engine, parse="proxy", tool_format="qwen") as running:
        assert await whole(running.url, text) == expected


async def whole(url: str, text: str) -> tuple[Any, ...]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as sdk:
        reply = await sdk.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "Which library?"}],
            tools=[SEARCH],
            extra_body=saying(text),
        )
    message = reply.choices[0].message
    functions = [one.function for one in message.tool_calls or () if one.type == "function"]
    calls = [(one.name, json.loads(one.arguments)) for one in functions]
    return (message.content or "").strip(), calls, reply.choices[0].finish_reason


def meaning(events: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Arguments as values: a parser may space them otherwise; texts without the blanks around calls."""
    out = [(what, json.loads(value) if what == "arguments" else value) for what, value in events]
    out = [(what, value.strip() if what == "content" else value) for what, value in out]
    return [one for one in out if one != ("content", "")]


async def test_a_required_call_is_the_engine_s_json_as_it_is(plain_engine: str) -> None:
    """SGLang without a parser constrains it to a JSON array, and leaves that in the text."""
    changes: dict[str, Any] = {"tool_choice": "required", "extra_body": {}, "temperature": 0, "max_tokens": 40}
    expected = await told(plain_engine, "x", **changes)
    async with front(plain_engine, parse="proxy", tool_format="qwen") as running:
        assert await told(running.url, "x", **changes) == expected
