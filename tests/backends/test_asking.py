"""Questions whose answers may be anything."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from paste_proxy.backends import asking
from paste_proxy.backends.asking import Answer, Asker
from paste_proxy.config import BackendConfig
from tests.backends.conftest import Play


async def test_an_answer(play: Play) -> None:
    async with play({"/a": "yes", "/b": 404}) as backend:
        assert await backend.asker.get("/a") == Answer(200, b"yes")
        assert (await backend.asker.get("/b")).status == 404


async def test_nobody_there() -> None:
    async with aiohttp.ClientSession() as session:
        answer = await Asker(session, BackendConfig(url="http://127.0.0.1:1")).get("/a")
        assert (answer.status, answer.down) == (0, True)
        assert answer.why == "Connection refused"
        nobody = await Asker(session, BackendConfig(url="http://nobody.invalid")).get("/a")
        assert nobody.down
        assert "ssl" not in nobody.why


async def test_one_that_hangs(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ASK_S", 0.05)

    async def hang(_: web.Request) -> int:
        await asyncio.Event().wait()
        return 200

    async with play({"/a": hang}) as backend:
        assert (await backend.asker.get("/a")).down


async def test_one_that_does_not_end(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ANSWER_BYTES", 1000)

    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 400)

    async with play({"/a": flood}) as backend:
        assert (await backend.asker.get("/a")).down


async def test_a_redirect_is_not_followed(play: Play) -> None:
    async with play({"/a": web.Response(status=302, headers={"Location": "/b"}), "/b": "yes"}) as backend:
        assert (await backend.asker.get("/a")).status == 302
