"""The whole way: an agent with wrapped tools, a real proxy on loopback, and the socket between them."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from paste_proxy.client.calling import Calling
from paste_proxy.client.protocol import PATH, VERSION, Welcome, encode
from paste_proxy.client.wrapping import _links, close, wrap
from tests.leases.wrapped_agent import READS, Library, agent, connected, running
from tests.patience import SOON_S, until
from tests.test_app import stats


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_the_same_transcript_with_and_without_wrap_and_less_waiting(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Calling.__init__, "__defaults__", (30.0,))  # a busy machine is no proxy that is away
    library = Library()
    made = library.tools() if kind == "async" else library.sync_tools()
    async with running("find", "read") as (url, proxy):
        plain = await agent(url, "emma", made)
        tools = await connected(url, made, proxy)
        assert await agent(url, "emma", tools) == plain
        counted = await stats(url)
    hits = counted["hits"]
    assert hits["executed"] == hits["promoted"] == 0
    assert hits["decided"] + hits["reused"] + hits["joined"] == 3


async def test_nothing_runs_ahead_that_the_operator_has_not_listed() -> None:
    library = Library()
    async with running("find") as (url, proxy):
        tools = await connected(url, library.tools(), proxy)
        await agent(url, "emma", tools)
        async with asyncio.timeout(SOON_S):
            while (await stats(url))["hits"]["executed"] != 2:  # noqa: ASYNC110 - what nobody waited for is told later
                await asyncio.sleep(0.01)
    assert library.runs[-2:] == ["emma-1", "emma-2"]


async def test_wrapped_tools_are_listed_and_callable_nowhere() -> None:
    library = Library()
    async with running("find", "read") as (url, proxy), ClientSession(url) as http:
        await connected(url, library.tools(), proxy)
        assert (await (await http.get("/v1/tools")).json())["tools"] == []
        for path in ("/v1/tools/find",):
            assert (await http.get(path)).status == 404
            assert (await http.post(path, json={"word": "x"})).status == 404
    assert library.runs == []


async def test_without_a_proxy_wrapped_tools_are_as_unwrapped_ones(caplog: Any) -> None:
    library = Library()
    find, read = wrap(library.tools(), proxy="http://127.0.0.1:9", effects={"find": "read"})
    assert await find("emma") == ["emma-1", "emma-2"]
    assert await read(book="b") == "text of b"
    await until(lambda: "no proxy" in caplog.text)
    await asyncio.sleep(0.5)  # a second attempt
    assert caplog.text.count("no proxy at http://127.0.0.1:9") == 1
    await asyncio.to_thread(close)


async def test_a_key_that_can_t_be_sent_is_told_and_not_shown(
    caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASTE_PROXY_KEY", "pp-sec\nret")
    library = Library()
    find, _ = wrap(library.tools(), proxy="http://127.0.0.1:9")
    assert await find("emma") == ["emma-1", "emma-2"]
    await until(lambda: "PASTE_PROXY_KEY can't be sent in a header" in caplog.text)
    assert "pp-sec" not in caplog.text
    await asyncio.to_thread(close)


async def test_the_line_end_of_a_file_with_the_key_is_not_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASTE_PROXY_KEY", "pp-key\n")
    library = Library()
    async with running("find", "read") as (url, proxy):
        await connected(url, library.tools(), proxy)


async def test_a_tool_that_the_proxy_can_t_read_is_named_in_the_client_s_log_and_the_others_work(
    caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "paste_proxy.leases.desk.check_schema", lambda schema: "odd" if "book" in str(schema) else ""
    )
    library = Library()
    async with running("find", "read") as (url, proxy):
        find, read = wrap(library.tools(), proxy=url, effects=READS)
        async with asyncio.timeout(SOON_S):
            while "wrapped tool read" not in caplog.text:  # noqa: ASYNC110 - another thread's log
                await asyncio.sleep(0.01)
        told = "wrapped tool read runs as if unwrapped, since its parameters can't be used: odd"
        assert caplog.text.count(told) == 1
        assert list(proxy.runtime.core.tools) == ["find"]
        assert await find("emma") == ["emma-1", "emma-2"]
        assert await read(book="b") == "text of b"


def descriptors_open() -> int:
    return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))


async def test_a_client_that_goes_leaves_no_task_and_no_descriptor() -> None:
    library = Library()
    async with running("find", "read") as (url, proxy):
        tools = await connected(url, library.tools(), proxy)
        await agent(url, "emma", tools)
        await asyncio.to_thread(close)
        await asyncio.sleep(0.1)
        tasks, descriptors = len(asyncio.all_tasks()), descriptors_open()
        for _ in range(3):
            tools = await connected(url, library.tools(), proxy)
            await tools[0]("again")
            await asyncio.to_thread(close)
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        await until(lambda: descriptors_open() <= descriptors)
        await until(lambda: len(proxy.runtime.core.tools) == 0)
        await until(lambda: proxy.runtime.core.broker.live == 0)


async def test_more_clients_than_are_allowed_run_alone() -> None:
    library = Library()
    async with running(clients=0) as (url, _):
        find, _ = wrap(library.tools(), proxy=url)
        assert await find("emma") == ["emma-1", "emma-2"]


@asynccontextmanager
async def silent_proxy() -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """It says welcome, and answers nothing; what it hears."""
    heard: list[dict[str, Any]] = []

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            heard.append(json.loads(message.data))
            if heard[-1]["say"] == "hello":
                await socket.send_bytes(encode(Welcome(VERSION, {})))
        return socket

    app = web.Application()
    app.router.add_get(PATH, serve)
    async with TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url("")).rstrip("/"), heard
        await asyncio.to_thread(close)


async def test_a_proxy_that_does_not_answer_costs_a_call_no_more_than_its_patience() -> None:
    library = Library()
    async with silent_proxy() as (url, heard):
        find, _ = wrap(library.tools(), proxy=url, effects={"find": "read"})
        async with asyncio.timeout(SOON_S):
            await until(lambda: _links()[url, False].is_up)
            assert await find("emma") == ["emma-1", "emma-2"]
            cancelled = asyncio.get_running_loop().create_task(find("other"))
            await until(lambda: len(heard) == 3)
            cancelled.cancel()
            while heard[-1]["say"] != "leave":  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert library.runs == ["emma"]
        assert [one["say"] for one in heard] == ["hello", "claim", "claim", "leave"]


async def test_the_last_words_of_an_agent_are_said() -> None:
    async with silent_proxy() as (url, heard):
        source = (
            "import time\nfrom paste_proxy.client.wrapping import _links, wrap\n"
            "def note(k: int) -> int:\n    '''Note.'''\n    return k\n"
            f"[note] = wrap([note], proxy={url!r})\n"
            f"while not _links()[{url!r}, False].is_up: time.sleep(0.01)\n"
            "note(1)\n"
        )
        agent = await asyncio.create_subprocess_exec(sys.executable, "-c", source)
        assert await agent.wait() == 0
        async with asyncio.timeout(SOON_S):
            while len(heard) < 2:  # noqa: ASYNC110 - another process's
                await asyncio.sleep(0.01)
        assert [one["say"] for one in heard] == ["hello", "claim"]


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_what_prepares_a_call_runs_ahead_at_the_client_and_the_call_comes_fresh(kind: str) -> None:
    library = Library()
    made = library.tools() if kind == "async" else library.sync_tools()
    prepared: list[str] = []

    async def prepare(book: str) -> str:
        prepared.append(book)
        return "nobody's"

    def prepare_sync(book: str) -> str:
        prepared.append(book)
        return "nobody's"

    ahead = prepare if kind == "async" else prepare_sync
    async with running("find", "read") as (url, proxy):
        plain = await agent(url, "emma", made)
        before = len(library.runs)
        declared = {"read": {"effect": "warm", "ahead": ahead}}
        tools = wrap(made, proxy=url, effects={"find": "read"}, declared=declared)
        async with asyncio.timeout(SOON_S):
            while not proxy.runtime.core.tools.is_leased("read"):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        assert await agent(url, "emma", tools) == plain
        reads = [one for one in library.runs[before:] if one.startswith("emma-")]
        counted = await stats(url)
    assert sorted(reads) == sorted(set(reads)), "each was read once, by its call"
    assert set(prepared) <= set(reads)
    assert counted["speculations"]["prepared_started"] == len(prepared) > 0
    assert counted["hits"]["reused"] + counted["hits"]["joined"] == 0
