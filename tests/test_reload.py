"""A configuration that is read again: all that can change does, or nothing does."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp
import msgspec
import pytest
from aiohttp import WSMsgType, web

from paste_proxy.access.keys import written_digest
from paste_proxy.app import Proxy, build, listening
from paste_proxy.client.protocol import PATH
from paste_proxy.config import (
    BackendConfig,
    BudgetConfig,
    BudgetsConfig,
    Config,
    ListenConfig,
    PluginConfig,
    SpeculationConfig,
    TenantConfig,
)
from paste_proxy.config_schedule import ScheduleConfig
from paste_proxy.errors import ConfigError
from paste_proxy.events import BackendDown, BackendTold
from paste_proxy.proxy import lines
from paste_proxy.reload import HOT, Changes
from paste_proxy.schedule.backends import BackendLoad
from paste_proxy.tasks import TaskSet
from tests.gateway.servers import serving
from tests.patience import SOON_S
from tests.test_several_backends import Backend, World

ROOT = Path(__file__).resolve().parents[1]
KEY = "pp-" + "k" * 30
WRITES = "from paste_proxy.tools import tool\n\n\n@tool()\ndef put(text: str) -> None: ...\n"


@asynccontextmanager
async def world(
    *backends: Backend, **config: Any
) -> AsyncIterator[tuple[World, Proxy, dict[str, BackendConfig]]]:
    """All backends run; the proxy knows the first."""
    async with running(backends) as configs:
        first = {backends[0].name: configs[backends[0].name]}
        proxy = build(Config(listen=ListenConfig(port=0), backends=first, **config))
        async with listening(proxy) as url, aiohttp.ClientSession() as client:
            yield World(url, client, {backend.name: backend for backend in backends}), proxy, configs


@asynccontextmanager
async def running(backends: tuple[Backend, ...]) -> AsyncIterator[dict[str, BackendConfig]]:
    if not backends:
        yield {}
        return
    async with serving(backends[0].application()) as url, running(backends[1:]) as rest:
        kind: Any = "sglang" if backends[0].sglang else "openai"
        yield {backends[0].name: BackendConfig(url=url, kind=kind), **rest}


def changed(proxy: Proxy, **config: Any) -> Changes:
    return proxy.reloader.reload(msgspec.structs.replace(proxy.reloader.config, **config))


async def test_backends_come_and_go_and_sessions_of_others_stay() -> None:
    async with world(Backend("one"), Backend("two")) as (at, proxy, configs):
        assert {await at.by(f"s{number}") for number in range(8)} == {"one"}
        assert changed(proxy, backends=configs).made == ("backends.two",)
        assert {await at.by(f"s{number}") for number in range(8)} == {"one"}
        assert {await at.by(f"new{number}") for number in range(12)} == {"one", "two"}
        assert changed(proxy, backends={"two": configs["two"]}).made == ("backends.one",)
        assert {await at.by(f"s{number}") for number in range(8)} == {"two"}
        assert list(await at.standing()) == ["two"]


async def test_what_runs_at_a_backend_that_is_removed_comes_to_its_end() -> None:
    one = Backend("one")
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        begun.set()
        await go_on.wait()
        return web.json_response({"choices": [], "late": True})

    one.behaves = slow
    async with world(one, Backend("two")) as (at, proxy, configs):
        asked = TaskSet().spawn(at.ask("s"), name="ask")
        await begun.wait()
        changed(proxy, backends={"two": configs["two"]})
        go_on.set()
        status, text, _ = await asked
        assert (status, "late" in text) == (200, True)
        assert proxy.runtime.core.placing.live("one") == 0


async def test_what_was_kept_for_a_removed_backend_goes_with_its_last_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "WATCH_S", 0.01)
    one = Backend("one")
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        begun.set()
        await go_on.wait()
        return web.json_response({"choices": []})

    one.behaves = slow
    async with world(one, Backend("two")) as (at, proxy, configs):
        asked = TaskSet().spawn(at.ask("s"), name="ask")
        await begun.wait()
        kept = proxy.reloader._lines
        control = kept["one"].control
        changed(proxy, backends={"two": configs["two"]})
        await asyncio.sleep(0.1)
        assert kept.retired == 1
        go_on.set()
        assert (await asked)[0] == 200
        async with asyncio.timeout(SOON_S):
            while kept.retired:  # noqa: ASYNC110 - nobody waits for it
                await asyncio.sleep(0.01)
        assert control._session is not None
        assert control._session.closed
        assert await at.by("s") == "two"


async def test_a_client_that_leaves_a_removed_backend_still_ends_its_work() -> None:
    one = Backend("one", sglang=True)
    begun = asyncio.Event()

    async def silent(request: web.Request) -> web.StreamResponse:
        begun.set()
        await asyncio.sleep(30)
        return web.Response()

    one.behaves = silent
    async with world(one, Backend("two")) as (at, proxy, configs):
        asked = TaskSet().spawn(at.ask("s"), name="ask")
        await begun.wait()
        changed(proxy, backends={"two": configs["two"]})
        asked.cancel()
        async with asyncio.timeout(SOON_S):
            while not one.aborts:  # noqa: ASYNC110 - a server of its own
                await asyncio.sleep(0.01)


async def test_a_changed_limit_holds_at_once() -> None:
    one = Backend("one")
    async with world(one) as (at, proxy, configs):
        limited = msgspec.structs.replace(configs["one"], max_turns=1)
        assert changed(proxy, backends={"one": limited}).made == ("backends.one.max_turns",)
        assert await at.by("s") == "one"
        assert proxy.reloader.config.backends["one"].max_turns == 1


async def test_tenants_come_and_go_with_what_they_have_used() -> None:
    tenant = TenantConfig(keys=(written_digest(KEY),), admin=True, requests_per_minute=2)
    async with world(Backend("one")) as (at, proxy, _):
        assert (await at.ask("s"))[0] == 200
        assert changed(proxy, tenants={"a": tenant}).made == ("tenants.a",)
        assert (await at.ask("s"))[0] == 401
        at.client.headers["Authorization"] = f"Bearer {KEY}"
        assert [(await at.ask("s"))[0] for _ in range(3)] == [200, 200, 429]
        changed(proxy, tenants={"a": msgspec.structs.replace(tenant, concurrent_turns=3)})
        assert (await at.ask("s"))[0] == 429
        changed(proxy, tenants={"a": msgspec.structs.replace(tenant, requests_per_minute=3)})
        assert (await at.ask("s"))[0] == 200


async def test_the_last_backend_and_the_last_tenant_stay_until_a_start() -> None:
    """As if the file had been cut off: nobody would be served, or everybody without a key."""
    tenant = TenantConfig(keys=(written_digest(KEY),))
    async with world(Backend("one"), tenants={"a": tenant}) as (at, proxy, _):
        for param in ("backends", "tenants"):
            with pytest.raises(ConfigError) as refused:
                changed(proxy, **{param: {}})
            assert refused.value.param == param
        assert (await at.ask("s"))[0] == 401
        at.client.headers["Authorization"] = f"Bearer {KEY}"
        assert (await at.ask("s"))[0] == 200


async def test_a_tenant_that_is_gone_may_call_nothing_though_its_client_is_still_connected() -> None:
    tenant = TenantConfig(keys=(written_digest(KEY),), tools=("read",))
    other = TenantConfig(keys=(written_digest(KEY[::-1]),))
    async with world(Backend("one"), tenants={"a": tenant, "b": other}) as (_, proxy, _configs):
        assert [proxy.reloader.config.permits("a", tool) for tool in ("read", "delete")] == [True, False]
        changed(proxy, tenants={"b": other})
        assert [proxy.reloader.config.permits("a", tool) for tool in ("read", "delete")] == [False, False]


async def test_a_wrapped_clients_socket_is_cut_off_with_its_key() -> None:
    gone, stays = (TenantConfig(keys=(written_digest(key),)) for key in (KEY, KEY[::-1]))
    async with world(Backend("one"), tenants={"a": gone, "b": stays}) as (at, proxy, _configs):
        first, second = [
            await at.client.ws_connect(at.url + PATH, headers={"x-paste-key": key}) for key in (KEY, KEY[::-1])
        ]
        changed(proxy, tenants={"b": msgspec.structs.replace(stays, calls_per_minute=5)})
        async with asyncio.timeout(SOON_S):
            assert (await first.receive()).type in (WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR)
        connections = cast(Any, proxy.reloader._changed).__self__._open.values()
        limits = {one.tenant.name: one.tenant.config.calls_per_minute for one in connections}
        assert limits["b"] == 5
        await second.close()


async def test_a_backend_that_was_down_is_tried_at_its_new_address() -> None:
    async with world(Backend("one"), Backend("two")) as (at, proxy, configs):
        changed(proxy, backends={"one": configs["one"], "two": BackendConfig(url="http://127.0.0.1:9")})
        proxy.runtime.tell(BackendDown("two"))
        proxy.runtime.tell(BackendTold("two", BackendLoad(running=1000)))
        assert {await at.by(f"s{number}") for number in range(12)} == {"one"}
        changed(proxy, backends=configs)
        assert {await at.by(f"new{number}") for number in range(12)} == {"one", "two"}


async def test_what_may_run_ahead_changes_and_what_is_kept_of_it_goes() -> None:
    async with world(Backend("one"), plugins=(PluginConfig(path=str(ROOT / "plugins/docs.py")),)) as at_proxy:
        _, proxy, _ = at_proxy
        core = proxy.runtime.core
        names = [name for name, spec in core.tools.items() if spec.effect.name == "READ"]
        assert names
        assert (core.broker.permits.lists(names[0]), core.listens) == (False, False)
        budgets = BudgetsConfig(overall=BudgetConfig(concurrent=1))
        speculation = SpeculationConfig(allow=(names[0],), budgets=budgets, candidates=7)
        made = changed(proxy, speculation=speculation).made
        assert made == ("speculation.allow", "speculation.candidates", "speculation.budgets.overall.concurrent")
        assert (core.broker.permits.lists(names[0]), core.listens) == (True, True)
        assert core.turns.expectations.speculation.candidates == 7
        changed(proxy, speculation=SpeculationConfig())
        assert not core.broker.permits.lists(names[0])


async def test_a_name_of_no_tool_is_told_as_at_a_start(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    tenant = TenantConfig(keys=(written_digest(KEY),), tools=("lok",))
    async with world(Backend("one"), plugins=(PluginConfig(path=str(ROOT / "plugins/docs.py")),)) as at_proxy:
        _, proxy, _ = at_proxy
        allow = ("docs_open", "dosc_open")
        changed(proxy, speculation=SpeculationConfig(allow=allow), tenants={"a": tenant})
        assert "speculation.allow: no tool until a server or a client offers it: dosc_open" in caplog.messages
        assert "tenants.a.tools: there is no tool 'lok' yet" in caplog.messages


async def test_what_can_never_run_ahead_is_refused_as_at_a_start(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(WRITES)
    plugin = PluginConfig(path=str(tmp_path / "p.py"))
    async with world(Backend("one"), plugins=(plugin,)) as (_, proxy, _configs):
        with pytest.raises(ConfigError, match=r"speculation\.allow: put can never run ahead: "):
            changed(proxy, speculation=SpeculationConfig(allow=("put",)))
        assert proxy.reloader.config.speculation.allow == ()


async def test_what_needs_a_start_is_named_and_stays(caplog: pytest.LogCaptureFixture) -> None:
    async with world(Backend("one"), Backend("two")) as (_, proxy, configs):
        wanted = msgspec.structs.replace(
            proxy.reloader.config,
            backends=configs,
            listen=ListenConfig(port=1),
            speculation=SpeculationConfig(mode="off"),
        )
        changes = proxy.reloader.reload(wanted)
        assert changes == Changes(("backends.two",), ("listen.port", "speculation.mode"))
        assert "needs a start: listen.port, speculation.mode" in caplog.text
        assert proxy.reloader.config.listen.port == 0
        assert proxy.reloader.config.speculation.mode == "on"
        assert proxy.reloader.reload(wanted).made == ()


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"backends": {"one": BackendConfig(url="ftp://x")}}, "backends.one.url"),
        ({"backends": {"one": BackendConfig(url="http://x", key="${NO_SUCH_KEY}")}}, "backends.one.key"),
        ({"tenants": {"a": TenantConfig()}}, "tenants.a.keys"),
        ({"backend": BackendConfig(url="http://x")}, "backends"),
        (
            {"backends": {"a": BackendConfig(url="http://x"), "b": BackendConfig(url="http://x:80/")}},
            "backends.b.url",
        ),
    ],
)
async def test_what_is_wrong_changes_nothing(wrong: dict[str, Any], key: str) -> None:
    async with world(Backend("one"), Backend("two")) as (at, proxy, configs):
        before = proxy.reloader.config
        with pytest.raises(ConfigError) as caught:
            changed(proxy, **{"backends": configs, **wrong})
        assert caught.value.param == key
        assert proxy.reloader.config is before
        assert list(await at.standing()) == ["one"]
        assert await at.by("s") == "one"


async def test_how_long_turns_are_held_and_what_is_worth_a_run_change_at_once() -> None:
    async with world(Backend("one")) as (_, proxy, _configs):
        core = proxy.runtime.core
        made = changed(
            proxy,
            schedule=ScheduleConfig(max_hold_s=7.0, keepalive_s=3.0, policy="fcfs", close_sessions="told"),
            speculation=SpeculationConfig(sample=0.5, min_service_s=0.4),
        )
        assert set(made.made) == {
            "schedule.max_hold_s",
            "schedule.keepalive_s",
            "schedule.close_sessions",
            "speculation.sample",
            "speculation.min_service_s",
        }
        assert made.wait == ("schedule.policy",)
        assert proxy.reloader.config.schedule == ScheduleConfig(
            max_hold_s=7.0, keepalive_s=3.0, close_sessions="told"
        )
        assert not core.pacing.endings.learns
        assert (core.holds.max_hold_s, core.broker.min_service_s) == (7.0, 0.4)
        assert [core.broker.sampling.is_due("t") for _ in range(4)] == [True, False, True, False]


def test_the_hot_keys_are_documented() -> None:
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    section = text[text.index("## While it runs") :]
    assert [key for key in HOT if f"`{key}`" not in section] == []


async def test_a_signal_has_the_file_read_again(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    one, two = Backend("one"), Backend("two")
    async with running((one, two)) as configs:

        def write(*names: str) -> None:
            lines = [f"  {name}: {{url: {configs[name].url!r}, kind: openai}}" for name in names]
            file.write_text("listen: {port: 0}\nbackends:\n" + "\n".join(lines) + "\n", encoding="utf-8")

        write("one")
        command = (sys.executable, "-m", "paste_proxy", "serve", "--config", str(file))
        log = (tmp_path / "log").open("wb")
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        try:
            assert process.stdout is not None
            url = (await process.stdout.readline()).decode().removeprefix("listening on ").strip()
            async with aiohttp.ClientSession() as client:
                at = World(url, client, {})
                assert list(await at.standing()) == ["one"]
                file.write_text("backends: {one: {ur: x}}", encoding="utf-8")
                process.send_signal(signal.SIGHUP)
                await logged(tmp_path / "log", "the configuration is as it was")
                assert list(await at.standing()) == ["one"]
                write("one", "two")
                process.send_signal(signal.SIGHUP)
                await logged(tmp_path / "log", "the configuration was changed: backends.two")
                assert list(await at.standing()) == ["one", "two"]
        finally:
            process.terminate()
            await process.wait()
            log.close()


async def logged(log: Path, line: str) -> None:
    async with asyncio.timeout(SOON_S):
        while line not in log.read_text(encoding="utf-8"):  # noqa: ASYNC110, ASYNC240 - another process
            await asyncio.sleep(0.05)
