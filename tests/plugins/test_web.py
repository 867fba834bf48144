"""The web plugin at real servers: pages as text, searches, what is refused, and what is left behind."""

import asyncio
import json
import runpy
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web
from yarl import URL

from paste_proxy.errors import ConfigError, ToolError
from paste_proxy.tools.local import LocalExecutor
from paste_proxy.tools.ports import Output, Run, RunClass, RunContext
from paste_proxy.tools.spec import Effect
from tests.plugins.conftest import PLUGINS, Load
from tests.tools.http.servers import nothing_leaks, serving

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

READER = runpy.run_path(str(PLUGINS / "_web_reader.py"))
WEB = runpy.run_path(str(PLUGINS / "web.py"))
TEXT_CHARACTERS = WEB["TEXT_CHARACTERS"]

PAGE = """<!doctype html><html><head><title> The
 title </title><style>p {}</style></head><body>
<nav><a href="/home">Home</a></nav><main><h1>Head</h1>
<p>Some <b>bold</b> text, a <a href="../b?x=1#part">link</a>,
<a href="#top">none</a>, <a href="javascript:x()">js</a>.
<ul><li>one<li>two</ul><pre>x = 1
  y</pre><script>evil()</script></main><footer>Imprint</footer></body></html>"""


def says(body: str | bytes, kind: str = "text/html", status: int = 200, /, **headers: str) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        raw = body if isinstance(body, bytes) else body.encode()
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return web.Response(body=raw, status=status, headers={"Content-Type": kind, **named})

    return handler


class Bench:
    def __init__(self, executor: LocalExecutor) -> None:
        self.executor = executor

    async def call(self, tool: str, run_class: RunClass = RunClass.AUTHORITATIVE, **arguments: Any) -> Output:
        run = Run("1", tool, arguments, RunContext("us", "s"), run_class)
        return await self.executor.run(run, lambda: None)

    async def fetch(self, url: URL | str, **arguments: Any) -> str:
        return (await self.call("web_fetch", url=str(url), **arguments)).body.decode()


@asynccontextmanager
async def bench(load: Load, **options: Any) -> AsyncIterator[Bench]:
    async with nothing_leaks():
        executor = LocalExecutor(load("web", **{"targets": {"allow": ["127.0.0.1"]}, **options}), workers=1)
        try:
            yield Bench(executor)
        finally:
            await executor.close()


def test_a_page_is_its_text_with_links_that_can_be_opened() -> None:
    assert READER["readable"](PAGE, "http://h.example/d/e/page") == (
        "# The title\n\nHead\n\nSome bold text, a link (http://h.example/d/b?x=1), none, js.\n\n"
        "  • one\n  • two\nx = 1\n  y"
    )


@pytest.mark.parametrize("html", ["", "text", "<", "<p>" * 50, "<title>x", "\0", "<a href='http://['>x</a>"])
def test_what_is_hardly_a_page_is_some_text(html: str) -> None:
    assert isinstance(READER["readable"](html, "http://h/"), str)


@pytest.mark.parametrize(
    ("link", "whole"),
    [
        ("b", "http://h/d/b"),
        ("//other/x", "http://other/x"),
        ("?q#f", "http://h/d/a?q"),
        ("#f", "nowhere:"),
        ("mailto:a@b", "nowhere:"),
        ("http://[", "nowhere:"),
    ],
)
def test_addresses_of_links(link: str, whole: str) -> None:
    assert READER["address"](link, "http://h/d/a") == whole


def test_a_long_text_comes_in_parts() -> None:
    text = "".join(chr(97 + number % 26) for number in range(2 * TEXT_CHARACTERS + 5))
    first = WEB["part"](text, 0)
    assert first.endswith(
        f"\n\n[characters 0 to {TEXT_CHARACTERS} of {len(text)}; go on with start={TEXT_CHARACTERS}]"
    )
    starts = (0, TEXT_CHARACTERS, 2 * TEXT_CHARACTERS)
    assert "".join(WEB["part"](text, start).partition("\n\n[")[0] for start in starts) == text
    assert WEB["part"]("", 0) == ""
    with pytest.raises(ToolError, match=f"start: the page's text has {len(text)} characters"):
        WEB["part"](text, len(text))


async def test_pages_are_fetched_and_read(load: Load) -> None:
    latin = '<meta charset="iso-8859-1"><p>grüße'.encode("latin-1")
    async with (
        serving(
            page=says(PAGE),
            latin=says(latin),
            plain=says("a\nb", "text/plain"),
            json=says('{"a": 1}', "application/json"),
        ) as base,
        bench(load) as b,
    ):
        assert "Some bold text, a link (http://127.0.0.1:" in await b.fetch(base / "page")
        assert (await b.fetch(str(base / "page") + "#part", start=2)).startswith("The title")
        assert await b.fetch(base / "latin") == "grüße"
        assert await b.fetch(base / "plain") == "a\nb"
        assert await b.fetch(base / "json") == '{"a": 1}'


