"""The whole proxy with several backends on loopback, which refuse, break off, are silent, and come back."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from paste_proxy.app import build, listening
from paste_proxy.config import BackendConfig, Config, ListenConfig, TenantConfig
from paste_proxy.errors import ConfigError
from paste_proxy.proxy import lines
from tests.gateway.servers import serving
from tests.patience import SOON_S, until

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Backend:
    """Answers with its own name; `behaves` says otherwise."""

    def __init__(self, name: str, *, sglang: bool = False) -> None:
        self.name = name
        self.sglang = sglang
        self.behaves: Behaviour | None = None
        self.turns: list[dict[str, Any]] = []
        self.aborts: list[str] = []
        self.others: list[str] = []
        self.is_ready = True

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.chat)
        app.router.add_post("/abort_request", self.abort)
        app.router.add_get("/ready", self.ready)
        app.router.add_route("*", "/{rest:.*}", self.other)
        return app

    async def chat(self, request: web.Request) -> web.StreamResponse:
        self.turns.append(await request.json())
        if self.behaves is not None:
            return await self.behaves(request)
        message = {"role": "assistant", "content": f"by {self.name}"}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return web.json_response({"choices": choices})

    async def abort(self, request: web.Request) -> web.Response:
        self.aborts.append((await request.json())["rid"])
        return web.Response()

    async def ready(self, _request: web.Request) -> web.Response:
        return web.Response(status=200 if self.is_ready else 503)

    async def other(self, request: web.Request) -> web.Response:
        self.others.append(request.path)
        return web.Response(text=f"by {self.name}")


async def breaks_off(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def is_full(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"object": "error", "message": "The request queue is full."}, status=503)


async def asks_for_patience(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": "slow down"}, status=429, headers={"Retry-After": "7"})


async def is_silent(_request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def breaks_off_later(request: web.Request) -> web.StreamResponse:
    reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await reply.prepare(request)
    await reply.write(b'data: {"choices":[{"index":0,"delta":{"content":"half"}}]}\n\n')
    return await breaks_off(request)


class World:
    """A proxy before its backends, and a client."""

    def __init__(self, url: str, client: aiohttp.ClientSession, backends: dict[str, Backend]) -> None:
        self.url = url
        self.client = client
        self.backends = backends
        self.messages: dict[str, list[dict[str, Any]]] = {}
        """By session, as far as it has come."""

    async def ask(self, session: str) -> tuple[int, str, aiohttp.ClientResponse]:
        begin = [{"role": "user", "content": f"{session}: go"}]
        body = {"model": "m", "messages": self.messages.setdefault(session, begin)}
        headers = {"x-session-id": session}
        async with self.client.post(f"{self.url}/v1/chat/completions", json=body, headers=headers) as reply:
            return reply.status, await reply.text(), reply

    async def by(self, session: str) -> str:
        """The backend that answers the session."""
        status, text, _ = await self.ask(session)
        assert status == 200, text
        said = json.loads(text)["choices"][0]["message"]
        self.messages[session] += [said, {"role": "user", "content": "go on"}]
        content: str = said["content"]
        return content.removeprefix("by ")

    async def session_of(self, backend: str) -> str:
        """One that lives at that backend."""
        for number in range(99):
            if await self.by(f"s{number}") == backend:
                return f"s{number}"
        raise AssertionError(f"no session goes to {backend}")

    async def standing(self) -> dict[str, Any]:
        async with self.client.get(f"{self.url}/paste/v1/backends") as reply:
            told: dict[str, Any] = (await reply.json())["backends"]
            return told

    async def until_up(self, backend: str, *, up: bool) -> None:
        async with asyncio.timeout(SOON_S):
            while (await self.standing())[backend]["up"] is not up:  # noqa: ASYNC110 - over HTTP
                await asyncio.sleep(0.02)

    async def drain(self, backend: str, *, on: bool) -> int:
        wish = {"draining": on}
        async with self.client.post(f"{self.url}/paste/v1/backends/{backend}", json=wish) as reply:
            return reply.status


@asynccontextmanager
async def world(
    *backends: Backend,
    keys_of: Mapping[str, str] | None = None,
    tenants: Mapping[str, TenantConfig] | None = None,
    **keys: Any,
) -> AsyncIterator[World]:
    """`keys` are settings of all backends."""
    async with AsyncExitStack() as stack:
        configs = {}
        for backend in backends:
            url = await stack.enter_async_context(serving(backend.application()))
            kind: Any = "sglang" if backend.sglang else "openai"
            configs[backend.name] = BackendConfig(
                url=url, kind=kind, key=(keys_of or {}).get(backend.name, ""), **keys
            )
        listen = ListenConfig(port=0)
        proxy = build(Config(listen=listen, backends=configs, tenants=dict(tenants or {})))
        url = await stack.enter_async_context(listening(proxy))
        client = await stack.enter_async_context(aiohttp.ClientSession())
        yield World(url, client, {backend.name: backend for backend in backends})


async def test_sessions_spread_and_stay() -> None:
    async with world(Backend("one"), Backend("two")) as at:
        first = [await at.by(f"s{number}") for number in range(16)]
        assert set(first) == {"one", "two"}
        assert [await at.by(f"s{number}") for number in range(16)] == first
        standing = await at.standing()
        assert {name: one["turns"] for name, one in standing.items()} == {
            name: 2 * first.count(name) for name in ("one", "two")
        }
        assert sum(one["sessions"] for one in standing.values()) == 16


@pytest.mark.parametrize("behaves", [breaks_off, is_full])
@pytest.mark.parametrize("sglang", [False, True])
async def test_a_turn_that_one_can_not_take_goes_to_the_other_once(behaves: Behaviour, sglang: bool) -> None:
    one, two = Backend("one", sglang=sglang), Backend("two", sglang=sglang)
    async with world(one, two) as at:
        session = await at.session_of("one")
        one.behaves = behaves
        before, taken = len(one.turns), len(two.turns)
        status, text, _ = await at.ask(session)
        if behaves is breaks_off and not sglang:  # it is there, and may be generating
            assert (status, len(two.turns)) == (502, taken)
            return
        assert (status, "by two" in text) == (200, True)
        assert (len(one.turns), len(two.turns)) == (before + 1, taken + 1)
        if sglang and behaves is breaks_off:
            await until(lambda: len(one.aborts) == 1)
            assert one.turns[-1]["rid"] in one.aborts
        assert one.turns[-1].get("rid") != two.turns[-1].get("rid") or not sglang
        one.behaves = None
        assert await at.by(session) == "two"
        standing = await at.standing()
        assert (standing["one"]["refused"], standing["two"]["retries"]) == (1, 1)


async def test_a_turn_for_a_backend_that_is_gone_goes_to_the_other() -> None:
    one, two = Backend("one"), Backend("two")
    async with AsyncExitStack() as stack:
        app = web.AppRunner(one.application())
        await app.setup()
        await web.TCPSite(app, "127.0.0.1", 0).start()
        one_url = "http://{}:{}".format(*app.addresses[0][:2])
        two_url = await stack.enter_async_context(serving(two.application()))
        configs = {
            "one": BackendConfig(url=one_url, kind="openai"),
            "two": BackendConfig(url=two_url, kind="openai"),
        }
        proxy = build(Config(listen=ListenConfig(port=0), backends=configs))
        url = await stack.enter_async_context(listening(proxy))
        client = await stack.enter_async_context(aiohttp.ClientSession())
        at = World(url, client, {})
        session = await at.session_of("one")
        await app.cleanup()
        assert await at.by(session) == "two"
        async with client.get(f"{url}/v1/models") as reply:  # the first of them is not known to be down yet
            assert await reply.text() == "by two"
        for number in range(4):
            await at.by(f"new{number}")
        assert two.others == ["/v1/models"]


async def test_all_that_refuse_are_asked_once_and_the_last_one_is_heard() -> None:
    backends = [Backend(name) for name in ("one", "two", "three")]
    async with world(*backends) as at:
        for backend in backends:
            backend.behaves = is_full
        status, text, _ = await at.ask("s")
        assert (status, "queue is full" in text) == (503, True)
        assert [len(backend.turns) for backend in backends] == [1, 1, 1]


async def test_a_limit_is_for_the_client() -> None:
    one, two = Backend("one"), Backend("two")
    one.behaves = two.behaves = asks_for_patience
    async with world(one, two) as at:
        status, _, reply = await at.ask("s")
        assert (status, reply.headers["Retry-After"]) == (429, "7")
        assert len(one.turns) + len(two.turns) == 1


async def test_silence_may_be_thought_so_nobody_else_is_asked() -> None:
    one, two = Backend("one", sglang=True), Backend("two", sglang=True)
    one.behaves = two.behaves = is_silent
    async with world(one, two, silence_timeout_s=0.4) as at:
        status, text, _ = await at.ask("s")
        assert (status, json.loads(text)["error"]["code"]) == (504, "backend_timeout")
        assert len(one.turns) + len(two.turns) == 1
        await until(lambda: len(one.aborts) + len(two.aborts) == 1)


async def test_a_reply_that_has_begun_is_the_client_s_and_stays_cut() -> None:
    one, two = Backend("one", sglang=True), Backend("two", sglang=True)
    async with world(one, two) as at:
        one.behaves = two.behaves = breaks_off_later
        with pytest.raises(aiohttp.ClientPayloadError):
            await at.ask("s")
        assert len(one.turns) + len(two.turns) == 1


async def test_one_alone_is_asked_however_often_it_fails() -> None:
    one = Backend("one")
    one.behaves = breaks_off
    async with world(one) as at:
        for _ in range(5):
            assert (await at.ask("s"))[0] == 502
        assert (await at.standing())["one"]["up"] is False
        one.behaves = None
        assert await at.by("s") == "one"


async def test_what_is_down_is_probed_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "WATCH_S", 0.02)
    one, two = Backend("one", sglang=True), Backend("two", sglang=True)
    async with world(one, two) as at:
        session = await at.session_of("one")
        one.is_ready = False
        await at.until_up("one", up=False)
        assert await at.by(session) == "two"
        one.is_ready = True
        await at.until_up("one", up=True)
        assert {await at.by(f"new{number}") for number in range(12)} == {"one", "two"}


async def test_a_backend_that_drains_keeps_its_sessions_and_gets_no_new_ones() -> None:
    async with world(Backend("one"), Backend("two")) as at:
        session = await at.session_of("one")
        assert await at.drain("one", on=True) == 200
        assert (await at.standing())["one"]["draining"] is True
        assert await at.by(session) == "one"
        assert {await at.by(f"new{number}") for number in range(12)} == {"two"}
        async with at.client.get(f"{at.url}/v1/models") as reply:
            assert await reply.text() == "by two"
        async with at.client.get(f"{at.url}/v1/models", headers={"x-session-id": session}) as reply:
            assert await reply.text() == "by one"
        assert await at.drain("one", on=False) == 200
        assert {await at.by(f"more{number}") for number in range(12)} == {"one", "two"}
        assert await at.drain("three", on=True) == 404


@pytest.mark.parametrize(
    ("body", "why"),
    [(b'{"draining": 1}', "Expected `bool`"), (b'{"\\ud800": 1}', "half of a"), (b'{"\xed": 1}', "not UTF-8")],
)
async def test_what_says_nothing_of_draining_changes_nothing(body: bytes, why: str) -> None:
    async with world(Backend("one"), Backend("two")) as at:
        async with at.client.post(f"{at.url}/paste/v1/backends/one", data=body) as reply:
            error = (await reply.json())["error"]
            assert (reply.status, error["code"], error["param"]) == (400, "bad_request", "body")
            assert why in error["message"]
        assert (await at.standing())["one"]["draining"] is False


async def test_the_metrics_tell_them_apart() -> None:
    async with world(Backend("one"), Backend("two")) as at:
        await at.by("s")
        async with at.client.get(f"{at.url}/paste/metrics") as reply:
            text = await reply.text()
        assert 'paste_backend_up{backend="one"} 1.0' in text
        assert 'paste_backend_turns_total{backend="two"}' in text


async def test_each_backend_gets_its_own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()

    async def tells(request: web.Request) -> web.StreamResponse:
        seen.add((request.url.port, request.headers["Authorization"]))
        return web.json_response({"choices": []})

    one, two = Backend("one"), Backend("two")
    one.behaves = two.behaves = tells
    keys = {"one": "${KEY_ONE}", "two": "${KEY_TWO}"}
    monkeypatch.setenv("KEY_ONE", "key-one")
    monkeypatch.setenv("KEY_TWO", "key-two")
    monkeypatch.setenv("OURS", "pp-" + "x" * 30)
    tenants = {"a": TenantConfig(keys=("${OURS}",), admin=True)}
    async with world(one, two, keys_of=keys, tenants=tenants) as at:
        at.client.headers["Authorization"] = "Bearer pp-" + "x" * 30
        for number in range(12):
            assert (await at.ask(f"s{number}"))[0] == 200
    assert {key for _, key in seen} == {"Bearer key-one", "Bearer key-two"}
    assert len(seen) == 2


async def test_a_web_server_that_is_no_llm_server_gets_no_session_while_another_is_there() -> None:
    good = Backend("good")
    async with serving(good.application()) as url, serving(web.Application()) as other:
        addresses = {"bad": other, "good": url}
        configs = {
            name: BackendConfig(url=address, kind="openai" if name == "good" else "auto")
            for name, address in addresses.items()
        }
        proxy = build(Config(listen=ListenConfig(port=0), backends=configs))
        async with listening(proxy) as at, aiohttp.ClientSession() as client:
            world = World(at, client, {"good": good})
            assert {await world.by(f"s{number}") for number in range(12)} == {"good"}
            standing = await world.standing()
            assert [standing[name]["up"] for name in ("bad", "good")] == [False, True]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://127.0.0.1:30000", "http://127.0.0.1:30000/"),
        ("http://engine", "http://ENGINE:80"),
        ("https://engine.example.:443/llm", "https://engine.example/llm/"),
        ("http://[::1]:8000", "http://[::1]:8000/"),
    ],
)
def test_one_server_is_not_two_backends(one: str, other: str) -> None:
    urls = {"first": one, "between": "http://127.0.0.1:1", "second": other}
    config = Config(backends={name: BackendConfig(url=url) for name, url in urls.items()})
    with pytest.raises(ConfigError, match=r"^backends\.second\.url: .* address of backends\.first, too"):
        build(config)


def test_two_servers_of_one_host_are_two_backends() -> None:
    urls = ("http://h:1", "http://h:2", "https://h", "http://h/a", "http://h/b", "http://127.0.0.2:1")
    build(Config(backends={f"b{number}": BackendConfig(url=url) for number, url in enumerate(urls)}))
