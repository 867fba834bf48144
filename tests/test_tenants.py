"""The whole proxy with two tenants: what each gets and sees, what the backend gets, where keys never are."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from paste_proxy.access.keys import written_digest
from paste_proxy.app import Proxy, build, listening
from paste_proxy.config import (
    BackendConfig,
    Config,
    ListenConfig,
    PluginConfig,
    SpeculationConfig,
    StoreConfig,
    TenantConfig,
)
from tests.test_app import Engine

RED, BLUE, CHIEF = ("pp-" + letter * 40 for letter in "rbc")
WRONG = "pp-" + "w" * 40
BACKEND = "sk-of-the-backend-itself"
KEYS = (RED, BLUE, CHIEF, WRONG, BACKEND)

PLUGIN = '''
from paste_proxy.tools import Effect, RunContext, tool

@tool(effect=Effect.READ, reads={"shelf"})
async def find(context: RunContext, word: str) -> list[str]:
    """Find books."""
    return [f"{word}-1 of {context.tenant}", f"{word}-2 of {context.tenant}"]

@tool(effect=Effect.READ, reads={"shelf"})
async def read(context: RunContext, book: str) -> str:
    """Read a book."""
    return f"text of {book} for {context.tenant}"
'''


class Backend(Engine):
    """Keeps the header fields that it got, by path."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[tuple[str, dict[str, str]]] = []

    def application(self) -> web.Application:
        app = super().application()
        app.router.add_route("*", "/{rest:.*}", self.other)
        app.on_response_prepare.append(self.note)
        return app

    async def note(self, request: web.Request, _response: web.StreamResponse) -> None:
        self.got.append((request.path, {name.lower(): value for name, value in request.headers.items()}))

    async def other(self, request: web.Request) -> web.Response:
        return web.json_response({})


@asynccontextmanager
async def running(folder: Path, backend: Engine, **tenants: TenantConfig) -> AsyncIterator[tuple[str, Proxy]]:
    (folder / "p.py").write_text(PLUGIN)
    async with TestServer(backend.application(), host="127.0.0.1") as server:
        config = Config(
            listen=ListenConfig(port=0),
            backend=BackendConfig(
                url=str(server.make_url("")).rstrip("/"), kind="openai", key="${PASTE_TEST_BACKEND_KEY}"
            ),
            plugins=(PluginConfig(path=str(folder / "p.py")),),
            speculation=SpeculationConfig(allow=("find", "read"), min_service_s=0.0),
            store=StoreConfig(path=str(folder / "patterns.sqlite")),
            tenants={
                "red": TenantConfig(keys=(written_digest(RED),)),
                "blue": TenantConfig(keys=(written_digest(BLUE),)),
                "chief": TenantConfig(keys=(written_digest(CHIEF),), admin=True),
            }
            | tenants,
        )
        proxy = build(config)
        async with listening(proxy) as url:
            yield url, proxy


@pytest.fixture(autouse=True)
def _backend_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASTE_TEST_BACKEND_KEY", BACKEND)