async def test_what_is_no_page_is_one_clear_error(load: Load) -> None:
    async with (
        serving(
            image=says(b"\x89PNG", "image/png"),
            gone=says("x", "text/html", 404),
            in_=says("", "text/html", 302, Location="http://10.0.0.1/"),
        ) as base,
        bench(load) as b,
    ):
        for url, why in (
            (base / "image", "is image/png, 4 bytes: not a text"),
            (base / "gone", r"^127\.0\.0\.1 answered 404$"),
            (base / "in_", r"10\.0\.0\.1 is private: .* options\.targets\.allow"),
            ("ftp://x/", "'ftp': only absolute addresses"),
            ("http://127.0.0.2:1/", "127.0.0.2 is loopback"),
        ):
            with pytest.raises(ToolError, match=why):
                await b.fetch(url)


@pytest.mark.parametrize(
    ("headers", "grace", "max_age"),
    [
        ({}, 0, 300),
        ({"Cache_Control": "max-age=60"}, 0, 60),
        ({"Cache_Control": "no-cache"}, 0, 0),
        ({"Cache_Control": "no-cache"}, 20, 20),
        ({"Cache_Control": "no-store"}, 20, 0),
    ],
)
async def test_a_page_is_kept_as_long_as_its_server_and_the_operator_allow(
    load: Load, headers: dict[str, str], grace: float, max_age: float
) -> None:
    async with serving(page=says("x", "text/plain", **headers)) as base, bench(load, grace=grace) as b:
        kept = (await b.call("web_fetch", url=str(base / "page"))).max_age
        assert kept is not None
        assert max_age - 2 <= kept <= max_age


async def test_ahead_of_the_model_a_busy_host_is_spared(load: Load) -> None:
    async with serving(busy=says("", "text/html", 429, Retry_After="60")) as base, bench(load) as b:
        for run_class, why in (
            (RunClass.SPECULATIVE, "answered 429"),
            (RunClass.SPECULATIVE, "asked for 60 s of rest"),
            (RunClass.AUTHORITATIVE, "answered 429"),
        ):
            with pytest.raises(ToolError, match=why):
                await b.call("web_fetch", run_class, url=str(base / "busy"))


async def test_a_page_that_takes_too_long_to_read_ends_its_reader_only(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = load("web", targets={"allow": ["127.0.0.1"]})
    module = registry["web_fetch"].function.__globals__
    monkeypatch.setitem(module, "READING_S", 0.01)
    async with nothing_leaks(), serving(page=says("<div>" * 100_000)) as base:
        b = Bench(LocalExecutor(registry, workers=1))
        with pytest.raises(ToolError, match=r"its HTML took more than 0\.01 s to read"):
            await b.fetch(base / "page")
        await b.executor.close()


async def test_a_fetch_that_is_cancelled_leaves_nothing_behind(load: Load) -> None:
    async with serving(page=says("<div>" * 100_000)) as base, bench(load) as b:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await b.fetch(base / "page")


FOUND = {
    "query": "x",
    "results": [
        {"url": "http://a/", "title": "A\n b", "content": None, "engine": "e"},
        *({"url": f"http://{number}/", "title": "t"} for number in range(20)),
    ],
}


async def test_a_search_gives_the_best_results(load: Load) -> None:
    asked: list[dict[str, str]] = []

    async def search(request: web.Request) -> web.StreamResponse:
        asked.append(dict(request.query))
        return web.json_response(FOUND)

    async with serving(search=search) as base, bench(load, search_url=str(base), targets={}) as b:
        output = await b.call("web_search", query="x & y", page=2)
        with pytest.raises(ToolError, match="loopback"):  # what may be searched may not be fetched
            await b.fetch(base / "search")
    assert asked == [{"q": "x & y", "format": "json", "pageno": "2"}]
    hits = msgspec.json.decode(output.body)
    assert hits[0] == {"title": "A b", "url": "http://a/", "text": ""}
    assert len(hits) == 10


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ("", 403, "settings.yml must list `json`"),
        ("", 500, "answered 500"),
        ("<html>", 200, "not SearXNG's JSON"),
        (json.dumps({"results": [{"title": 1}]}), 200, "not SearXNG's JSON"),
    ],
)
async def test_a_search_server_that_can_t(load: Load, body: str, status: int, why: str) -> None:
    async with serving(search=says(body, "text/html", status)) as base, bench(load, search_url=str(base)) as b:
        with pytest.raises(ToolError, match=why):
            await b.call("web_search", query="x")


def test_the_declarations(load: Load) -> None:
    assert list(load("web")) == ["web_fetch"]
    registry = load("web", search_url="http://search.example")
    for tool in registry.values():
        assert (tool.spec.effect, tool.is_async) == (Effect.READ, True)
        assert tool.spec.reads == {"web"}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"search_url": "search.example"}, "options.search_url: .*only absolute addresses"),
        ({"search_url": "http://u:p@search.example"}, "options.search_url: .*user names"),
        ({"targets": {"allow": ["10.0.0.0/99"]}}, r"options\.targets\.allow: '10\.0\.0\.0/99'"),
        ({"targets": {"alow": []}}, r"options\.targets: Object contains unknown field"),
        ({"grace": 1000}, r"options\.grace: "),
    ],
)
def test_options_that_can_t_be_meant(load: Load, options: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        load("web", **options)
