"""Calls of HTTP tools at a real server: results, errors, and how long they may be kept."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web

from paste_proxy.clock import VirtualClock
from paste_proxy.config import NetworkConfig
from paste_proxy.config_http import HttpToolConfig
from paste_proxy.errors import (
    InvalidArgumentsError,
    ResultTooLargeError,
    ToolError,
    ToolTimeoutError,
    UnknownToolError,
)
from paste_proxy.tools.http.client import USELESS_S, Client
from paste_proxy.tools.http.executor import HttpExecutor
from paste_proxy.tools.http.operations import operations_of
from paste_proxy.tools.ports import Output, Run, RunClass, RunContext
from tests.tools.http.servers import LOCAL, nothing_leaks, serving

Handler = Callable[[web.Request], web.StreamResponse]

AUTHORITATIVE, SPECULATIVE = RunClass.AUTHORITATIVE, RunClass.SPECULATIVE
WALL = 1_700_000_000.0


def says(body: bytes = b"", kind: str | None = None, status: int = 200, /, **headers: str) -> Handler:
    def handler(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        named |= {} if kind is None else {"Content-Type": kind}
        return web.Response(body=body, status=status, headers={"Date": "", **named})

    return handler


class Bench:
    def __init__(self, executor: HttpExecutor, clock: VirtualClock) -> None:
        self.executor = executor
        self.clock = clock
        self.began = 0

    async def call(self, run_class: RunClass = AUTHORITATIVE, tool: str = "t", **arguments: Any) -> Output:
        run = Run("1", tool, arguments, RunContext("us", "s"), run_class)
        return await self.executor.run(run, self._begun)

    def _begun(self) -> None:
        self.began += 1


@asynccontextmanager
async def bench(answer: Handler, hosts: tuple[str, ...] = (), **keys: Any) -> AsyncIterator[Bench]:
    """A tool `t` whose server answers as said."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return answer(request)

    async with nothing_leaks(), serving(x=handler) as base:
        clock = VirtualClock()
        client = Client(LOCAL, "http.targets", now=clock.now, wall=lambda: WALL)
        config = msgspec.convert({"url": str(base / "x"), **keys}, HttpToolConfig)
        network = {"t": NetworkConfig(hosts=hosts)}
        executor = HttpExecutor(operations_of({"t": config}, client.guard, {}), client, network)
        try:
            yield Bench(executor, clock)
        finally:
            await executor.close()


@pytest.mark.parametrize(
    ("body", "kind", "result", "is_text"),
    [
        (b'{"a": 1}', "application/json", b'{"a": 1}', False),
        (b"\xef\xbb\xbf[1]", "application/json; charset=utf-8", b"[1]", False),
        (b'{"a": 1}', "application/problem+json", b'{"a": 1}', False),
        (b"gr\xfc\xdfe", "text/plain; charset=ISO-8859-1", "grüße".encode(), True),
        (b"gr\xfc\xdfe", 'text/plain; charset="latin1"; x=y', "grüße".encode(), True),
        (b"gr\xfc", "text/plain", "gr\ufffd".encode(), True),
        (b"x", "text/plain; charset=nope", b"x", True),
        (b"x", "text/plain; charset=rot13", b"x", True),
        (b"x", "text/plain; charset=idna", b"x", True),
        (b"<a/>", "application/atom+xml", b"<a/>", True),
        (b"", "image/png", b"", True),
        (b"", "application/json", b"", True),
    ],
)
async def test_json_is_json_and_text_is_text(body: bytes, kind: str, result: bytes, is_text: bool) -> None:
    async with bench(says(body, kind)) as b:
        output = await b.call()
        assert (output.body, output.is_text, b.began) == (result, is_text, 1)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (says(b'{"a": ', "application/json"), "t: the answer calls itself JSON and is not"),
        (says(b"[" * 100_000, "application/json"), "t: the answer calls itself JSON and is not"),
        (says(b"\x89PNG", "image/png"), "t: the answer is image/png, 4 bytes: neither JSON nor text"),
        (says(b'{"why":\n"gone"}', "application/json", 404), '^t: 127.0.0.1 answered 404: {"why": "gone"}$'),
        (says(b"", None, 500), "^t: 127.0.0.1 answered 500$"),
        (says(b"", None, 304), "^t: 127.0.0.1 answered 304$"),
        (says(b"", None, 302, Location="http://10.0.0.1/"), r"^t: 10\.0\.0\.1 is private"),
    ],
)
async def test_what_is_no_result_is_one_clear_error(answer: Handler, why: str) -> None:
    async with bench(answer) as b:
        with pytest.raises(ToolError, match=why) as caught:
            await b.call()
        assert caught.value.param == "t"


async def test_an_error_s_body_is_bounded() -> None:
    async with bench(says(b"x" * 100_000, "text/plain", 500)) as b:
        with pytest.raises(ToolError) as caught:
            await b.call()
        assert len(caught.value.message) < 2100


