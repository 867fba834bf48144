"""A backend whose answers a test chooses."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import aiohttp
import pytest
from aiohttp import web

from paste_proxy.backends.asking import Asker
from paste_proxy.config import BackendConfig

Answers: TypeAlias = dict[str, Any]
"""By path and query: a status, JSON, text, or a coroutine function that answers; all else is 404."""


class Played:
    """A running one."""

    def __init__(self, url: str, answers: Answers, asker: Asker) -> None:
        self.url = url
        self.answers = answers
        self.asker = asker
        self.asked: list[tuple[str, str]] = []
        """Method and path."""
        self.bodies: list[Any] = []

    @property
    def paths(self) -> list[str]:
        return [path for _, path in self.asked]


Play: TypeAlias = Callable[[Answers], AbstractAsyncContextManager[Played]]


@pytest.fixture
def play() -> Play:
    return _play


@asynccontextmanager
async def _play(answers: Answers) -> AsyncIterator[Played]:
    async def answer(request: web.Request) -> web.StreamResponse:
        played.asked.append((request.method, request.path_qs))
        if request.can_read_body:
            played.bodies.append(await request.json())
        given = answers.get(request.path_qs, 404)
        if callable(given):
            given = await given(request)
        match given:
            case web.StreamResponse():
                return given
            case int():
                return web.Response(status=given)
            case str() | bytes():
                return web.Response(body=given.encode() if isinstance(given, str) else given)
            case _:
                return web.json_response(given)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession() as session:
        played = Played(url, answers, Asker(session, BackendConfig(url=url)))
        try:
            yield played
        finally:
            await runner.cleanup()
