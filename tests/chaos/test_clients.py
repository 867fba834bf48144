"""Clients that are slow, and clients that are gone, at every point of a turn."""

import asyncio
import json
import random
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.chaos.engine import LONG, answer_to
from tests.chaos.support import HELD_S, LARGE, SILENCE_S, Engine, World, said, undisturbed, until

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

MANY = 200


class Client:
    """A socket, on which a request goes out as slowly, and a reply is read as slowly, as one likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def of(cls, at: World) -> "Client":
        address = urlsplit(at.proxy.url)
        return cls(*await asyncio.open_connection(address.hostname, address.port, limit=1024))

    def send(self, asked: dict[str, Any], share: float = 1.0) -> None:
        """That share of the request."""
        body = json.dumps(asked["json"]).encode()
        fields = "".join(f"{name}: {text}\r\n" for name, text in asked["headers"].items())
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
        whole = head.encode() + body
        self.writer.write(whole[: round(share * len(whole))])

    def leave(self) -> None:
        """Without a word."""
        self.writer.transport.abort()


async def test_who_reads_a_byte_at_a_time_is_waited_for_and_keeps_nobody(hasty: World) -> None:
    async with undisturbed(hasty):
        client, session = await Client.of(hasty), hasty.new_session()
        asked = hasty.asked(session, stream=True, max_tokens=LONG)
        client.send(asked)
        await client.reader.readuntil(b"\r\n\r\n")
        clock = asyncio.get_running_loop().time
        began = clock()
        read = b""
        while clock() < began + SILENCE_S + 1:
            read += await client.reader.readexactly(1)
            assert await hasty.answered(hasty.new_session()) < HELD_S
        while not read.endswith(b"\r\n0\r\n\r\n"):
            read += await client.reader.read(1 << 20)
        assert said(dechunked(read)) == answer_to(asked["json"]["messages"]) * LONG
        client.leave()


def dechunked(read: bytes) -> bytes:
    parts = []
    while read:
        size, _, rest = read.partition(b"\r\n")
        parts.append(rest[: int(size, 16)])
        read = rest[int(size, 16) + 2 :]
    return b"".join(parts)


async def test_who_stops_reading_and_leaves_is_gone_at_the_engine_too(alone: World) -> None:
    [engine] = alone.engines.values()
    async with undisturbed(alone):
        before = await engine.seen()
        clients = [await Client.of(alone) for _ in range(8)]
        for client in clients:
            client.send(alone.asked(alone.new_session(), stream=True, max_tokens=LONG))
            await client.reader.readuntil(b"\r\n\r\n")
        for client in clients:
            client.leave()
        await until_alone(engine)

        async def are_aborted() -> bool:
            """All whose reply had not got as far as into sockets' buffers."""
            now = await engine.seen()
            return now.aborts - before.aborts >= len(clients) - (now.answered - before.answered)

        await until(are_aborted, "each was aborted")


async def until_alone(engine: Engine) -> None:
    async def is_idle() -> bool:
        return (await engine.seen()).now == 0

    await until(is_idle, "no turn is in work at the engine")


async def test_hundreds_that_are_held_and_leave_never_reach_the_engine(alone: World) -> None:
    [engine] = alone.engines.values()
    async with undisturbed(alone):
        await engine.goes_wrong(before="wait")
        busy = [await asks(alone) for _ in range(2)]
        await until_some(engine)
        turns = (await engine.seen()).turns
        clients = [await asks(alone) for _ in range(MANY)]
        await until_held(alone, MANY)
        for client in clients:
            client.leave()
        await until_held(alone, 0)
        for client in busy:
            client.leave()
        await until(alone.is_calm, "nothing is held or under way")
        await until_alone(engine)
        assert (await engine.seen()).turns == turns


async def asks(at: World) -> Client:
    client = await Client.of(at)
    client.send(at.asked(at.new_session(), LARGE))
    return client


@pytest.mark.parametrize("stage", ["its request", "its wait", "its first byte", "its stream"])
async def test_who_dies_leaves_its_lease_to_those_that_wait(alone: World, stage: str) -> None:
    """At each point two hold all leases that there are, and others wait for them."""
    [engine] = alone.engines.values()
    async with undisturbed(alone):
        wrong = {"its wait": {"before": "wait"}, "its first byte": {"within": "wait"}}.get(stage, {})
        await engine.goes_wrong(**wrong)
        dying = [await Client.of(alone) for _ in range(2)]
        for client in dying:
            long = {"max_tokens": LONG} if stage == "its stream" else {}
            share = 0.9 if stage == "its request" else 1.0
            client.send(alone.asked(alone.new_session(), LARGE, stream=True, **long), share)
            if stage in ("its first byte", "its stream"):
                await client.reader.readuntil(b"\r\n\r\n")
        if stage == "its wait":
            await until_some(engine)
        async with asyncio.TaskGroup() as others:
            asking = [others.create_task(alone.ask(alone.new_session(), LARGE)) for _ in range(6)]
            if stage != "its request":
                await until_held(alone, 6)
            for client in dying:
                client.leave()
            await engine.goes_wrong()
        assert {one.result().status for one in asking} == {200}


async def until_some(engine: Engine) -> None:
    async def are() -> bool:
        return (await engine.seen()).now == 2

    await until(are, "two turns are at the engine")


async def until_held(at: World, turns: int) -> None:
    async def are() -> bool:
        return await at.proxy.held() == turns

    await until(are, f"{turns} turns are held")


async def test_hundreds_that_leave_whenever_they_like_leave_nothing(alone: World) -> None:
    """Beside them, those that stay get their answers."""
    chance = random.Random(7)
    async with undisturbed(alone), asyncio.TaskGroup() as clients:
        for number in range(MANY):
            if number % 4:
                clients.create_task(leaves(alone, chance.random()))
            else:
                clients.create_task(alone.answered(alone.new_session(), LARGE))


async def leaves(at: World, after: float) -> None:
    client = await Client.of(at)
    share = 2 * after if after < 0.5 and after % 0.1 < 0.05 else 1.0
    client.send(at.asked(at.new_session(), LARGE, stream=bool(after * 100 % 2)), min(1.0, share))
    with suppress(TimeoutError):
        async with asyncio.timeout(after):
            await client.reader.readexactly(round(after * 1000))
    client.leave()
