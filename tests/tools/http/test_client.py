"""The way out at real servers: redirects, rebinding, bombs, slow and broken answers; and nothing is left."""

import asyncio
import gzip
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from yarl import URL

from paste_proxy.config_http import TargetsConfig
from paste_proxy.errors import ResultTooLargeError, ToolError, ToolTimeoutError
from paste_proxy.tools.http.client import Client, Limits, Request
from paste_proxy.tools.http.guard import TargetRefusedError
from tests.tools.http.servers import LOCAL, Names, asking, get, nothing_leaks, serving, speaking

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def redirect(to: str, status: int = 302) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": to})

    return handler


def answering(body: bytes = b"here", **headers: str) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, headers={name.replace("_", "-"): text for name, text in headers.items()})

    return handler


async def told(request: web.Request) -> web.StreamResponse:
    """What reached the server."""
    kept = {name: text for name, text in request.headers.items() if name not in ("Host", "Accept")}
    return web.json_response({"method": request.method, "headers": kept, "body": await request.text()})


async def test_an_answer_comes_whole_whatever_its_status() -> None:
    async def missing(_: web.Request) -> web.StreamResponse:
        return web.Response(status=404, text="no such thing")

    async with nothing_leaks(), serving(missing=missing) as base, asking() as client:
        answer = await get(client, base / "missing")
        assert (answer.status, answer.body, answer.url) == (404, b"no such thing", base / "missing")


async def test_loopback_is_refused_unless_it_is_allowed() -> None:
    async with serving(here=answering()) as base, asking(TargetsConfig()) as client:
        with pytest.raises(TargetRefusedError, match=r"127\.0\.0\.1 is loopback"):
            await get(client, base / "here")
        localhost = (base / "here").with_host("localhost")
        with pytest.raises(TargetRefusedError, match=r"localhost resolves to \S+, which is loopback"):
            await get(client, localhost)


