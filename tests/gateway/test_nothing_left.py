"""Whatever a client does to the tool plane: one clear error, or none to hear it, and nothing is left of it.

Descriptors, tasks and child processes are counted before and after, over raw sockets, cut off at every point.
"""

import asyncio
import gc
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from paste_proxy.config import LimitsConfig
from tests.gateway.fakes import FakeRuntime, gateway
from tests.gateway.servers import raw_connection
from tests.gateway.test_mcp_http import MODERN, call_body
from tests.gateway.test_rpc import MALFORMED
from tests.patience import SOON_S, until

CHILDREN = Path(f"/proc/self/task/{os.getpid()}/children")
FILES = Path("/proc/self/fd")
pytestmark = pytest.mark.skipif(not CHILDREN.exists(), reason="what is left is counted in /proc, Linux's")


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
async def base(runtime: FakeRuntime) -> AsyncIterator[str]:
    async with gateway(runtime, limits=LimitsConfig(arguments_bytes=10_000)) as address:
        yield address


def request(path: str, body: bytes, stated: str = "", **fields: str) -> bytes:
    headers = {"host": "localhost", **fields, "content-length": stated or str(len(body))}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


MCP = {name.replace("-", "_"): value for name, value in MODERN.items()}
REST_CALL = request("/v1/tools/echo", b'{"words": "a"}')
MCP_CALL = request("/mcp", call_body(b'{"words": "a"}'), **MCP, mcp_name="echo")
TWICE = call_body(b"{}").replace(b'"id": 7', b'"id": 7, "id": 7')
SHORT = [one for one in MALFORMED if len(one[0]) < 10_000]
TOLD: dict[str, tuple[bytes, int]] = {
    **{f"malformed {at}": (request("/mcp", one[0], **MCP), 400) for at, one in enumerate(SHORT)},
    "a schema violation": (request("/v1/tools/bad", b'{"words": 5}'), 422),
    "traversal": (request("/v1/tools/../../etc/passwd", b"{}"), 404),
    "traversal, encoded": (request("/v1/tools/..%2f..%2fetc%2fpasswd", b"{}"), 404),
    "oversized": (request("/v1/tools/echo", b"x" * 10_001), 413),
    "oversized, as stated": (request("/v1/tools/echo", b"", stated=str(2**40)), 413),
    "oversized, over MCP": (request("/mcp", b"x" * 80_000, **MCP), 413),
    "oversized, over MCP, as stated": (request("/mcp", b"", stated=str(2**40), **MCP), 413),
    "compressed": (request("/v1/tools/echo", b"{}", content_encoding="gzip"), 415),
    "a web page": (request("/v1/tools/echo", b"{}", origin="http://evil.example"), 403),
    "another host": (REST_CALL.replace(b"localhost", b"evil.example"), 421),
    "an unknown tool": (request("/v1/tools/nothing", b"{}"), 404),
    "a defect": (request("/v1/tools/defect", b"{}"), 500),
    "no HTTP": (b"junk\r\n\r\n", 400),
}


def left() -> tuple[int, int, str]:
    return len(asyncio.all_tasks()), len(list(FILES.iterdir())), CHILDREN.read_text()


async def settled() -> tuple[int, int, str]:
    """Once both sides have seen that their connection is closed."""
    count = left()
    for _ in range(100):
        gc.collect()
        await asyncio.sleep(0.005)
        before, count = count, left()
        if before == count:
            break
    return count


def nothing_beside(before: tuple[int, int, str]) -> Callable[[], bool]:
    def holds() -> bool:
        gc.collect()
        tasks, files, children = left()
        return tasks <= before[0] and files <= before[1] and children == before[2]

    return holds


async def answer(base: str, said: bytes) -> tuple[int, bytes]:
    async with raw_connection(base) as (reader, writer):
        writer.write(said)
        async with asyncio.timeout(SOON_S):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            return int(head.split()[1]), await reader.readexactly(length)


@pytest.mark.parametrize("name", TOLD)
async def test_what_is_wrong_is_told_and_nothing_is_left(base: str, runtime: FakeRuntime, name: str) -> None:
    said, status = TOLD[name]
    await answer(base, REST_CALL)
    before = await settled()
    for _ in range(3):
        got, body = await answer(base, said)
        assert got == status
        if name != "no HTTP":  # of that aiohttp tells, in its own words
            error = json.loads(body)
            assert "error" in error or error["isError"]
    await until(nothing_beside(before))
    assert runtime.waiting == runtime.cancelled == 0
    assert (await answer(base, REST_CALL))[0] == 200


@pytest.mark.parametrize("call", [REST_CALL, MCP_CALL], ids=["rest", "mcp"])
async def test_a_client_is_lost_at_any_point_of_its_request(base: str, call: bytes) -> None:
    """A slow one, too: it holds up nobody, and is gone as the others are."""
    await answer(base, call)
    before = await settled()
    for cut in range(0, len(call), max(1, len(call) // 24)):
        async with raw_connection(base) as (_, writer):
            for part in (call[: cut // 2], call[cut // 2 : cut]):
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            assert (await answer(base, call))[0] == 200
            writer.transport.abort()
    await until(nothing_beside(before))


@pytest.mark.parametrize("path", ["rest", "mcp"])
async def test_a_client_is_lost_while_its_call_runs(base: str, runtime: FakeRuntime, path: str) -> None:
    hang = request("/mcp", call_body(b"{}", b"hang"), **MCP, mcp_name="hang")
    said = request("/v1/tools/hang", b"{}") if path == "rest" else hang
    await answer(base, REST_CALL)
    before = await settled()
    for number in range(1, 4):
        async with raw_connection(base) as (_, writer):
            writer.write(said)
            await runtime.until(lambda number=number: runtime.waiting == number)  # type: ignore[misc]
            writer.transport.abort()
            await runtime.until(lambda number=number: runtime.cancelled == number)  # type: ignore[misc]
    await until(nothing_beside(before))


async def test_an_id_that_is_said_twice_or_used_twice_is_answered_each_time(base: str) -> None:
    said = request("/mcp", TWICE, **MCP, mcp_name="echo")
    await answer(base, said)
    before = await settled()
    async with asyncio.timeout(SOON_S):
        for status, body in await asyncio.gather(*(answer(base, said) for _ in range(5))):
            assert (status, json.loads(body)["id"]) == (200, 7)
    await until(nothing_beside(before))
