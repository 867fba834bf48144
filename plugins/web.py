"""Pages of the web as readable text, and a search at a SearXNG server. Shows async tools over one client,
warm-up and close, and results that say how long they may be kept.

Addresses are the model's and the pages': what isn't public is refused unless the operator allows it (SSRF),
also behind redirects and name servers. Pages are read in a process of their own (`_web_reader.py`).
"""

import asyncio
import importlib.util
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from typing import Annotated, Any

import msgspec
from yarl import URL

from paste_proxy.config_http import TargetsConfig
from paste_proxy.tasks import TaskSet
from paste_proxy.tools import ConfigError, Effect, Perishable, Tool, ToolError, tool
from paste_proxy.tools.http.client import Client, Limits, Request, Response
from paste_proxy.tools.http.texts import content_type, decoded, is_json, is_text

SCOPE = frozenset({"web"})
PAGE_BYTES = 5 * 1024 * 1024
"""Of a page, decompressed: twenty times the average without its pictures."""
PAGE_S = 20.0
"""For a page with all redirects."""
TEXT_CHARACTERS = 20_000
"""Of one answer: about 5,000 tokens. `start` goes on from there."""
READING_S = 15.0
"""For reading a page that has come; its process has a limit of CPU time below it."""
PAGES_CHANGE = 0.1
"""The share of pages that are another text when fetched again at once: counters, what others read just now."""
HITS_CHANGE = 0.3
"""That of searches: a SearXNG server leaves out the engines that do not answer in time."""
HITS = 10
"""Of a search; `page` goes on."""
HITS_BYTES = 2 * 1024 * 1024
AGE_S = 300.0
"""A result is used so long at most, if its server says no less: what browsers grant a prefetched page."""
PATHS = ("PYTHONPATH", "LD_LIBRARY_PATH")
"""Where a reader finds its libraries."""
HTML = ("text/html", "application/xhtml+xml")

_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s{0,9}=[\s\"']{0,9}([a-zA-Z0-9_:.-]{1,40})", re.IGNORECASE)
_SNIFFED = 2048
"""Bytes in which a page says its charset; the standard has browsers look at 1,024."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of this plugin in the configuration."""

    search_url: str = ""
    """Base address of a SearXNG server whose settings allow `json`. Empty: no search."""
    targets: TargetsConfig = TargetsConfig()
    """Of pages. The search server is asked wherever it is."""
    grace: Annotated[float, msgspec.Meta(ge=0, le=AGE_S)] = 0.0
    """Seconds that a page may be used at least, though its server calls it stale at once, as most do."""


class Hit(msgspec.Struct):
    title: str
    url: str
    text: str


class _Found(msgspec.Struct):
    """A result as SearXNG gives it."""

    url: str
    title: str | None = ""
    content: str | None = ""


class _Results(msgspec.Struct):
    results: list[_Found]


def plugin(options: Options) -> list[Tool[..., Any]]:
    """`web_fetch`, and `web_search` where there is a server for it."""
    if importlib.util.find_spec("resiliparse") is None:
        raise ConfigError("pages can't be read without resiliparse: pip install 'paste-proxy[web]'")
    web = Web(options)

    @tool(
        effect=Effect.READ,
        reads=SCOPE,
        network=True,
        volatility=PAGES_CHANGE,
        max_age=AGE_S,
        timeout=60.0,
        warm=web.warm,
        close=web.close,
    )
    async def web_fetch(
        url: Annotated[
            str, msgspec.Meta(min_length=1, max_length=2000, description="With http:// or https://")
        ],
        start: Annotated[int, msgspec.Meta(ge=0, description="First character to give, to go on reading")] = 0,
    ) -> Perishable:
        """Open a page of the web as text. Of a long one a part: it ends with the `start` of the next."""
        text, max_age = await web.page(url)
        return Perishable(part(text, start), AGE_S if max_age is None else max_age)

    @tool(
        effect=Effect.READ,
        reads=SCOPE,
        network=True,
        volatility=HITS_CHANGE,
        max_age=AGE_S,
        timeout=30.0,
        warm=web.warm,
        close=web.close,
    )
    async def web_search(
        query: Annotated[str, msgspec.Meta(min_length=1, max_length=500, description="What to look for")],
        page: Annotated[int, msgspec.Meta(ge=1, le=20, description="Of results, from 1")] = 1,
    ) -> Perishable:
        """Search the web; the best results first, to be opened by their address."""
        hits, max_age = await web.search(query, page)
        return Perishable(hits, AGE_S if max_age is None else max_age)

    return [web_fetch, web_search] if options.search_url else [web_fetch]


