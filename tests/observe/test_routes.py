"""Who may read the proxy's own pages: web pages of other hosts learn nothing of sessions."""

from typing import Any

import aiohttp
import pytest
from aiohttp import web

from paste_proxy.config import Config
from paste_proxy.core import Core
from paste_proxy.guard import Guard
from paste_proxy.observe.routes import ObserveRoutes
from paste_proxy.proxy.counters import RelayCounters
from paste_proxy.runtime import Runtime
from tests.broker.world import SPECS
from tests.gateway.servers import serving
from tests.test_runtime import FakeExecutor, Guesses

STRANGERS = [
    ({"host": "evil.example"}, 421, "untrusted_host"),
    ({"host": "evil.example", "origin": "http://evil.example"}, 421, "untrusted_host"),
    ({"origin": "http://evil.example"}, 403, "untrusted_origin"),
    ({"origin": "null"}, 403, "untrusted_origin"),
]


async def asked(path: str, headers: dict[str, str], *, listen_host: str = "127.0.0.1") -> tuple[int, str]:
    """Status and text."""
    clock: Any = None
    runtime = Runtime(Core(SPECS, Config(), Guesses()), FakeExecutor(), clock)
    app = web.Application()
    ObserveRoutes(runtime, RelayCounters(), Guard(listen_host)).add_to(app)
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


@pytest.mark.parametrize("path", ["/paste/health", "/paste/metrics"])
@pytest.mark.parametrize(("headers", "_status", "_code"), STRANGERS)
async def test_probes_may_use_any_name(path: str, headers: dict[str, str], _status: int, _code: str) -> None:
    assert (await asked(path, headers))[0] == 200


@pytest.mark.parametrize("headers", [{}, {"host": "localhost:1"}, {"origin": "http://localhost:3000"}])
async def test_programs_and_pages_of_this_machine_are_answered(headers: dict[str, str]) -> None:
    assert await asked("/paste/v1/sessions", headers) == (200, '{"sessions":[]}')


async def test_on_a_network_any_host_is_answered() -> None:
    assert (await asked("/paste/v1/stats", {"host": "gw.example"}, listen_host="0.0.0.0"))[0] == 200
