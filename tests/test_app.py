"""The whole proxy on loopback: a real client, a server that speaks the wire format, real tools."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from paste_proxy import app as composition
from paste_proxy.app import Proxy, build, listening
from paste_proxy.config import (
    BackendConfig,
    Config,
    LimitsConfig,
    ListenConfig,
    NetworkConfig,
    PluginConfig,
    SpeculationConfig,
    StoreConfig,
)
from paste_proxy.config_mcp import McpServerConfig
from paste_proxy.errors import ConfigError
from paste_proxy.events import ClientOffered, ToolsOffered
from paste_proxy.predict.ledger import Changes
from paste_proxy.store.patterns import PatternStore
from paste_proxy.tools.spec import ToolSpec
from tests.patience import SOON_S

PLUGIN = '''
import asyncio
from paste_proxy.tools import Effect, tool

@tool(effect=Effect.READ, reads={"shelf"})
async def find(word: str) -> list[str]:
    """Find books."""
    await asyncio.sleep(0.03)
    return [f"{word}-1", f"{word}-2"]

@tool(effect=Effect.READ, reads={"shelf"})
async def read(book: str) -> str:
    """Read a book."""
    await asyncio.sleep(0.03)
    return f"text of {book}"
'''


def chunk(**delta: Any) -> bytes:
    nothing = {"role": None, "content": None, "reasoning_content": None, "tool_calls": None}
    choice = {
        "index": 0,
        "delta": nothing | delta,
        "logprobs": None,
        "finish_reason": delta.pop("finish", None),
    }
    return (
        b"data: "
        + json.dumps({"id": "x", "object": "chat.completion.chunk", "choices": [choice]}).encode()
        + b"\n\n"
    )


class Engine:
    """Finds, reads both books found, ends. What it writes after a call gives the tool time to run ahead."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.is_staged: Callable[[str, dict[str, Any]], bool] = lambda *_: True
        """Whether nobody waits for the result of such a call any more: it goes on writing until then."""

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.chat)
        return app

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        messages = body["messages"]
        task, turn = messages[0]["content"], sum(1 for message in messages if message["role"] == "assistant")
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        await reply.write(chunk(content="let me see "))
        await asyncio.sleep(0.05)
        if turn < 3:
            name, arguments = ("find", {"word": task}) if turn == 0 else ("read", {"book": f"{task}-{turn}"})
            function = {"name": name, "arguments": json.dumps(arguments)}
            call = {"index": 0, "id": f"call_{task}_{turn}", "type": "function", "function": function}
            await reply.write(chunk(tool_calls=[call]))
            async with asyncio.timeout(SOON_S):
                while not self.is_staged(name, arguments):  # noqa: ASYNC110 - a worker has no event to wait for
                    await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        await reply.write(chunk(finish="tool_calls" if turn < 3 else "stop"))
        await reply.write(b"data: [DONE]\n\n")
        return reply


@asynccontextmanager
async def running(folder: Path, engine: Engine, **speculation: Any) -> AsyncIterator[tuple[str, Proxy]]:
    (folder / "p.py").write_text(PLUGIN)
    async with TestServer(engine.application(), host="127.0.0.1") as server:
        config = Config(
            listen=ListenConfig(port=0),
            backend=BackendConfig(url=str(server.make_url("")).rstrip("/"), kind="openai"),
            plugins=(PluginConfig(path=str(folder / "p.py")),),
            speculation=SpeculationConfig(**speculation),
            store=StoreConfig(path=str(folder / "patterns.sqlite")),
        )
        proxy = build(config)
        engine.is_staged = partial(is_staged, proxy, config.speculation)
        async with listening(proxy) as url:
            yield url, proxy


def is_staged(proxy: Proxy, speculation: SpeculationConfig, tool: str, arguments: dict[str, Any]) -> bool:
    """A worker's start takes as long as it takes. What does not run ahead is waited for by nobody."""
    if speculation.mode == "off" or tool not in speculation.allow:
        return True
    staged = proxy.runtime.core.broker.staging
    return any((one.spec.name, one.arguments) == (tool, arguments) for one in staged)


