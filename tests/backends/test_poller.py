"""A load that is asked for again and again."""

import asyncio
from typing import Any

import pytest

from paste_proxy.backends import sglang
from paste_proxy.backends.poller import BACK_OFF_MOST_S, LoadPoller
from paste_proxy.backends.reading import Reading
from paste_proxy.schedule.backends import BackendLoad
from tests.backends.conftest import Answers, Play, Played
from tests.backends.recorded import SGLANG_LOADS, SGLANG_METRICS

LOADS = "/v1/loads?include=core"
BUSY = BackendLoad(running=3, waiting=2, used_tokens=1200)


class Watched:
    """A poller, and what it told; it sleeps no time. It ends when `script` does."""

    def __init__(self, backend: Played, *script: Any) -> None:
        self.backend = backend
        self.script = list(script)
        self.told: list[Reading | None] = []
        self.pauses: list[float] = []
        self.poller = LoadPoller(backend.asker, sglang.LOADS, 1.0, self.told.append, self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if not self.script:
            raise asyncio.CancelledError
        self.backend.answers[LOADS] = self.script.pop(0)

    async def run(self) -> None:
        with pytest.raises(asyncio.CancelledError):
            await self.poller.run()

    @property
    def loads(self) -> list[BackendLoad | None]:
        return [reading.load if reading is not None else None for reading in self.told]


async def test_every_second(play: Play) -> None:
    idle = {"loads": [{"num_running_reqs": 0, "num_waiting_reqs": 0, "num_used_tokens": 7}]}
    async with play({LOADS: SGLANG_LOADS}) as backend:
        watched = Watched(backend, idle)
        await watched.run()
        assert watched.loads == [BUSY, BackendLoad(used_tokens=7)]
        assert (watched.pauses, backend.paths) == ([1.0, 1.0], [LOADS, LOADS])


async def test_it_is_said_once_that_it_is_not_known_any_more(play: Play) -> None:
    async with play({LOADS: SGLANG_LOADS}) as backend:
        watched = Watched(backend, 500, 500, 500, SGLANG_LOADS)
        await watched.run()
        assert watched.loads == [BUSY, None, BUSY]
        assert watched.pauses == [1, 2, 4, 8, 1]
        assert watched.poller.failures == 3


async def test_it_backs_off(play: Play) -> None:
    async with play({LOADS: 404}) as backend:
        watched = Watched(backend, *[404] * 40)
        await watched.run()
        assert max(watched.pauses) == BACK_OFF_MOST_S
        assert watched.loads == [None]


async def test_another_endpoint_tells_it_where_one_went(play: Play) -> None:
    answers: Answers = {LOADS: SGLANG_LOADS, "/metrics": SGLANG_METRICS}
    async with play(answers) as backend:
        watched = Watched(backend, 404, 404)
        await watched.run()
        assert watched.loads == [BUSY] * 3
        assert backend.paths == [LOADS, LOADS, "/get_load", "/metrics", "/metrics"]


@pytest.mark.parametrize("lie", ["<html>", "", [1], {"loads": [{"num_running_reqs": "many"}]}, 204, "NaN"])
async def test_a_lie_is_silence(lie: Any, play: Play) -> None:
    async with play({LOADS: lie}) as backend:
        watched = Watched(backend)
        await watched.run()
        assert watched.loads == [None]


async def test_a_backend_that_is_down_is_asked_one_question(play: Play) -> None:
    async with play({LOADS: 503}) as backend:
        watched = Watched(backend)
        await watched.run()
        assert (watched.loads, backend.paths) == ([None], [LOADS])
