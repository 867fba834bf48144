"""`paste-proxy mcp-wrap` as an agent starts it: with a server behind it, with and without a proxy."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from paste_proxy.app import build, listening
from paste_proxy.config import Config, ListenConfig, SpeculationConfig
from paste_proxy.events import Identity
from paste_proxy.grammar.events import CallSealed
from paste_proxy.grammar.requests import parse_chat_request
from paste_proxy.runtime import Runtime
from paste_proxy.tools.spec import Effect
from tests.gateway.fakes import FakeRuntime, gateway
from tests.patience import SOON_S
from tests.tools.mcp.support import FAKE

SERVER = (sys.executable, "-S", "-E", str(FAKE))
NO_PROXY = "http://127.0.0.1:9"
GREETING = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"sampling": {}},
    "clientInfo": {"name": "test", "version": "1"},
}


class Agent:
    """Speaks to a server line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self.stdin, self.stdout = process.stdin, process.stdout
        self.number = 0

    async def hear(self) -> bytes:
        async with asyncio.timeout(SOON_S):
            return await self.stdout.readline()

    def say(self, line: bytes) -> None:
        self.stdin.write(line + b"\n")

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self.number += 1
        message = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}
        self.say(json.dumps(message).encode())
        while True:
            answer: dict[str, Any] = json.loads(await self.hear())
            if answer.get("id") == self.number and "method" not in answer:
                return answer

    async def greet(self) -> None:
        await self.ask("initialize", **GREETING)
        self.say(b'{"jsonrpc": "2.0", "method": "notifications/initialized"}')
        cursor: dict[str, Any] = {}
        while True:
            page = (await self.ask("tools/list", **cursor))["result"]
            if not page.get("nextCursor"):
                return
            cursor = {"cursor": page["nextCursor"]}

    async def text(self, tool: str, call_id: str = "", **arguments: Any) -> str:
        meta = {"paste/tool-call-id": call_id} if call_id else {}
        answer = await self.ask("tools/call", name=tool, arguments=arguments, _meta=meta)
        text: str = answer["result"]["content"][0]["text"]
        return text