async def agent(url: str, task: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The plain loop; the messages and the outcome of each call."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": task}]
    outcomes: list[str] = []
    async with ClientSession(url) as http:
        tools = (await (await http.get("/v1/tools")).json())["tools"]
        while True:
            body = {"model": "m", "messages": messages, "tools": tools, "stream": True}
            async with http.post("/v1/chat/completions", json=body) as reply:
                lines = (await reply.text()).splitlines()
            deltas = [
                json.loads(line[6:])["choices"][0]["delta"] for line in lines if line.startswith("data: {")
            ]
            calls = [call for delta in deltas for call in delta["tool_calls"] or ()]
            text = "".join(delta["content"] or "" for delta in deltas)
            messages.append({"role": "assistant", "content": text, "tool_calls": calls})
            if not calls:
                return messages, outcomes
            for call in calls:
                headers = {"x-tool-call-id": call["id"]}
                path = f"/v1/tools/{call['function']['name']}"
                async with http.post(path, data=call["function"]["arguments"], headers=headers) as result:
                    outcomes.append(result.headers["x-paste-outcome"])
                    messages.append(
                        {"role": "tool", "tool_call_id": call["id"], "content": await result.text()}
                    )


async def stats(url: str) -> dict[str, Any]:
    async with ClientSession() as http, http.get(f"{url}/paste/v1/stats") as reply:
        found: dict[str, Any] = await reply.json()
        return found


async def test_the_same_transcript_with_and_without_speculation(tmp_path: Path) -> None:
    async with running(tmp_path, Engine(), mode="off") as (url, _):
        plain, outcomes = await agent(url, "emma")
        assert outcomes == ["executed"] * 3
    async with running(tmp_path, Engine(), allow=("find", "read")) as (url, _):
        ahead, outcomes = await agent(url, "emma")
        assert outcomes == ["reused"] * 3
        counted = await stats(url)
    assert ahead == plain
    hits = counted["hits"]
    assert hits["executed"] == hits["promoted"] == 0
    assert hits["decided"] >= 1, "the first call of all can't be foreseen"
    assert hits["decided"] + hits["reused"] == 3


async def test_nothing_runs_ahead_that_the_operator_has_not_listed(tmp_path: Path) -> None:
    async with running(tmp_path, Engine(), allow=("find",)) as (url, _):
        _, outcomes = await agent(url, "emma")
    assert outcomes == ["reused", "executed", "executed"]


async def test_patterns_are_learnt_and_survive_a_restart(tmp_path: Path) -> None:
    engine = Engine()
    async with running(tmp_path, engine, allow=("find", "read")) as (url, _):
        for task in ("a", "b", "c", "d"):
            await agent(url, task)
    async with running(tmp_path, engine, allow=("find", "read")) as (url, _):
        _, outcomes = await agent(url, "new")
        counted = await stats(url)
    assert outcomes == ["reused"] * 3
    assert counted["hits"]["reused"] == 2, "both reads were predicted before the model asked"
    assert counted["saved_s"] > 0


