"""Engines that die, hang, refuse, and come back."""

import asyncio
import signal
from collections.abc import Iterable
from pathlib import Path

import aiohttp
import pytest

from tests.chaos.support import LARGE, SILENCE_S, Engine, World, undisturbed, until, world

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]


async def all_answered(at: World, sessions: Iterable[str], size: int = LARGE) -> None:
    async with asyncio.TaskGroup() as clients:
        for session in sessions:
            clients.create_task(at.answered(session, size))


async def until_held(at: World, turns: int) -> None:
    """All others are at the engines."""

    async def are() -> bool:
        working = sum([(await engine.seen()).now for engine in at.engines.values()])
        return working == 2 * len(at.engines) and await at.proxy.held() == turns

    await until(are, f"two turns are at each engine, and {turns} held")


async def test_of_one_alone_that_is_killed_the_client_hears_until_it_is_back(alone: World) -> None:
    [engine] = alone.engines.values()
    async with undisturbed(alone):
        session = alone.new_session()
        await alone.answered(session)
        await engine.kill()
        for _ in range(3):
            told = await alone.ask(session)
            assert (told.status, told.code) == (502, "backend_unreachable")
        await engine.start()
        for _ in range(2):
            await alone.answered(session)


async def test_turns_that_are_held_are_told_of_when_their_only_engine_is_killed(alone: World) -> None:
    [engine] = alone.engines.values()
    async with undisturbed(alone):
        await engine.goes_wrong(before="wait")
        async with asyncio.TaskGroup() as clients:
            asking = [clients.create_task(alone.ask(alone.new_session(), LARGE)) for _ in range(8)]
            await until_held(alone, 6)
            await engine.kill()
        assert {one.result().status for one in asking} == {502}
        assert {one.result().code for one in asking} <= {
            "backend_unreachable",
            "backend_closed_idle_connection",
        }
        await engine.start()
        for _ in range(2):
            await alone.answered(alone.new_session())


async def test_all_turns_of_one_that_is_killed_go_to_the_other(pair: World) -> None:
    one, two = pair.engines.values()
    async with undisturbed(pair):
        for engine in (one, two):
            await engine.goes_wrong(before="wait")
        async with asyncio.TaskGroup() as clients:
            clients.create_task(all_answered(pair, [pair.new_session() for _ in range(40)]))
            await until_held(pair, 36)
            await one.kill()
            await two.goes_wrong()
        await one.start()


@pytest.mark.parametrize("wrong", ["close", "503", "502"])
async def test_what_one_does_not_take_the_other_does(pair: World, wrong: str) -> None:
    async with undisturbed(pair):
        await pair.engines["one"].goes_wrong(before=wrong)
        await all_answered(pair, [pair.new_session() for _ in range(20)])


@pytest.mark.parametrize("wrong", ["500", "503", "429"])
async def test_of_a_burst_of_refusals_each_is_told_and_none_stays(alone: World, wrong: str) -> None:
    [engine] = alone.engines.values()
    async with undisturbed(alone):
        await engine.goes_wrong(before=wrong, left=12)
        async with asyncio.TaskGroup() as clients:
            asking = [clients.create_task(alone.ask(alone.new_session(), LARGE)) for _ in range(20)]
        told = [one.result() for one in asking]
        assert [one.status for one in told].count(int(wrong)) == 12
        assert all(one.headers["Retry-After"] == "0" for one in told if one.status != 200)
        assert [one.status for one in told].count(200) == 8
        for _ in range(2):
            await alone.answered(alone.new_session())


async def test_what_hangs_before_its_first_byte_is_given_up_and_what_is_held_behind_it_goes(
    hasty: World,
) -> None:
    [engine] = hasty.engines.values()
    async with undisturbed(hasty):
        before = (await engine.seen()).aborts
        await engine.goes_wrong(before="wait", left=2)
        async with asyncio.TaskGroup() as clients:
            hung = [clients.create_task(hasty.ask(hasty.new_session(), LARGE)) for _ in range(2)]
            await until_two(engine)
            clients.create_task(all_answered(hasty, [hasty.new_session() for _ in range(6)]))
        assert {(one.result().status, one.result().code) for one in hung} == {(504, "backend_timeout")}
        await until_aborted(engine, before + 2)
        for _ in range(2):
            await hasty.answered(hasty.new_session())


async def until_aborted(engine: Engine, times: int) -> None:
    """Aborts are sent in the background, some perhaps of what went before."""

    async def are() -> bool:
        return (await engine.seen()).aborts >= times

    await until(are, f"{times} aborts")


async def until_two(engine: Engine) -> None:
    async def are() -> bool:
        return (await engine.seen()).now == 2

    await until(are, "two turns are at the engine")


async def until_wronged(engine: Engine, times: int) -> None:
    """Whoever comes now is served well."""

    async def are() -> bool:
        return (await engine.seen()).wronged == times

    await until(are, f"{times} turns have gone wrong")


@pytest.mark.parametrize("wrong", ["wait", "close"])
async def test_a_reply_that_stops_is_cut_and_what_is_held_behind_it_goes(hasty: World, wrong: str) -> None:
    [engine] = hasty.engines.values()
    async with undisturbed(hasty):
        await engine.goes_wrong(within=wrong, left=2)
        async with asyncio.TaskGroup() as clients:
            before = (await engine.seen()).wronged
            cut = [clients.create_task(is_cut(hasty)) for _ in range(2)]
            await until_wronged(engine, before + 2)
            clients.create_task(all_answered(hasty, [hasty.new_session() for _ in range(6)]))
        assert all(one.result() for one in cut)
        for _ in range(2):
            await hasty.answered(hasty.new_session())


async def is_cut(at: World) -> bool:
    """Its client can tell."""
    try:
        await at.ask(at.new_session(), LARGE, stream=True)
    except aiohttp.ClientPayloadError:
        return True
    return False


async def test_one_that_stands_still_loses_its_sessions_to_the_other(tmp_path: Path) -> None:
    async with world(tmp_path, "one", "two", silence_s=SILENCE_S) as pair, undisturbed(pair):
        one = pair.engines["one"]
        one.signal(signal.SIGSTOP)
        try:
            lost = 0
            while (await pair.proxy.backends())["one"]["up"]:
                async with asyncio.TaskGroup() as clients:
                    asking = [clients.create_task(pair.ask(pair.new_session())) for _ in range(12)]
                told = [one.result() for one in asking]
                lost += [(answer.status) for answer in told].count(504)
                assert {answer.status for answer in told} <= {200, 504}
            assert lost <= 12
            await all_answered(pair, [pair.new_session() for _ in range(12)])
        finally:
            one.signal(signal.SIGCONT)


async def test_a_probe_that_hangs_keeps_nobody(pair: World) -> None:
    async with undisturbed(pair):
        await pair.engines["one"].goes_wrong(ready="wait")
        for _ in range(3):
            await all_answered(pair, [pair.new_session() for _ in range(6)], size=0)


async def test_one_that_says_it_is_not_ready_gets_no_turns(pair: World) -> None:
    one = pair.engines["one"]
    async with undisturbed(pair):
        await one.goes_wrong(ready="503")

        async def is_down() -> bool:
            return not (await pair.proxy.backends())["one"]["up"]

        await until(is_down, "it is down")
        before = (await one.seen()).turns
        await all_answered(pair, [pair.new_session() for _ in range(12)])
        assert (await one.seen()).turns == before