async def agent(url: str, task: str, key: str) -> list[dict[str, Any]]:
    """The plain loop, with a named session; the messages."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": task}]
    headers = {"authorization": f"Bearer {key}", "x-session-id": f"the session of {task}"}
    async with ClientSession(url, headers=headers) as http:
        tools = (await (await http.get("/v1/tools")).json())["tools"]
        while True:
            body = {"model": "m", "messages": messages, "tools": tools, "stream": True}
            async with http.post("/v1/chat/completions", json=body) as reply:
                assert reply.status == 200, await reply.text()
                lines = (await reply.text()).splitlines()
            deltas = [
                json.loads(line[6:])["choices"][0]["delta"] for line in lines if line.startswith("data: {")
            ]
            calls = [call for delta in deltas for call in delta["tool_calls"] or ()]
            messages.append({"role": "assistant", "content": "let me see ", "tool_calls": calls})
            if not calls:
                return messages
            for call in calls:
                path, told = f"/v1/tools/{call['function']['name']}", {"x-tool-call-id": call["id"]}
                async with http.post(path, data=call["function"]["arguments"], headers=told) as result:
                    content = await result.text()
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})


async def page(url: str, path: str, key: str = "", **headers: str) -> tuple[int, str]:
    given = {"x-paste-key": key} if key else {}
    async with ClientSession(url) as http, http.get(path, headers={**given, **headers}) as reply:
        return reply.status, await reply.text()


async def test_two_tenants_with_equal_sessions_side_by_side(tmp_path: Path) -> None:
    async with running(tmp_path, Backend()) as (url, proxy):
        for _ in range(3):
            red, blue = await asyncio.gather(agent(url, "emma", RED), agent(url, "emma", BLUE))
        hits = proxy.runtime.core.broker.ledger.hits
        assert hits["reused"] + hits["joined"] + hits["decided"] > 0, "else nothing ran ahead to be mixed up"
        pages = {}
        for name, key in (("red", RED), ("blue", BLUE), ("chief", CHIEF)):
            listed = json.loads((await page(url, "/paste/v1/sessions", key))[1])["sessions"]
            pages[name] = {one["id"]: one["tenant"] for one in listed}
    for name, messages in (("red", red), ("blue", blue)):
        results = [one["content"] for one in messages if one["role"] == "tool"]
        assert len(results) == 3
        assert all(name in one for one in results)
    assert set(pages["red"].values()) == {"red"}
    assert set(pages["blue"].values()) == {"blue"}
    assert pages["chief"] == pages["red"] | pages["blue"]


async def test_a_session_is_for_its_tenant_and_sums_for_the_admin(tmp_path: Path) -> None:
    async with running(tmp_path, Backend()) as (url, proxy):
        await agent(url, "emma", RED)
        path = f"/paste/v1/sessions/{next(iter(proxy.runtime.core.turns.sessions))}"
        assert [(await page(url, path, key))[0] for key in (RED, CHIEF, BLUE, WRONG, "")] == [
            200,
            200,
            404,
            401,
            401,
        ]
        assert (await page(url, path, BLUE))[1] == (await page(url, path, BLUE))[1]
        for summed in ("/paste/v1/stats", "/paste/v1/shadow", "/paste/v1/speculation", "/paste/metrics"):
            assert [(await page(url, summed, key))[0] for key in (CHIEF, RED, "")] == [200, 403, 401]
        assert (await page(url, "/paste/health"))[0] == 200
        metrics = (await page(url, "/paste/metrics", CHIEF))[1].splitlines()
    assert 'paste_refused_total{code="forbidden",tenant="red"} 4.0' in metrics
    assert 'paste_refused_total{code="missing_key",tenant=""} 5.0' in metrics


async def test_the_backend_gets_its_own_key_and_no_other(tmp_path: Path) -> None:
    backend = Backend()
    async with running(tmp_path, backend) as (url, _):
        await agent(url, "emma", RED)
        assert (await page(url, "/v1/models", RED))[0] == 200
        assert (await page(url, "/v1/models", RED, authorization="Bearer sk-own"))[0] == 200
        assert (await page(url, "/flush_cache", CHIEF))[0] == 200
        status, told = await page(url, "/flush_cache", RED)
        assert (status, json.loads(told)["error"]["code"]) == (403, "forbidden")
        status, told = await page(url, "/v1/messages/batches", **{"x-api-key": WRONG})
        assert (status, json.loads(told)["error"]["type"]) == (401, "authentication_error")
    sent = [(path, fields["authorization"]) for path, fields in backend.got]
    assert sent == [
        *[("/v1/chat/completions", f"Bearer {BACKEND}")] * 4,
        ("/v1/models", f"Bearer {BACKEND}"),
        ("/v1/models", "Bearer sk-own"),
        ("/flush_cache", f"Bearer {BACKEND}"),
    ]
    assert not any("x-paste-key" in fields for _, fields in backend.got)


async def test_limits_of_turns_are_each_tenant_s_own(tmp_path: Path) -> None:
    red = TenantConfig(keys=(written_digest(RED),), requests_per_minute=3, concurrent_turns=1)
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}
    async with running(tmp_path, Backend(), red=red) as (url, _), ClientSession(url) as http:

        async def turn(key: str) -> tuple[int, str, str]:
            headers = {"authorization": f"Bearer {key}"}
            async with http.post("/v1/chat/completions", json=body, headers=headers) as reply:
                return reply.status, reply.headers.get("RateLimit", ""), await reply.text()

        both = await asyncio.gather(turn(RED), turn(RED))
        assert sorted(status for status, _, _ in both) == [200, 429]
        assert '"turns";r=0' in {limit for _, limit, _ in both}
        assert (await turn(RED))[0] == 200
        status, limit, told = await turn(RED)
        assert (status, limit) == (429, '"requests";r=0;t=20')
        assert json.loads(told)["error"]["code"] == "rate_limit_exceeded"
        assert [status for status, _, _ in await asyncio.gather(turn(BLUE), turn(BLUE))] == [200, 200]


async def test_what_runs_ahead_uses_up_no_limit(tmp_path: Path) -> None:
    red = TenantConfig(keys=(written_digest(RED),), calls_per_minute=9, requests_per_minute=15)
    async with running(tmp_path, Backend(), red=red) as (url, proxy):
        for _ in range(3):
            messages = await agent(url, "emma", RED)
            assert all("emma" in one["content"] for one in messages if one["role"] == "tool")
        assert sum(proxy.runtime.core.broker.ledger.started.values()) > 0
        status, told = await page(url, "/paste/metrics", CHIEF)
    assert (status, "paste_refused_total{" in told) == (200, False)


async def test_what_one_tenant_taught_is_expected_of_no_other_also_after_a_restart(tmp_path: Path) -> None:
    """`emma` comes in enough sessions of red to be a constant there. Blue is told of shapes at most."""
    for _ in range(2):
        async with running(tmp_path, Engine()) as (url, proxy):
            for _ in range(6):
                await agent(url, "emma", RED)
            await agent(url, "anna", BLUE)
            states = proxy.runtime.core.turns.sessions.values()
            expected = {
                tenant: repr([one.predictions for one in states if one.tenant == tenant])
                for tenant in ("red", "blue")
            }
        assert "emma" in expected["red"]
        assert "emma" not in expected["blue"]


async def test_no_key_is_in_a_log_a_page_or_an_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    red = TenantConfig(keys=(written_digest(RED),), calls_per_minute=5)
    told: list[str] = []
    async with running(tmp_path, Backend(), red=red) as (url, proxy):
        await agent(url, "emma", RED)
        async with ClientSession(url) as http:
            for path in ("/v1/models", "/v1/tools/nix", "/mcp", "/paste/v1/stats", "/paste/nix", "/nix"):
                for field in ("x-paste-key", "x-api-key"):
                    for key in (RED, WRONG, CHIEF):
                        async with http.post(path, headers={field: key}, data=b"{nonsense") as reply:
                            told.append(f"{reply.headers}{await reply.text()}")
        for path in (
            "stats",
            "shadow",
            "sessions",
            *(f"sessions/{one}" for one in proxy.runtime.core.turns.sessions),
        ):
            told.append((await page(url, f"/paste/v1/{path}", CHIEF))[1])
        told.append((await page(url, "/paste/metrics", CHIEF))[1])
        told.append(repr(proxy.config))
    for key in KEYS:
        for text in (*told, caplog.text):
            assert key not in text, text[:300]