async def test_the_timeline_of_a_session_explains_what_happened(tmp_path: Path) -> None:
    async with running(tmp_path, Engine(), allow=("find", "read")) as (url, _), ClientSession(url) as http:
        await agent(url, "emma")
        sessions = (await (await http.get("/paste/v1/sessions")).json())["sessions"]
        assert len(sessions) == 1
        page = await (await http.get(f"/paste/v1/sessions/{sessions[0]['id']}")).json()
        assert page["turns"] == 4
        assert [note["what"] for note in page["timeline"]][:4] == ["turn", "sealed", "turn ended", "served"]
        assert page["timeline"][0]["at_s"] == 0
        assert page["timeline"][3] | {"at_s": 0, "saved_s": 0} == {
            "at_s": 0,
            "what": "served",
            "tool": "find",
            "outcome": "reused",
            "saved_s": 0,
        }
        async with http.post("/paste/v1/stats") as wrong:
            assert (wrong.status, (await wrong.json())["error"]["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    ("path", "code", "param"),
    [
        ("/paste/v1/sessions/nix", "unknown_session", "id"),
        ("/paste/nix", "unknown_page", "path"),
        ("/paste/v1/stats%0A", "unknown_page", "path"),
    ],
)
async def test_own_pages_that_are_not_there(tmp_path: Path, path: str, code: str, param: str) -> None:
    async with running(tmp_path, Engine()) as (url, _), ClientSession(url) as http, http.get(path) as reply:
        assert reply.status == 404
        error = (await reply.json())["error"]
        assert (error["code"], error["param"]) == (code, param)


async def test_health_and_metrics(tmp_path: Path) -> None:
    async with running(tmp_path, Engine(), allow=("find",)) as (url, _), ClientSession(url) as http:
        await agent(url, "emma")
        assert (await (await http.get("/paste/health")).json())["core"] == "ok"
        lines = (await (await http.get("/paste/metrics")).text()).splitlines()
    assert 'paste_tool_calls_total{outcome="decided"} 1.0' in lines
    assert 'paste_tool_calls_total{outcome="executed"} 2.0' in lines
    assert "paste_requests_total 4.0" in lines
    assert 'paste_turns_total{api="chat"} 4.0' in lines
    assert "paste_core_failed 0.0" in lines


async def test_the_request_reaches_the_backend_untouched(tmp_path: Path) -> None:
    engine = Engine()
    async with running(tmp_path, engine, allow=("find", "read")) as (url, _):
        await agent(url, "emma")
    assert set(engine.bodies[0]) == {"model", "messages", "tools", "stream"}


async def test_the_last_save_waits_for_the_one_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both use one SQLite connection."""
    inside, most, begun = 0, 0, threading.Event()

    def save(_store: PatternStore, _changes: Changes) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        begun.set()
        time.sleep(0.05)
        inside -= 1

    monkeypatch.setattr(composition, "SAVE_EVERY_S", 0.01)
    monkeypatch.setattr(PatternStore, "save", save)
    async with running(tmp_path, Engine()):
        assert await asyncio.to_thread(begun.wait, SOON_S)
    assert (inside, most) == (0, 1)


def built(folder: Path, inert: dict[str, tuple[str, ...]]) -> Proxy:
    (folder / "p.py").write_text(PLUGIN)
    return build(
        Config(
            backend=BackendConfig(url="http://127.0.0.1:1", kind="openai"),
            plugins=(PluginConfig(path=str(folder / "p.py")),),
            speculation=SpeculationConfig(inert=inert),
        )
    )


def test_the_operator_may_declare_arguments_without_influence(tmp_path: Path) -> None:
    specs = built(tmp_path, {"read": ("book",)}).runtime.core.broker.specs
    assert (specs["read"].inert, specs["find"].inert) == (frozenset({"book"}), frozenset())


@pytest.mark.parametrize(
    ("inert", "complaint"),
    [
        ({"raed": ("book",)}, "there is no tool 'raed'"),
        ({"read": ("bok",)}, "read has no argument 'bok'"),
    ],
)
def test_what_is_no_argument_can_t_be_declared(
    tmp_path: Path, inert: dict[str, tuple[str, ...]], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=rf"speculation\.inert: {complaint}"):
        built(tmp_path, inert)


def test_arguments_of_a_server_s_tools_can_be_declared_before_it_offers_them() -> None:
    spec = ToolSpec("look", "", {"type": "object", "properties": {"why": {"type": "string"}}})
    config = Config(
        backend=BackendConfig(url="http://127.0.0.1:1", kind="openai"),
        speculation=SpeculationConfig(inert={"look": ("why",), "leased": ("why",)}),
        mcp_servers={"s": McpServerConfig(command="true")},
    )
    core = build(config).runtime.core
    core.handle(ToolsOffered("mcp:s", (spec,)), 1.0)
    core.handle(ClientOffered("c", "default", (msgspec.structs.replace(spec, name="leased"),), ()), 2.0)
    assert core.tools["look"].inert == {"why"}
    assert core.tools["leased"].inert == frozenset(), "its client compares, and knows nothing of it"


def test_a_tool_that_a_client_may_bring_can_be_said_to_reach_a_network() -> None:
    config = Config(
        backend=BackendConfig(url="http://127.0.0.1:1", kind="openai"),
        speculation=SpeculationConfig(network={"search": NetworkConfig(hosts=("example.com",))}),
    )
    build(config)
    with pytest.raises(ConfigError, match="there is no tool 'search'"):
        build(msgspec.structs.replace(config, limits=LimitsConfig(clients=0)))
