"""Agents as people write them, with seven SDKs and frameworks, through the proxy at a real SGLang.

The engine runs with the parser `pythonic`, under which it constrains a required call to the tools' schemas:
so even a model with random weights calls tools, several at once.
"""

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from tests.conformance.install_clients import INSTALL_COMMAND, clients_folder, find_clients
from tests.conformance.support import ENGINE_TEST, serving

pytestmark = ENGINE_TEST

CLIENTS = Path(__file__).parent / "clients"
NAMES = sorted(path.stem for path in CLIENTS.glob("*.py") if path.stem not in ("__init__", "common"))
WRAPPED = [name for name in NAMES if name.startswith("wrapped_")]
ROOT = str(CLIENTS.parents[2])
TIMEOUT_S = 120.0
"""An import of litellm alone takes 6 s of CPU."""


class Run(msgspec.Struct):
    """What a client reports: the calls that its own objects show, and the model's turns."""

    calls: list[dict[str, Any]]
    turns: int


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def front(pythonic_engine: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with serving(pythonic_engine, tmp_path_factory.mktemp("proxy")) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def leasing(pythonic_engine: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A proxy of its own: calls that agents leave unanswered at their end count as writes for long."""
    allowed = "speculation: {allow: [slow_weather, slow_file]}"
    async with serving(pythonic_engine, tmp_path_factory.mktemp("leasing"), allowed) as url:
        yield url


async def run_client(name: str, url: str) -> Run:
    python = find_clients()
    if python is None:
        pytest.skip(f"no clients in {clients_folder()}; to install them: {INSTALL_COMMAND}")
    quiet = {"PYTHONPATH": ROOT, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENAI_AGENTS_DISABLE_TRACING": "1"}
    process = await asyncio.create_subprocess_exec(
        str(python),
        str(CLIENTS / f"{name}.py"),
        url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **quiet},
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    return msgspec.json.decode(out.splitlines()[-1], type=Run)


async def sessions(url: str) -> dict[str, int]:
    """The turns of every session, by id."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/paste/v1/sessions") as response:
        return {one["id"]: one["turns"] for one in (await response.json())["sessions"]}


async def sealed(url: str, session: str) -> list[dict[str, Any]]:
    """The calls that the tap saw, in the client's terms."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/paste/v1/sessions/{session}") as response:
        timeline = (await response.json())["timeline"]
    return [
        {"id": note["call_id"], "name": note["tool"], "arguments": json.loads(note["arguments"])}
        for note in timeline
        if note["what"] == "sealed"
    ]


@pytest.mark.parametrize("name", NAMES)
async def test_a_client_finishes_its_loop_in_one_session_and_the_tap_saw_its_calls(
    front: str, name: str
) -> None:
    before = await sessions(front)
    run = await run_client(name, front)
    new = {session: turns for session, turns in (await sessions(front)).items() if session not in before}
    assert list(new.values()) == [run.turns]
    assert run.turns >= 2
    assert run.calls
    assert await sealed(front, *new) == run.calls


async def hits(url: str) -> Counter[str]:
    async with aiohttp.ClientSession() as http, http.get(f"{url}/paste/v1/stats") as response:
        return Counter((await response.json())["hits"])


@pytest.mark.parametrize("name", WRAPPED)
async def test_calls_of_wrapped_tools_find_what_ran_while_the_model_still_wrote(
    leasing: str, name: str
) -> None:
    before = await hits(leasing)
    run = await run_client(name, leasing)
    new = await hits(leasing) - before
    assert new["decided"] + new["reused"] + new["joined"] >= 1, new
    assert new.total() <= len(run.calls), "what is still under way when its process ends is not counted"