class Web:
    """The two ways out, and the readers of pages."""

    def __init__(self, options: Options) -> None:
        self._grace = options.grace
        self._pages = Client(options.targets, "options.targets")
        self._readers = Readers()
        self._endpoint = URL(options.search_url.rstrip("/") + "/search")
        allowed = (self._endpoint.raw_host,) if self._endpoint.raw_host else ()
        self._searches = Client(TargetsConfig(allow=allowed), "options.search_url")
        if options.search_url:
            self._check_endpoint()

    async def warm(self) -> None:
        """The first page should not wait for a process to start."""
        await self._readers.keep_one()

    async def close(self) -> None:
        await asyncio.gather(self._pages.close(), self._searches.close(), self._readers.close())

    async def page(self, address: str) -> tuple[str, float | None]:
        """The whole text, and how long it may be kept. Raises `ToolError`."""
        url = self._pages.guard.parse(address).with_fragment(None)
        request = Request("GET", url, {"Accept": "text/html, text/*;q=0.9, application/json;q=0.9, */*;q=0.1"})
        answer = await self._pages.send(request, Limits(PAGE_BYTES, PAGE_S, self._grace))
        _check_status(answer)
        kind, charset = content_type(answer.headers)
        if kind in HTML:
            html = decoded(answer.body, charset or _charset_within(answer.body))
            return await self._readers.read(html, str(answer.url)), answer.max_age
        if is_json(kind) or is_text(kind):
            return decoded(answer.body, charset), answer.max_age
        raise ToolError(f"{address} is {kind}, {len(answer.body)} bytes: not a text")

    async def search(self, query: str, page: int) -> tuple[list[Hit], float | None]:
        """Raises `ToolError`."""
        url = self._endpoint.with_query(q=query, format="json", pageno=page)
        answer = await self._searches.send(Request("GET", url), Limits(HITS_BYTES, PAGE_S))
        if answer.status == 403:
            raise ToolError("the search server refuses: its settings.yml must list `json` under search.formats")
        _check_status(answer)
        try:
            found = msgspec.json.decode(answer.body, type=_Results)
        except (ValueError, RecursionError) as error:
            raise ToolError(f"the search server's answer is not SearXNG's JSON: {error}") from error
        hits = [Hit(_line(one.title), one.url, _line(one.content)) for one in found.results[:HITS]]
        return hits, answer.max_age

    def _check_endpoint(self) -> None:
        try:
            self._searches.guard.check(self._endpoint)
        except ToolError as error:
            raise ConfigError(f"options.search_url: {error.message}") from error


class Readers:
    """Processes that turn a page into text, one for each page; one waits, ready, for the next."""

    def __init__(self) -> None:
        self._ready: Process | None = None
        self._closed = False
        self._tasks = TaskSet()

    async def keep_one(self) -> None:
        if not self._is_wanted():
            return
        started = await _reader()
        if self._is_wanted():
            self._ready = started
        else:
            await _end(started)

    def _is_wanted(self) -> bool:
        return self._ready is None and not self._closed

    async def read(self, html: str, base: str) -> str:
        """Raises `ToolError`."""
        process, self._ready = self._ready, None
        if process is None or process.returncode is not None:
            process = await _reader()
        self._tasks.spawn(self.keep_one(), name="start a reader of pages")
        try:
            async with asyncio.timeout(READING_S):
                text, _ = await process.communicate(f"{base}\n{html}".encode("utf-8", "replace"))
        except TimeoutError as error:
            raise ToolError(f"{base}: its HTML took more than {READING_S:g} s to read") from error
        finally:
            await _end(process)
        if process.returncode:
            raise ToolError(f"{base}: its HTML can't be read: it ended the reader ({process.returncode})")
        return text.decode("utf-8", "replace")

    async def close(self) -> None:
        self._closed = True
        await self._tasks.close()
        ready, self._ready = self._ready, None
        if ready is not None:
            await _end(ready)


async def _reader() -> Process:
    """It gets none of the proxy's environment: that may hold secrets, and the page is a stranger's."""
    environment = {name: os.environ[name] for name in PATHS if name in os.environ}
    program = Path(__file__).with_name("_web_reader.py")
    command = (sys.executable, "-P", str(program))
    return await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment
    )


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.communicate()


def part(text: str, start: int) -> str:
    """What one answer shows of a text, and how to go on. Raises `ToolError`."""
    if start and start >= len(text):
        raise ToolError(f"start: the page's text has {len(text)} characters")
    end = start + TEXT_CHARACTERS
    shown = text[start:end]
    more = (
        f"\n\n[characters {start} to {end} of {len(text)}; go on with start={end}]" if end < len(text) else ""
    )
    return shown + more


def _check_status(answer: Response) -> None:
    if not 200 <= answer.status < 300:
        raise ToolError(f"{answer.url.raw_host} answered {answer.status}")


def _charset_within(body: bytes) -> str:
    found = _CHARSET.search(body[:_SNIFFED])
    return found[1].decode().lower() if found is not None else ""


def _line(text: str | None) -> str:
    return " ".join((text or "").split())