@asynccontextmanager
async def agent(*command: str) -> AsyncIterator[Agent]:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Agent(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def wrapping(*options: str, proxy: str = NO_PROXY, server: tuple[str, ...] = SERVER) -> tuple[str, ...]:
    return (sys.executable, "-m", "paste_proxy", "mcp-wrap", "--proxy", proxy, *options, "--", *server)


CONVERSATION = [
    json.dumps({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": GREETING}).encode(),
    b'{"jsonrpc": "2.0", "method": "notifications/initialized"}',
    b'{"jsonrpc": "2.0", "id": "list", "method": "tools/list"}',
    b'{"jsonrpc":"2.0","id":"list-2","method":"tools/list","params":{"cursor":"7"}}',
    b'{"jsonrpc":"2.0","id":"list-3","method":"tools/list","params":{"cursor":"14"}}',
    b'{"id": 1,"jsonrpc": "2.0","method": "tools/call", "params": {"name":"echo", "arguments": {"text": 1.0}}}',
    b'{"jsonrpc": "2.0", "id": "1", "method": "tools/call", "params": {"name": "rich"}}',
    b'{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "fail", "arguments": {}}}',
    b'{"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "refuse", "arguments": {}}}',
    b'{"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": {"name": "print", "arguments": null}}',
    b'{"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "twice", "arguments": {}}}',
    b'{"jsonrpc": "2.0", "id": 6, "method": "tools/call", "params": {"name": "malformed", "arguments": {}}}',
    b'{"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "grow", "arguments": {}}}',
    b'{"jsonrpc": "2.0", "id": 8, "method": "tools/call", "params": {"name": "grown", "arguments": {}}}',
    b'{"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "ask", "arguments": {}}}',
    b'{"jsonrpc": "2.0", "id": "ask-1", "error": {"code": -1, "message": "no model here"}}',
    b'{"jsonrpc":"2.0","id":10,"method":"tools/call","params":{"name":"progress","_meta":{"progressToken":7}}}',
]


async def transcript(*command: str) -> list[bytes]:
    async with agent(*command) as one:
        for line in CONVERSATION:
            one.say(line)
        one.say(b'{"jsonrpc": "2.0", "id": "last", "method": "tools/list"}')
        heard: list[bytes] = []
        while not heard or b'"last"' not in heard[-1]:
            heard.append(await one.hear())
        one.stdin.close()
        async with asyncio.timeout(SOON_S):
            assert await one.process.wait() == 0
        return heard


async def test_without_a_proxy_every_byte_is_the_servers() -> None:
    alone = await transcript(*SERVER)
    assert await transcript(*wrapping("--read", "echo", "--stateless")) == alone
    assert len(alone) > len(CONVERSATION)


async def test_a_server_that_ends_ends_it_and_gives_its_status() -> None:
    async with agent(*wrapping()) as one:
        await one.greet()
        one.say(b'{"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "die"}}')
        async with asyncio.timeout(SOON_S):
            assert await one.process.wait() == 3


async def test_it_ends_when_told_to() -> None:
    async with agent(*wrapping()) as one:
        await one.greet()
        one.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(SOON_S):
            assert await one.process.wait() == 0


async def test_a_server_at_a_url() -> None:
    runtime = FakeRuntime()
    async with (
        gateway(runtime) as base,
        agent(*wrapping("--url", f"{base}/mcp", server=())) as one,
    ):
        await one.greet()
        assert await one.text("text") == "grüße"
        answer = await one.ask("tools/call", name="echo", arguments={"words": "a"})
        assert answer["result"]["structuredContent"] == {"words": "a"}


@asynccontextmanager
async def proxy(*allow: str) -> AsyncIterator[tuple[Runtime, str]]:
    config = Config(listen=ListenConfig(port=0), speculation=SpeculationConfig(allow=allow))
    built = build(config)
    async with listening(built) as url:
        yield built.runtime, url


async def staged(runtime: Runtime, tool: str) -> None:
    """The model has asked for it, and it has been run ahead."""
    async with asyncio.timeout(SOON_S):
        while tool not in runtime.core.tools:  # noqa: ASYNC110 - the table has no event
            await asyncio.sleep(0.01)
    function = {"name": tool, "parameters": runtime.core.tools[tool].parameters}
    messages = [{"role": "user", "content": "go"}]
    body = {"messages": messages, "tools": [{"type": "function", "function": function}]}
    async with asyncio.timeout(SOON_S):
        while not list(runtime.core.broker.staging):
            turn = await runtime.admit(Identity(session="s"), parse_chat_request(json.dumps(body).encode()))
            turn.sent()
            turn.feed([CallSealed(0, "call-1", tool, "{}")])
            await asyncio.sleep(0.2)  # the second server may be starting: then it fails, and is tried again
            turn.close(complete=True)


async def test_a_call_gets_what_was_run_ahead_and_the_agents_server_never_sees_it() -> None:
    async with (
        proxy("count") as (runtime, url),
        agent(*wrapping("--read", "count", "--stateless", proxy=url)) as one,
    ):
        await one.greet()
        await staged(runtime, "count")
        assert await one.text("count", "call-1") == "1"
        assert runtime.core.broker.ledger.hits["decided"] == 1
        assert [await one.text("count") for _ in range(2)] == ["1", "2"]


async def test_nothing_of_a_stateful_server_runs_ahead() -> None:
    async with (
        proxy("count") as (runtime, url),
        agent(*wrapping("--read", "count", proxy=url)) as one,
    ):
        await one.greet()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await staged(runtime, "count")
        assert await one.text("count", "call-1") == "1"


async def test_who_asks_back_runs_ahead_no_more_and_asks_the_agent_in_a_real_call() -> None:
    async with (
        proxy("ask") as (runtime, url),
        agent(*wrapping("--read", "ask", "--stateless", proxy=url)) as one,
    ):
        await one.greet()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await staged(runtime, "ask")
        async with asyncio.timeout(SOON_S):
            while runtime.core.tools["ask"].effect is not Effect.NEVER:  # noqa: ASYNC110 - the table has no event
                await asyncio.sleep(0.01)
        one.say(b'{"jsonrpc": "2.0", "id": 99, "method": "tools/call", "params": {"name": "ask"}}')
        asked = json.loads(await one.hear())
        assert (asked["id"], asked["method"]) == ("ask-1", "sampling/createMessage")
        one.say(b'{"jsonrpc": "2.0", "id": "ask-1", "error": {"code": 1, "message": "no"}}')
        assert json.loads(await one.hear())["id"] == 99


async def test_the_server_is_not_shown_the_proxy_s_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASTE_PROXY_KEY", "pp-secret")
    monkeypatch.setenv("THE_SERVER_S", "own")
    async with agent(*wrapping("--read", "environment", "--stateless")) as one:
        await one.greet()
        environment = json.loads(await one.text("environment"))
    assert "PASTE_PROXY_KEY" not in environment
    assert environment["THE_SERVER_S"] == "own"


async def test_what_a_tool_reads_and_writes_and_for_how_long_is_said_on_the_command_line() -> None:
    options = ("--read", "echo", "--stateless", "--scope", "echo=a,b", "--scope", "fail=", "--max-age", "9")
    async with proxy("echo") as (runtime, url), agent(*wrapping(*options, proxy=url)) as one:
        await one.greet()
        await staged(runtime, "echo")
        tools = runtime.core.tools
        assert (tools["echo"].reads, tools["echo"].writes) == (frozenset("ab"), frozenset())
        assert (tools["fail"].writes, tools["rich"].writes) == (frozenset(), frozenset("*"))
        assert tools["echo"].max_age == 9


@pytest.mark.parametrize("scope", ["echo", "=a", "--scope"])
async def test_a_scope_that_says_nothing_is_an_error(scope: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *wrapping("--scope", scope, "--scope", "echo=a", "--scope", "echo=b"), stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 2
    assert b"--scope" in said


async def test_without_an_agent_at_its_ends_it_says_so_in_a_line() -> None:
    process = await asyncio.create_subprocess_exec(
        *wrapping(), stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 1
    assert b"stdin and stdout are no pipes" in said
    assert b"Traceback" not in said