async def test_limits_are_the_tool_s() -> None:
    async with bench(says(b"x" * 11, "text/plain"), result_limit=10) as b:
        with pytest.raises(ResultTooLargeError, match=r"^t: 127\.0\.0\.1: the answer has more than 10 bytes"):
            await b.call()


async def test_a_head_tells_of_the_thing_and_not_of_the_moment() -> None:
    answer = says(b"abc", "text/html", ETag='"1"', Date="now")
    async with bench(answer, method="HEAD") as b:
        assert (await b.call()).body == b'{"content-type":"text/html","content-length":"3","etag":"\\"1\\""}'


async def test_arguments_are_refused_before_the_run_begins() -> None:
    async with bench(says()) as b:
        with pytest.raises(InvalidArgumentsError):
            await b.call(other=1)
        with pytest.raises(UnknownToolError):
            await b.call(tool="other")
        assert b.began == 0


@pytest.mark.parametrize(
    ("headers", "max_age"),
    [
        ({}, None),
        ({"Cache_Control": "max-age=30"}, 30),
        ({"Cache_Control": "max-age=30", "Age": "10"}, 20),
        ({"Cache_Control": "no-store"}, 0),
        ({"Set_Cookie": "a=b"}, 0),
    ],
)
async def test_a_result_is_kept_as_long_as_its_server_allows(
    headers: dict[str, str], max_age: float | None
) -> None:
    async with bench(says(b"{}", "application/json", **headers)) as b:
        assert (await b.call()).max_age == max_age


@pytest.mark.parametrize(
    ("body", "max_age"),
    [
        (b'{"at": 1699999990}', 50),
        (b'{"at": 1699999000}', 0),
        (b'{"other": 1}', 0),
        (b"[]", 0),
    ],
)
async def test_a_time_stamp_in_the_result_caps_its_age(body: bytes, max_age: float) -> None:
    async with bench(says(body, "application/json"), timestamp="at") as b:
        assert (await b.call()).max_age == max_age


async def test_the_server_and_the_time_stamp_both_hold() -> None:
    body = b'{"at": 1699999990}'
    async with bench(says(body, "application/json", Cache_Control="max-age=7"), timestamp="at") as b:
        assert (await b.call()).max_age == 7


async def test_a_tool_whose_answers_can_t_be_kept_is_not_run_ahead_for_a_while() -> None:
    async with bench(says(b"{}", "application/json", Cache_Control="no-store")) as b:
        await b.call()
        await b.call(RunClass.SPECULATIVE)
        with pytest.raises(ToolError, match="its answers can't be kept"):
            await b.call(RunClass.DECIDED)
        await b.call()
        b.clock.advance(USELESS_S)
        await b.call(RunClass.SPECULATIVE)
        assert b.began == 4, "what is refused has not begun"


async def test_an_operator_may_grant_stale_answers_a_while() -> None:
    async with bench(says(b"{}", "application/json", Cache_Control="no-cache"), grace=5) as b:
        assert (await b.call()).max_age == 5


async def test_a_slow_server_is_a_timeout() -> None:
    async with bench(says(), timeout=1e-6) as b:
        with pytest.raises(ToolTimeoutError, match=r"^t: "):
            await b.call()


async def test_what_a_host_keeps_for_the_model_s_calls_is_not_spent_ahead() -> None:
    headers = {"RateLimit_Limit": "10", "RateLimit_Remaining": "5", "RateLimit_Reset": "20"}
    async with bench(says(b"1", "application/json", 200, **headers), effect="read") as one:
        await one.call(SPECULATIVE)
        with pytest.raises(ToolError, match=r"for 20 s no more requests left than are kept"):
            await one.call(SPECULATIVE)
        assert one.began == 1, "a run that may not ask has not begun"
        await one.call()
        one.clock.advance(20)
        await one.call(SPECULATIVE)


@pytest.mark.parametrize(
    ("run_class", "hosts", "follows"),
    [
        (SPECULATIVE, (), False),
        (SPECULATIVE, ("localhost",), True),
        (RunClass.DECIDED, (), True),
        (AUTHORITATIVE, (), True),
    ],
)
async def test_a_redirect_leads_ahead_of_the_model_to_listed_hosts_only(
    run_class: RunClass, hosts: tuple[str, ...], follows: bool
) -> None:
    def led(request: web.Request) -> web.Response:
        if request.query:
            return web.Response(text="there")
        host = "localhost" if request.url.host == "127.0.0.1" else request.url.host
        return web.Response(status=302, headers={"Location": f"//{host}:{request.url.port}/x?there"})

    async with bench(led, hosts) as one:
        if follows:
            assert (await one.call(run_class)).body == b"there"
            return
        with pytest.raises(ToolError, match=r"redirects to localhost, which speculation\.network"):
            await one.call(run_class)
