"""/paste/v1/speculation: how it stands, and the operator's switch."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from paste_proxy.access.access import Access
from paste_proxy.clock import VirtualClock
from paste_proxy.config import Config, SpeculationConfig
from paste_proxy.core import Core
from paste_proxy.guard import Guard
from paste_proxy.observe.routes import ObserveRoutes
from paste_proxy.proxy.counters import RelayCounters
from paste_proxy.proxy.lines import Lines
from paste_proxy.runtime import Runtime
from paste_proxy.tools.table import ToolTable
from tests.broker.cast import SPECS
from tests.gateway.servers import serving
from tests.observe.test_routes import never_asked
from tests.test_runtime import FakeExecutor, Guesses

PATH = "/paste/v1/speculation"


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    config = Config(speculation=SpeculationConfig(allow=tuple(SPECS), min_service_s=0.0))
    runtime = Runtime(Core(ToolTable(SPECS), config, Guesses()), FakeExecutor(), VirtualClock())
    app = web.Application()
    access = Access(config, {}, lambda: 0.0)
    lines = Lines(config, access, runtime.tell)
    ObserveRoutes(runtime, RelayCounters(), Guard("127.0.0.1"), access, lines, never_asked).add_to(app)
    async with serving(app) as base, aiohttp.ClientSession(base) as session:
        yield session


async def asked(client: aiohttp.ClientSession, body: Any = None, **headers: str) -> tuple[int, Any]:
    method = "GET" if body is None else "POST"
    data = body if isinstance(body, bytes) else None
    json = None if data is not None or body is None else body
    async with client.request(method, PATH, data=data, json=json, headers=headers) as reply:
        return reply.status, await reply.json()


async def test_all_tools_are_switched_off_and_on_at_once(client: aiohttp.ClientSession) -> None:
    assert await asked(client) == (200, {"mode": "on", "on": True, "put_off": {}})
    assert await asked(client, {"on": False}) == (200, {"mode": "on", "on": False, "put_off": {}})
    assert (await asked(client))[1]["on"] is False
    assert (await asked(client, {"on": True}))[1]["on"] is True


async def test_one_tool_is_switched_off_and_on(client: aiohttp.ClientSession) -> None:
    off = {"mode": "on", "on": True, "put_off": {"read_a": "switched off"}}
    assert await asked(client, {"on": False, "tool": "read_a"}) == (200, off)
    async with client.get("/paste/metrics") as reply:
        assert 'paste_put_off{reason="switched off",tool="read_a"} 1.0' in await reply.text()
    async with client.get("/paste/v1/stats") as reply:
        tools = (await reply.json())["tools"]
    assert tools == {"read_a": {"unused": 0, "sampled": 0, "differed": 0, "put_off": "switched off"}}
    assert (await asked(client, {"on": True, "tool": "read_a"}))[1]["put_off"] == {}


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        (b"", 400, "bad_request", "the body is no switch"),
        (b"[]", 400, "bad_request", "the body is no switch"),
        ({"on": "no"}, 400, "bad_request", "the body is no switch"),
        ({"off": True}, 400, "bad_request", "the body is no switch"),
        ({"on": False, "tools": "x"}, 400, "bad_request", "tools"),
        ({"on": False, "tool": "reed_a"}, 404, "unknown_tool", "'reed_a'; known: read_a,"),
        (b'{"on": false, "tool": "\\ud800"}', 400, "bad_request", "half of a surrogate pair"),
        (b'{"on": false, "tool": "\xed\xa0\x80"}', 400, "bad_request", "is not UTF-8: byte 0xed at"),
        (b" " * 5000, 400, "bad_request", "larger than 4096 bytes"),
    ],
)
async def test_what_is_no_switch_changes_nothing(
    client: aiohttp.ClientSession, body: Any, status: int, code: str, words: str
) -> None:
    said = await asked(client, body)
    assert (said[0], said[1]["error"]["code"]) == (status, code)
    assert words in said[1]["error"]["message"]
    assert (await asked(client))[1] == {"mode": "on", "on": True, "put_off": {}}


async def test_no_web_page_of_others_switches(client: aiohttp.ClientSession) -> None:
    status, said = await asked(client, {"on": False}, origin="http://evil.example")
    assert (status, said["error"]["code"]) == (403, "untrusted_origin")
    assert (await asked(client))[1]["on"] is True