async def test_a_name_with_one_bad_address_is_refused_and_nothing_is_connected() -> None:
    asked = 0

    async def count(_: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return web.Response()

    names = Names(mixed_test=[["8.8.8.8", "127.0.0.1"]])
    async with nothing_leaks(), serving(here=count) as base, asking(TargetsConfig(), names) as client:
        with pytest.raises(TargetRefusedError, match=r"mixed\.test resolves to 127\.0\.0\.1"):
            await get(client, (base / "here").with_host("mixed.test"))
    assert asked == 0


async def test_a_name_is_looked_up_once_and_that_very_address_is_connected_to() -> None:
    """Whoever answers for the name can't give the check another address than the connection."""
    names = Names(rebinding_test=[["127.0.0.1"], ["10.0.0.1"]])
    async with serving(here=answering()) as base, asking(LOCAL, names) as client:
        assert (await get(client, (base / "here").with_host("rebinding.test"))).body == b"here"
    assert names.asked == ["rebinding.test"]


async def test_a_redirect_to_the_inside_is_refused() -> None:
    """The first server is public as far as the guard knows; what it says next is judged like anything else."""
    names = Names(public_test=[["127.0.0.1"]])
    rules = TargetsConfig(allow=("public.test",))
    targets = [
        "http://127.0.0.1:{}/in",
        "http://localhost:{}/in",
        "http://[::1]:{}/in",
        "//2130706433/in",
        "file:///x",
    ]
    for target in targets:
        async with serving(to=answering()) as inside:
            place = redirect(target.format(inside.port))
            names.answers["localhost"] = [["127.0.0.1"]]
            async with serving(out=place) as base, asking(rules, names) as client:
                with pytest.raises(TargetRefusedError):
                    await get(client, (base / "out").with_host("public.test"))


async def test_redirects_are_followed_a_few_times() -> None:
    async with (
        serving(a=redirect("b"), b=redirect("/c#top", 307), c=answering(), loop=redirect("loop")) as base,
        nothing_leaks(),
        asking() as client,
    ):
        answer = await get(client, base / "a")
        assert (answer.body, answer.url) == (b"here", base / "c")
        with pytest.raises(ToolError, match="more than 5 redirects"):
            await get(client, base / "loop")


@pytest.mark.parametrize(("place", "reaches"), [("told", True), ("near", True), ("away", False)])
async def test_another_origin_gets_none_of_the_headers(place: str, reaches: bool) -> None:
    near = redirect("told")
    async with (
        serving(told=told) as other,
        serving(told=told, near=near, away=redirect(str(other / "told"))) as base,
        asking() as client,
    ):
        request = Request("GET", base / place, {"Authorization": "secret"})
        body = (await client.send(request, Limits(1000, 5), ahead=False)).body
        assert (b"secret" in body) == reaches


async def test_what_changes_something_follows_no_redirect() -> None:
    async with serving(a=redirect("b", 307), b=told) as base, asking() as client:
        with pytest.raises(ToolError, match="redirected with 307; only GET and HEAD follow"):
            await client.send(Request("POST", base / "a", body=b"{}"), Limits(1000, 5), ahead=False)


async def test_cookies_are_neither_kept_nor_sent() -> None:
    async with serving(cookie=answering(Set_Cookie="id=1; Path=/"), told=told) as base, asking() as client:
        assert (await get(client, base / "cookie")).max_age == 0
        assert b"Cookie" not in (await get(client, base / "told")).body


@pytest.mark.parametrize(
    ("allowed", "ahead", "said"), [(True, True, True), (True, False, False), (False, True, False)]
)
async def test_a_request_ahead_says_so_where_the_operator_allows(
    allowed: bool, ahead: bool, said: bool
) -> None:
    rules = TargetsConfig(allow=("127.0.0.1",), purpose=allowed)
    async with serving(told=told) as base, asking(rules) as client:
        body = (await get(client, base / "told", ahead=ahead)).body
        assert (b'"Sec-Purpose": "prefetch"' in body) == said


async def test_a_host_that_is_busy_is_asked_nothing_ahead_until_it_has_rested() -> None:
    asked: list[str] = []

    async def busy(request: web.Request) -> web.StreamResponse:
        asked.append(request.method)
        return web.Response(status=429, headers={"Retry-After": "20"})

    now = 100.0
    async with serving(busy=busy) as base:
        client = Client(LOCAL, "http.targets", now=lambda: now)
        assert (await get(client, base / "busy", ahead=True)).status == 429
        with pytest.raises(ToolError, match=r"127\.0\.0\.1 asked for 20 s of rest"):
            await get(client, base / "busy", ahead=True)
        assert (await get(client, base / "busy")).status == 429, "a call of the model goes out all the same"
        now = 121.0
        await get(client, base / "busy", ahead=True)
        await client.close()
    assert len(asked) == 3


async def test_too_large_an_answer_is_cut_off() -> None:
    async with nothing_leaks(), serving(big=answering(b"x" * 5000)) as base, asking() as client:
        assert len((await get(client, base / "big", Limits(5000, 5))).body) == 5000
        with pytest.raises(ResultTooLargeError, match="more than 4999 bytes"):
            await get(client, base / "big", Limits(4999, 5))


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_bomb_is_noticed_at_the_limit(encoding: str) -> None:
    zeros = bytes(40_000_000)
    bomb = gzip.compress(zeros) if encoding == "gzip" else zlib.compress(zeros)
    handler = answering(bomb, Content_Encoding=encoding)
    async with nothing_leaks(), serving(bomb=handler) as base, asking() as client:
        with pytest.raises(ResultTooLargeError):
            await get(client, base / "bomb", Limits(1_000_000, 20))


OK = b"HTTP/1.1 200 OK\r\n"


async def test_a_server_that_drips_is_left_in_time() -> None:
    drops = [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", *[b"x"] * 100]
    async with nothing_leaks(), speaking(*drops, pause=0.05) as base, asking() as client:
        with pytest.raises(ToolTimeoutError, match=r"no whole answer within 0\.2 s"):
            await get(client, base, Limits(1000, 0.2))


async def test_a_server_that_says_nothing_is_left_in_time() -> None:
    async with nothing_leaks(), speaking(end=False) as base, asking() as client:
        with pytest.raises(ToolTimeoutError):
            await get(client, base, Limits(1000, 0.1))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "closed the connection"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP"),
        (OK + b"Content-Length: 10\r\n\r\nshort", "ClientPayloadError"),
        (OK + b"Content-Length: x\r\n\r\n", "not HTTP"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", ""),
        (OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope", "ClientPayloadError"),
        (OK + b"X: " + b"y" * 20_000 + b"\r\n\r\n", "not HTTP"),
        (OK + b"X: y\r\n" * 2000 + b"\r\n", "not HTTP"),
        (OK + b"Location: http://[\r\nContent-Length: 0\r\n\r\n", None),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n", ""),
        (b"HTTP/1.1 302 Found\r\nLocation: http://u:p@127.0.0.1/\r\nContent-Length: 0\r\n\r\n", "user names"),
    ],
)
async def test_a_broken_answer_is_one_clear_error(said: bytes, why: str | None) -> None:
    async with nothing_leaks(), speaking(said) as base, asking() as client:
        url = base.with_query(key="secret")
        if why is None:
            assert (await get(client, url)).body == b""
            return
        with pytest.raises(ToolError) as caught:
            await get(client, url)
        assert why in caught.value.message
        assert "secret" not in caught.value.message
        assert "\n" not in caught.value.message


async def test_nobody_there() -> None:
    async with speaking() as base:
        pass
    async with nothing_leaks(), asking() as client:
        with pytest.raises(ToolError, match=r"127\.0\.0\.1: no connection: "):
            await get(client, base)


async def test_a_reset_of_tls_leads_to_no_advice_on_tls() -> None:
    async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        end_at_once = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, end_at_once)
        writer.transport.abort()

    async with await asyncio.start_server(resets, "127.0.0.1", 0) as server, asking() as client:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ToolError, match=r"no connection: Connection reset by peer$"):
            await get(client, URL(f"https://127.0.0.1:{port}/"))


async def test_a_run_that_is_cancelled_leaves_nothing_behind() -> None:
    async with (
        nothing_leaks(),
        speaking(OK + b"Content-Length: 9\r\n\r\nx", end=False) as base,
        asking() as client,
    ):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await get(client, base)


async def test_connections_are_used_again() -> None:
    peers: set[object] = set()

    async def who(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response()

    async with serving(who=who) as base, asking() as client:
        for _ in range(3):
            await get(client, base / "who")
    assert len(peers) == 1


async def test_a_redirected_answer_is_as_fresh_as_its_least_fresh_part() -> None:
    def away(age: int) -> Handler:
        async def handler(_: web.Request) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": "/b", "Cache-Control": f"max-age={age}"})

        return handler

    fresh = answering(Cache_Control="max-age=50")
    async with serving(a=away(9), c=away(99), b=fresh) as base, asking() as client:
        for place, age in (("a", 9), ("c", 50), ("b", 50)):
            got = (await get(client, URL(base / place))).max_age
            assert got is not None
            assert age - 2 <= got <= age
