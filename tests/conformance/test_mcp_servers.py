"""Real MCP servers behind the proxy, in Python and JavaScript, over stdio and HTTP."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp_types import CreateMessageRequestParams, CreateMessageResult, TextContent

from paste_proxy.config_mcp import McpServerConfig
from paste_proxy.errors import ToolError
from paste_proxy.tools.ports import RunClass
from tests.conformance.install_mcp_servers import INSTALL_COMMAND, find_program, servers_folder
from tests.patience import SOON_S
from tests.tools.mcp.support import Shop, shop

pytestmark = pytest.mark.conformance

AHEAD = RunClass.SPECULATIVE


def program(name: str) -> str:
    found = find_program(name)
    if found is None:
        pytest.skip(f"no {name} in {servers_folder()}; to install it: {INSTALL_COMMAND}")
    return str(found)


def server(name: str, *args: str, **settings: Any) -> McpServerConfig:
    return McpServerConfig(command=program(name), args=args, **settings)


@asynccontextmanager
async def serving(config: McpServerConfig) -> AsyncIterator[Shop]:
    async with shop(config) as opened:
        assert opened.offers, "the server did not start"
        yield opened


def run_git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


async def test_git(tmp_path: Path) -> None:
    run_git(tmp_path, "init", "-q")
    (tmp_path / "a.txt").write_text("one\n")
    run_git(tmp_path, "add", ".")
    run_git(tmp_path, "commit", "-q", "-m", "the first")
    config = server("mcp-server-git", "--repository", str(tmp_path), read=("git_log",), stateful=False)
    async with serving(config) as opened:
        arguments: dict[str, Any] = {"repo_path": str(tmp_path)}
        called, ahead = [
            await opened.call("git_log", run, **arguments) for run in (RunClass.AUTHORITATIVE, AHEAD)
        ]
        assert b"the first" in called.body
        assert called == ahead
        with pytest.raises(ToolError):
            await opened.call("git_log", repo_path="/nowhere")


async def test_time() -> None:
    async with serving(server("mcp-server-time", "--local-timezone", "UTC")) as opened:
        output = await opened.call("get_current_time", timezone="UTC")
        assert b"UTC" in output.body
        with pytest.raises(ToolError, match="zone"):
            await opened.call("get_current_time", timezone="nowhere")


async def test_fetch_answers_what_it_can_not_fetch() -> None:
    async with serving(server("mcp-server-fetch")) as opened:
        assert opened.specs["fetch"].parameters["required"] == ["url"]
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        with pytest.raises(ToolError):
            await opened.call("fetch", url=f"http://127.0.0.1:{port}/")


async def test_filesystem(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("grüße\n")
    config = server("mcp-server-filesystem", str(tmp_path), read=("read_text_file",), stateful=False)
    async with serving(config) as opened:
        path = str(tmp_path / "a.txt")
        called, ahead = [
            await opened.call("read_text_file", run, path=path) for run in (RunClass.AUTHORITATIVE, AHEAD)
        ]
        assert "grüße" in called.body.decode()
        assert called == ahead
        await opened.call("write_file", path=path, content="new")
        assert (tmp_path / "a.txt").read_text() == "new"
        with pytest.raises(ToolError, match="denied"):
            await opened.call("read_text_file", path="/etc/passwd")


async def test_memory_is_restarted_after_a_kill(tmp_path: Path) -> None:
    """All that came with it is killed, and nothing that other tests have running."""
    others = set(children())
    config = server("mcp-server-memory", env={"MEMORY_FILE_PATH": str(tmp_path / "memory.json")})
    async with serving(config) as opened:
        entity = {"name": "Ann", "entityType": "person", "observations": ["likes tea"]}
        await opened.call("create_entities", entities=[entity])
        for pid in set(children()) - others:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with pytest.raises(ToolError, match="SIGKILL"):
            await opened.call("read_graph")
        found = json.loads((await opened.call("read_graph")).body)
        assert found["entities"] == [entity]


def children() -> Iterator[int]:
    for place in Path("/proc/self/task").iterdir():
        yield from map(int, (place / "children").read_text().split())


async def test_everything_it_can_return_is_kept() -> None:
    async with serving(server("mcp-server-everything")) as opened:
        assert b"12" in (await opened.call("get-sum", a=5, b=7)).body
        image = json.loads((await opened.call("get-tiny-image")).mcp or b"")
        assert [part["type"] for part in image["content"]] == ["text", "image", "text"]
        weather = await opened.call("get-structured-content", location="New York")
        assert set(json.loads(weather.body)) == {"temperature", "conditions", "humidity"}
        links = json.loads((await opened.call("get-resource-links", count=2)).mcp or b"")
        assert [part["type"] for part in links["content"]].count("resource_link") == 2
        resource = json.loads(
            (await opened.call("get-resource-reference", resourceType="Text", resourceId=1)).mcp or b""
        )
        assert "resource" in [part["type"] for part in resource["content"]]


async def test_everything_tells_progress_and_can_be_cancelled() -> None:
    async with serving(server("mcp-server-everything")) as opened:
        await opened.call("trigger-long-running-operation", duration=0.4, steps=2)
        assert [(one.done, one.total) for one in opened.progress] == [(1, 2), (2, 2)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await opened.call("trigger-long-running-operation", duration=60, steps=1)
        assert await opened.text("echo", message="still there") == "Echo: still there"


async def test_everything_over_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        program("mcp-server-everything"),
        "streamableHttp",
        env={**os.environ, "PORT": str(port)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await reachable(port)
        async with serving(McpServerConfig(url=f"http://127.0.0.1:{port}/mcp")) as opened:
            assert await opened.text("echo", message="hi") == "Echo: hi"
            await opened.call("trigger-long-running-operation", duration=0.4, steps=2)
            assert len(opened.progress) == 2
    finally:
        process.kill()
        await process.wait()


async def reachable(port: int) -> None:
    async with asyncio.timeout(SOON_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                await writer.wait_closed()
                return


async def test_everything_wrapped_is_everything(tmp_path: Path) -> None:
    """With an agent that samples: its server lists the tool for it, and asks it, not us."""
    everything = program("mcp-server-everything")
    asked: list[str] = []

    async def sample(context: Any, params: CreateMessageRequestParams) -> CreateMessageResult:
        asked.append(params.messages[0].role)
        return CreateMessageResult(role="assistant", content=TextContent(text="a poem"), model="test")

    async def conversation(command: str, *args: str) -> list[Any]:
        got: list[Any] = []
        steps: list[float] = []

        async def told(progress: float, total: float | None, message: str | None) -> None:
            steps.append(progress)

        with (tmp_path / "stderr").open("a") as stderr:
            started = stdio_client(StdioServerParameters(command=command, args=list(args)), errlog=stderr)
            async with Client(started, mode="legacy", sampling_callback=sample) as client:
                got.append([tool.model_dump() for tool in (await client.list_tools()).tools])
                got.append(await client.call_tool("get-sum", {"a": 1, "b": 2}))
                got.append(await client.call_tool("get-tiny-image", {}))
                arguments = {"duration": 0.4, "steps": 2}
                got.append(
                    await client.call_tool("trigger-long-running-operation", arguments, progress_callback=told)
                )
                got.append(await client.call_tool("trigger-sampling-request", {"prompt": "write"}))
                got.append(await client.list_resources())
                got.append(await client.list_prompts())
        return [*got, steps]

    alone = await conversation(everything)
    options = ("--proxy", "http://127.0.0.1:9", "--read", "get-sum", "--stateless")
    wrapped = await conversation(sys.executable, "-m", "paste_proxy", "mcp-wrap", *options, "--", everything)
    assert wrapped == alone
    assert asked == ["user", "user"]
    assert "trigger-sampling-request" in {tool["name"] for tool in alone[0]}
