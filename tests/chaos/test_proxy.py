"""The proxy stopped, killed, started again, told another configuration, and asked to drain: under load."""

import asyncio
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openai import AsyncOpenAI

from tests.chaos.engine import answer_to
from tests.chaos.support import HELD_S, LARGE, World, backend, undisturbed, until, world

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

AGENTS, TURNS = 12, 3
TOOL: Any = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
}


async def agent(client: AsyncOpenAI, session: str, turns: int = TURNS) -> int:
    """A task of some turns, each of which tells it what to say next; its turns."""
    messages: list[Any] = [{"role": "user", "content": f"{session}: go" + "." * LARGE}]
    for _ in range(turns):
        reply = await client.chat.completions.create(
            model="chaos", messages=messages, tools=[TOOL], extra_headers={"x-session-id": session}
        )
        said = reply.choices[0].message.content
        assert said == answer_to(messages)
        messages += [{"role": "assistant", "content": said}, {"role": "user", "content": "go on"}]
    return turns


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_agents_finish_though_the_proxy_is_started_anew(tmp_path: Path, end: signal.Signals) -> None:
    store = tmp_path / "patterns.sqlite"
    async with world(tmp_path, store={"path": str(store)}) as at:
        [engine] = at.engines.values()
        await engine.goes_wrong(before="wait")
        sdk = AsyncOpenAI(base_url=f"{at.proxy.url}/v1", api_key="none", max_retries=12)
        async with sdk, asyncio.TaskGroup() as agents:
            tasks = [agents.create_task(agent(sdk, at.new_session())) for _ in range(AGENTS)]

            async def are_held() -> bool:
                return (await engine.seen()).now > 0 and await at.proxy.held() > AGENTS // 2

            await until(are_held, "turns are at the engine, and held")
            at.proxy.signal(end)
            if end is signal.SIGTERM:
                await engine.goes_wrong()
            assert await at.proxy.ended() == (0 if end is signal.SIGTERM else -signal.SIGKILL)
            await engine.goes_wrong()
            await at.proxy.start()
        assert sum(task.result() for task in tasks) == AGENTS * TURNS
        async with undisturbed(at):
            await at.answered(at.new_session())
        await at.proxy.stop()
        with closing(sqlite3.connect(store)) as saved:
            assert saved.execute("pragma integrity_check").fetchone() == ("ok",)
        assert "ERROR" not in at.proxy.log()


async def test_sessions_that_are_over_though_they_never_said_so_keep_nobody(tmp_path: Path) -> None:
    """Most of their answers were followed by a turn, so that they are expected again; and none is streamed, so
    that nobody knows how fast the engine reads."""
    async with world(tmp_path) as at, AsyncOpenAI(base_url=f"{at.proxy.url}/v1", api_key="none") as sdk:
        async with asyncio.TaskGroup() as agents:
            for _ in range(3):
                agents.create_task(agent(sdk, at.new_session(), turns=6))
        assert await at.answered(at.new_session(), LARGE) < HELD_S


async def test_backends_come_and_go_with_the_configuration_under_load(pair: World) -> None:
    both = {name: backend(engine) for name, engine in pair.engines.items()}
    reloads = [
        {"backends": {"one": both["one"]}},
        {"backends": both},
        {"backends": {"one": both["one"], "two": both["two"] | {"max_turns": 2}}},
        {"backends": {"two": both["two"]}},
        {"backends": both},
    ]
    async with undisturbed(pair):
        going = True

        async def keeps_asking() -> None:
            while going:
                await pair.answered(pair.new_session(), LARGE)

        async with asyncio.TaskGroup() as clients:
            for _ in range(10):
                clients.create_task(keeps_asking())
            for wanted in reloads:
                pair.proxy.file.write_text("backends: [", encoding="utf-8")
                await reloaded(pair, "the configuration is as it was")
                pair.proxy.write(pair.proxy.config | wanted)
                await reloaded(pair, "the configuration was changed")
                assert set(await pair.proxy.backends()) == set(wanted["backends"])
            going = False


async def reloaded(at: World, says: str) -> None:
    before = at.proxy.log().count(says)
    at.proxy.signal(signal.SIGHUP)

    async def has_said() -> bool:
        return at.proxy.log().count(says) > before

    await until(has_said, says)


async def test_one_that_is_drained_under_load_can_be_killed_and_nobody_hears_of_it(pair: World) -> None:
    one = pair.engines["one"]
    async with undisturbed(pair):
        going = True

        async def keeps_asking() -> None:
            while going:
                await pair.answered(pair.new_session(), LARGE)

        async with asyncio.TaskGroup() as clients:
            for _ in range(10):
                clients.create_task(keeps_asking())
            await drain(pair, "one", on=True)

            async def is_empty() -> bool:
                return not (await pair.proxy.backends())["one"]["live"]

            await until(is_empty, "nothing is left at the one that drains")
            before = (await one.seen()).turns
            await all_settled(pair)
            assert (await one.seen()).turns == before
            await one.kill()
            await all_settled(pair)
            await one.start()
            await drain(pair, "one", on=False)
            going = False


async def drain(at: World, name: str, *, on: bool) -> None:
    url = f"{at.proxy.url}/paste/v1/backends/{name}"
    async with aiohttp.ClientSession() as http, http.post(url, json={"draining": on}) as reply:
        assert reply.status == 200


async def all_settled(at: World) -> None:
    """A round of turns has been through meanwhile."""
    for _ in range(5):
        await at.answered(at.new_session())
