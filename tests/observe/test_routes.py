"""Who may read the proxy's own pages: web pages of other hosts learn nothing of sessions."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from paste_proxy.access.access import Access
from paste_proxy.clock import VirtualClock
from paste_proxy.config import Config
from paste_proxy.core import Core
from paste_proxy.events import Identity
from paste_proxy.grammar.requests import parse_chat_request
from paste_proxy.guard import Guard
from paste_proxy.observe.routes import LISTED, ObserveRoutes
from paste_proxy.proxy.counters import RelayCounters
from paste_proxy.proxy.lines import Lines
from paste_proxy.runtime import Runtime
from paste_proxy.tools.table import ToolTable
from tests.broker.cast import SPECS
from tests.gateway.servers import serving
from tests.test_runtime import FakeExecutor, Guesses

STRANGERS = [
    ({"host": "evil.example"}, 421, "untrusted_host"),
    ({"host": "evil.example", "origin": "http://evil.example"}, 421, "untrusted_host"),
    ({"origin": "http://evil.example"}, 403, "untrusted_origin"),
    ({"origin": "null"}, 403, "untrusted_origin"),
]


async def never_asked() -> bool:
    """Of a backend, by pages that have nothing to do with one."""
    raise AssertionError


async def asked(
    path: str,
    headers: dict[str, str],
    *,
    listen_host: str = "127.0.0.1",
    backend_up: bool = True,
    failed: bool = False,
) -> tuple[int, str]:
    """Status and text."""

    async def is_up() -> bool:
        return backend_up

    clock: Any = None
    runtime = Runtime(Core(ToolTable(SPECS), Config(), Guesses()), FakeExecutor(), clock)
    app = web.Application()
    access = Access(Config(), {}, lambda: 0.0)
    runtime.failed = failed
    lines = Lines(Config(), access, runtime.tell)
    ObserveRoutes(runtime, RelayCounters(), Guard(listen_host), access, lines, is_up).add_to(app)
    async with (
        serving(app) as base,
        aiohttp.ClientSession(base) as client,
        client.get(path, headers=headers) as reply,
    ):
        return reply.status, await reply.text()


@pytest.mark.parametrize(
    "path", ["/paste/v1/stats", "/paste/v1/shadow", "/paste/v1/sessions", "/paste/v1/sessions/x", "/paste/x"]
)
@pytest.mark.parametrize(("headers", "status", "code"), STRANGERS)
async def test_pages_of_other_hosts_are_refused(
    path: str, headers: dict[str, str], status: int, code: str
) -> None:
    said = await asked(path, headers)
    assert said[0] == status
    assert f'"code":"{code}"' in said[1]


@pytest.mark.parametrize("path", ["/paste/health", "/paste/ready", "/paste/metrics"])
@pytest.mark.parametrize(("headers", "_status", "_code"), STRANGERS)
async def test_probes_may_use_any_name(path: str, headers: dict[str, str], _status: int, _code: str) -> None:
    assert (await asked(path, headers))[0] == 200


@pytest.mark.parametrize(
    ("backend_up", "failed", "status", "told"),
    [
        (True, False, 200, {"status": "ready", "core": "ok", "backend": "up"}),
        (False, False, 503, {"status": "not ready", "core": "ok", "backend": "down"}),
        (True, True, 503, {"status": "not ready", "core": "failed", "backend": "up"}),
    ],
)
async def test_ready_is_what_has_its_core_and_its_backend(
    *, backend_up: bool, failed: bool, status: int, told: dict[str, str]
) -> None:
    said = await asked("/paste/ready", {}, backend_up=backend_up, failed=failed)
    assert (said[0], json.loads(said[1])) == (status, told)
    assert (await asked("/paste/health", {}, backend_up=backend_up, failed=failed))[0] == 200


@pytest.mark.parametrize("headers", [{}, {"host": "localhost:1"}, {"origin": "http://localhost:3000"}])
async def test_programs_and_pages_of_this_machine_are_answered(headers: dict[str, str]) -> None:
    assert await asked("/paste/v1/sessions", headers) == (200, '{"sessions":[],"total":0}')


# -- the list of sessions ---------------------------------------------------------------------------------


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()


@pytest.fixture
async def listed() -> AsyncIterator[Callable[[str], Awaitable[tuple[int, Any]]]]:
    """Asks for the list, by its query. Session n began at n seconds, 0 was heard of last, at a minute."""
    clock = VirtualClock()
    runtime = Runtime(Core(ToolTable(SPECS), Config(), Guesses()), FakeExecutor(), clock)
    body = b'{"model": "m", "messages": [{"role": "user", "content": "go"}]}'
    for number in (*range(LISTED + 2), 0):
        request = parse_chat_request(body.replace(b"go", b"go %d" % number))
        handle = await runtime.admit(Identity(session=f"s{number}"), request)
        handle.close(complete=True)
        clock.advance(1.0)
    app = web.Application()
    guard = Guard("127.0.0.1")
    access = Access(Config(), {}, clock.now)
    lines = Lines(Config(), access, runtime.tell)
    routes = ObserveRoutes(
        runtime, RelayCounters(), guard, access, lines, never_asked, wall=lambda: NOON + clock.now()
    )
    routes.add_to(app)
    async with serving(app) as base, aiohttp.ClientSession(base) as client:

        async def ask(query: str) -> tuple[int, Any]:
            async with client.get(f"/paste/v1/sessions{query}") as reply:
                return reply.status, await reply.json()

        yield ask


async def test_sessions_are_listed_with_their_times_those_heard_of_last_first(listed: Any) -> None:
    _, page = await listed("")
    assert page["total"] == LISTED + 2
    assert [one["name"] for one in page["sessions"]][:3] == ["s0", f"s{LISTED + 1}", f"s{LISTED}"]
    assert len(page["sessions"]) == LISTED
    first, second, *_ = page["sessions"]
    assert (first["started"], first["last_seen"]) == ("2026-01-01T12:00:00.000Z", "2026-01-01T12:01:42.000Z")
    assert (first["turns"], second["turns"]) == (2, 1)
    assert second["started"] == second["last_seen"] == "2026-01-01T12:01:41.000Z"


@pytest.mark.parametrize(("query", "count"), [("?limit=1", 1), (f"?limit={LISTED + 2}", LISTED + 2)])
async def test_the_list_may_be_shorter_or_longer(listed: Any, query: str, count: int) -> None:
    _, page = await listed(query)
    assert len(page["sessions"]) == count


@pytest.mark.parametrize("wrong", ["0", "-1", "x", "", "1e3", "9" * 5000])
async def test_a_limit_that_is_none_is_refused(listed: Any, wrong: str) -> None:
    status, page = await listed(f"?limit={wrong}")
    assert (status, page["error"]["param"], page["error"]["code"]) == (400, "limit", "bad_request")


async def test_on_a_network_any_host_is_answered() -> None:
    assert (await asked("/paste/v1/stats", {"host": "gw.example"}, listen_host="0.0.0.0"))[0] == 200
