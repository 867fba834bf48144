"""What a real SGLang is found to be able to do, and that it takes what is then sent to it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from paste_proxy.backends import SGLANG
from paste_proxy.backends.abilities import find_abilities
from paste_proxy.backends.asking import Asker
from paste_proxy.config import BackendConfig
from paste_proxy.lab.sglang_server import INSTALL_COMMAND, SglangServer, find_install, venv_folder
from paste_proxy.schedule.backends import PriorityBand
from tests.conformance.support import ENGINE_TEST, MODEL, SEARCH, serving, until

pytestmark = ENGINE_TEST

WITHIN_S = 60.0
"""On a busy machine."""
FLAGS = (
    "--enable-priority-scheduling",
    "--schedule-policy=fcfs",
    "--default-priority-value=0",
    "--enable-session-radix-cache",
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def able(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SglangServer]:
    """An engine with all that the proxy can use."""
    install = find_install()
    if install is None:
        pytest.skip(f"no SGLang in {venv_folder()}; to install it: {INSTALL_COMMAND}")
    folder = tmp_path_factory.mktemp("able")
    async with SglangServer(install, folder, max_running_requests=4, extra_args=FLAGS) as server:
        yield server


async def checked(url: str) -> tuple[int | None, dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "paste_proxy", "check", "--backend", url, "--json"),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    told = msgspec.json.decode(output)
    return process.returncode, {row["ability"]: row for row in told["backends"][0]["abilities"]}


async def test_an_engine_with_everything(able: SglangServer) -> None:
    code, rows = await checked(able.url)
    assert code == 0
    missing = {name for name, row in rows.items() if row["state"] != "yes"}
    assert missing == {"raw_tap"}
    assert rows["models"]["what"] == MODEL
    assert rows["raw_tap"]["what"] == "possible"
    assert rows["priority"]["what"] == "-4 (latest) to 4 (soonest)"


async def test_a_plain_engine(engine: str) -> None:
    code, rows = await checked(engine)
    assert code == 0
    missing = {name: row["advice"] for name, row in rows.items() if row["state"] == "no"}
    assert set(missing) == {"priority", "session_radix_cache", "raw_tap"}
    assert "--enable-priority-scheduling" in missing["priority"]


async def test_every_endpoint_that_may_tell_the_load(able: SglangServer) -> None:
    async with aiohttp.ClientSession() as session:
        asker = Asker(session, BackendConfig(url=able.url))
        found = await find_abilities(asker, SGLANG, BackendConfig())
        assert found.band == PriorityBand(soonest=4, latest=-4)
        hello = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}
        async with session.post(f"{able.url}/v1/chat/completions", json=hello) as reply:
            assert reply.status == 200
        await until(lambda: are_told(asker), WITHIN_S, "the metrics are there")
        readings = {source.path: source.read((await asker.get(source.path)).body) for source in SGLANG.loads}
    assert [path for path, reading in readings.items() if reading is None] == ["/get_load"]
    assert {reading.kv_tokens for reading in readings.values() if reading is not None} == {65536}


async def are_told(asker: Asker) -> bool:
    """An engine's metrics begin after its first request."""
    [metrics] = [source for source in SGLANG.loads if source.path == "/metrics"]
    return metrics.read((await asker.get("/metrics")).body) is not None


async def test_requests_carry_a_priority_and_their_session(
    able: SglangServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "hello"}],
        "tools": [SEARCH],
        "max_tokens": 2,
        "priority": 1000,
    }
    async with (
        serving(able.url, tmp_path_factory.mktemp("proxy")) as url,
        aiohttp.ClientSession() as client,
    ):
        for final in ("0", "1"):
            headers = {"x-dynamo-session-id": "one", "x-dynamo-session-final": final}
            async with client.post(f"{url}/v1/chat/completions", json=body, headers=headers) as reply:
                assert reply.status == 200
        async with client.get(f"{able.url}/metrics") as page:
            metrics = await page.text()
        assert 'priority="4"' in metrics
        assert 'priority="1000"' not in metrics
        async with asyncio.timeout(WITHIN_S):
            while "release_session paste-" not in able.log.read_text(encoding="utf-8"):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
