"""Keys on the LLM plane: what goes on instead of ours, also beside the request itself; how refusals look."""

import asyncio
import json

import pytest

from paste_proxy.access.keys import written_digest
from paste_proxy.config import TenantConfig
from paste_proxy.grammar.apis import Api
from tests.patience import SOON_S
from tests.proxy.support import (
    CHAT_BODY,
    STREAM_HEAD,
    Proxy,
    chat_request,
    chunk,
    proxy,
    raw_backend,
    read_reply,
    read_request,
)
from tests.proxy.test_apis import every_api
from tests.proxy.test_disconnect import EVENT, Watched, leave
from tests.proxy.test_tunnel import websocket_backend

KEY = "pp-" + "k" * 40
BACKEND = {"BACKEND": "sk-backend"}
TENANTS = {"red": TenantConfig(keys=(written_digest(KEY),), requests_per_minute=1)}
OPEN = {"red": TenantConfig(keys=(written_digest(KEY),))}


@pytest.mark.parametrize("field", ["Authorization: Bearer ", "x-api-key: ", "X-Paste-Key: "])
async def test_sglang_is_told_to_abort_with_its_own_key(field: str) -> None:
    """It looks for its key in `Authorization` alone."""
    backend = Watched(STREAM_HEAD, chunk(EVENT))
    async with (
        raw_backend(backend) as port,
        proxy(port, kind="sglang", tenants=OPEN, environment=BACKEND, backend={"key": "${BACKEND}"}) as running,
    ):
        client = await running.connect()
        client[1].write(chat_request(CHAT_BODY, f"{field}{KEY}".encode()))
        await backend.played.wait()
        leave(client)
        await asyncio.wait_for(backend.aborted.wait(), SOON_S)
    for head, body in backend.requests:
        assert head.count(b"Authorization: Bearer sk-backend") == 1
        assert KEY.encode() not in head + body
        assert b"x-api-key" not in head.lower()


async def test_an_abort_without_a_key_of_the_backend_carries_none_of_ours() -> None:
    backend = Watched()
    async with raw_backend(backend) as port, proxy(port, kind="sglang", tenants=OPEN) as running:
        client = await running.connect()
        client[1].write(chat_request(CHAT_BODY, f"Authorization: Bearer {KEY}".encode()))
        await backend.played.wait()
        leave(client)
        await asyncio.wait_for(backend.aborted.wait(), SOON_S)
    assert all(b"authorization" not in head.lower() for head, _ in backend.requests)


async def refused(running: Proxy, api: Api, field: str) -> tuple[bytes, dict[str, object]]:
    reader, writer = await running.connect()
    writer.write(f"POST {api.value} HTTP/1.1\r\nHost: x\r\n{field}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    head, body = await read_reply(reader)
    told: dict[str, object] = json.loads(body)
    return head, told


@every_api
async def test_refusals_have_the_shape_of_the_api(api: Api) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async with raw_backend(answer) as port, proxy(port, tenants=TENANTS) as running:
        anthropic = api is Api.MESSAGES
        head, told = await refused(running, api, "x-api-key: pp-wrong")
        assert head.startswith(b"HTTP/1.1 401")
        assert b'WWW-Authenticate: Bearer realm="paste-proxy", error="invalid_token"' in head
        assert (told.get("type"), _error(told)) == (
            ("error", ("authentication_error", "unknown_key"))
            if anthropic
            else (None, ("invalid_request_error", "unknown_key"))
        )
        await refused(running, api, f"x-api-key: {KEY}")  # the one of this minute
        head, told = await refused(running, api, f"x-api-key: {KEY}")
        assert head.startswith(b"HTTP/1.1 429")
        assert b"Retry-After: 60" in head
        assert b'RateLimit: "requests";r=0;t=60' in head
        assert _error(told) == ("rate_limit_error", "rate_limit_exceeded")
        assert [identity.tenant for identity, _ in running.runtime.admitted] == ["red"]


def _error(told: dict[str, object]) -> tuple[object, object]:
    error = told["error"]
    assert isinstance(error, dict)
    return error["type"], error["code"]


async def test_a_websocket_needs_a_key_too() -> None:
    async with websocket_backend(tenants=OPEN) as (running, _):
        reader, writer = await running.connect()
        writer.write(
            b"GET /v1/realtime HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        assert (await read_reply(reader))[0].startswith(b"HTTP/1.1 401")
