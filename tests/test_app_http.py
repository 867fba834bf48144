"""The whole proxy with tools at another server, declared in the configuration."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from paste_proxy.app import build, listening
from paste_proxy.config import Config
from paste_proxy.errors import ConfigError
from tests.test_app import Engine, agent

WORD = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
BOOK = {"type": "object", "properties": {"book": {"type": "string"}}, "required": ["book"]}


class Library:
    """The server of the tools; says of its answers what it is told to."""

    def __init__(self, **headers: str) -> None:
        self.headers = {name.replace("_", "-"): text for name, text in headers.items()}
        self.asked: list[tuple[str, str]] = []
        """Path, and what the request said of its purpose."""

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/books", self.find)
        app.router.add_get("/books/{book}", self.read)
        return app

    async def find(self, request: web.Request) -> web.Response:
        word = request.query["word"]
        return await self.answer(request, f'["{word}-1","{word}-2"]', "application/json")

    async def read(self, request: web.Request) -> web.Response:
        return await self.answer(request, f"text of {request.match_info['book']}", "text/plain")

    async def answer(self, request: web.Request, text: str, kind: str) -> web.Response:
        self.asked.append((request.path_qs, request.headers.get("Sec-Purpose", "")))
        await asyncio.sleep(0.03)
        return web.Response(text=text, content_type=kind, headers=self.headers)


def configured(base: str, backend: str = "http://127.0.0.1:1", **keys: Any) -> Config:
    read = {"effect": "read", "reads": ["shelf"]}
    plain = {
        "listen": {"port": 0},
        "backend": {"url": backend, "kind": "openai"},
        "http": {"targets": {"allow": ["127.0.0.1"], "purpose": True}},
        "http_tools": {
            "find": {"url": f"{base}books", "query": {"word": "{word}"}, "parameters": WORD, **read},
            "read": {"url": f"{base}books/{{book}}", "parameters": BOOK, **read},
        },
        "speculation": {"allow": ["find", "read"]},
        **keys,
    }
    return msgspec.convert(plain, Config)


@asynccontextmanager
async def running(library: Library, **keys: Any) -> AsyncIterator[str]:
    async with (
        TestServer(Engine().application(), host="127.0.0.1") as engine,
        TestServer(library.application(), host="127.0.0.1") as server,
    ):
        config = configured(str(server.make_url("/")), str(engine.make_url("")).rstrip("/"), **keys)
        async with listening(build(config)) as url:
            yield url


async def test_they_run_ahead_and_the_transcript_is_the_same() -> None:
    plain, ahead = Library(), Library(Cache_Control="max-age=60")
    async with running(plain, speculation={"mode": "off"}) as url:
        expected, outcomes = await agent(url, "emma")
        assert outcomes == ["executed"] * 3
    async with running(ahead) as url:
        got, outcomes = await agent(url, "emma")
        assert outcomes == ["reused"] * 3
    assert got == expected
    assert {purpose for _, purpose in plain.asked} == {""}
    assert ("/books?word=emma", "prefetch") in ahead.asked
    assert ("/books/emma-1", "prefetch") in ahead.asked


@pytest.mark.parametrize(
    "headers", [{"Cache_Control": "no-store"}, {"Set_Cookie": "a=b"}, {"Vary": "Sec-Purpose"}]
)
async def test_what_the_server_forbids_to_keep_is_asked_again(headers: dict[str, str]) -> None:
    library = Library(**headers)
    async with running(library) as url:
        _, outcomes = await agent(url, "emma")
    assert outcomes == ["executed"] * 3
    assert [path for path, purpose in library.asked if not purpose] == [
        "/books?word=emma",
        "/books/emma-1",
        "/books/emma-2",
    ]


def test_a_name_is_one_tool_s(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("from paste_proxy.tools import tool\n@tool\ndef find() -> None: ...\n")
    with pytest.raises(
        ConfigError, match=r"find is the name of a tool of \S+p\.py:\d, too: rename it in http_tools$"
    ):
        build(configured("http://127.0.0.1:1/", plugins=[{"path": str(tmp_path / "p.py")}]))


def test_a_name_in_a_document_is_changed_by_its_prefix(tmp_path: Path) -> None:
    (tmp_path / "api.yaml").write_text(
        "openapi: 3.1.0\nservers: [{url: 'http://127.0.0.1:1'}]\npaths: {/x: {get: {operationId: find}}}"
    )
    shop = {"document": str(tmp_path / "api.yaml"), "include": ["find"]}
    with pytest.raises(
        ConfigError, match=r"find is the name of another HTTP tool, too: set openapi\.NAME\.prefix"
    ):
        build(configured("http://127.0.0.1:1/", openapi={"shop": shop}))
    build(configured("http://127.0.0.1:1/", openapi={"shop": shop | {"prefix": "shop_"}}))


def test_what_is_allowed_or_inert_must_be_there() -> None:
    config = configured("http://127.0.0.1:1/", speculation={"allow": ["found"]}, limits={"clients": 0})
    with pytest.raises(ConfigError, match="there is no tool 'found'; known: find, read"):
        build(config)
    config = configured("http://127.0.0.1:1/", speculation={"inert": {"find": ["word"]}})
    assert build(config).runtime.core.tools["find"].inert == {"word"}
