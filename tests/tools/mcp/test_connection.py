"""A session that is kept open, with a server that comes and goes by a script."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from paste_proxy.tasks import TaskSet
from paste_proxy.tools.mcp import connection
from paste_proxy.tools.mcp.connection import LONGEST_DELAY_S, Connection, delay_after
from paste_proxy.tools.mcp.process import ServerFailedError
from paste_proxy.tools.mcp.session import McpSession


class Script:
    """Sessions as told: each waits for its turn."""

    def __init__(self) -> None:
        self.turn = asyncio.Semaphore(0)
        self.up = asyncio.Semaphore(0)
        self.failing = ""
        self.sessions: list[McpSession] = []
        self.listed = 0
        self.kept = Connection("script", self._session, self._connect, self._list, 5)

    def _session(self) -> McpSession:
        return McpSession(lambda _session, _method: None)

    @asynccontextmanager
    async def _connect(self, session: McpSession) -> AsyncIterator[None]:
        await self.turn.acquire()
        if self.failing:
            raise ExceptionGroup("in a group", [OSError(self.failing)])
        self.sessions.append(session)
        yield

    async def _list(self, _session: McpSession) -> None:
        self.listed += 1
        asyncio.get_running_loop().call_soon(self.up.release)


@pytest.fixture
async def script(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Script]:
    monkeypatch.setattr(connection, "FIRST_DELAY_S", 0.0)
    tasks = TaskSet()
    script = Script()
    tasks.spawn(script.kept.keep(), name="keep")
    yield script
    await tasks.close()


async def test_calls_wait_for_the_first_attempt(script: Script) -> None:
    with pytest.raises(ServerFailedError, match="it is being started"):
        script.kept.now()
    waiting = asyncio.gather(script.kept.session(), script.kept.session())
    await asyncio.sleep(0)
    script.turn.release()
    assert list(await waiting) == [script.sessions[0]] * 2
    assert script.kept.now() is script.sessions[0]
    assert script.kept.generation == script.listed == 1


async def test_calls_wait_for_the_attempt_after_a_loss(script: Script) -> None:
    script.turn.release()
    first = await script.kept.session()
    first.end("it died")
    await asyncio.sleep(0)
    waiting = asyncio.gather(script.kept.session())
    script.turn.release()
    assert list(await waiting) == [script.sessions[1]]
    assert script.kept.generation == 2


async def test_once_an_attempt_has_failed_calls_are_told_at_once(script: Script) -> None:
    script.failing = "no route to host"
    waiting = asyncio.gather(script.kept.session(), script.kept.tried(), return_exceptions=True)
    await asyncio.sleep(0)
    script.turn.release()
    error, nothing = await waiting
    assert str(error) == "no route to host"
    assert nothing is None
    with pytest.raises(ServerFailedError, match="no route to host"):
        await script.kept.session()
    script.failing = ""
    script.turn.release()
    await script.up.acquire()
    assert await script.kept.session() is script.sessions[0]


async def test_a_waiter_that_leaves_takes_nobody_with_it(script: Script) -> None:
    leaver, stayer = (asyncio.gather(script.kept.session()) for _ in range(2))
    await asyncio.sleep(0)
    leaver.cancel()
    await asyncio.sleep(0)
    script.turn.release()
    assert list(await stayer) == script.sessions


def test_attempts_get_rarer() -> None:
    delays = [delay_after(failures) for failures in range(1, 12)]
    assert delays[:4] == [0.2, 0.4, 0.8, 1.6]
    assert delays == sorted(delays)
    assert delays[-1] == delay_after(10**6) == LONGEST_DELAY_S
