"""The bytes of a reply of a real SGLang are the same behind the proxy as before it."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from paste_proxy.lab.sglang_server import call_markup, saying
from tests.conformance.recorder import Recorder
from tests.conformance.support import ENGINE_TEST, MODEL, SEARCH, serving

pytestmark = ENGINE_TEST

TEXT = "\n".join(("Naïve ☃ 😀 \\u00e9: see", call_markup("search", '{"query": "é 😀 \\"x\\""}')))
FIELDS = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "tools": [SEARCH], **saying(TEXT)}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def recorder(engine: str) -> AsyncIterator[Recorder]:
    parts = urlsplit(engine)
    assert parts.hostname is not None
    assert parts.port is not None
    async with Recorder(parts.hostname, parts.port).listening() as recording:
        yield recording


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def recorded_proxy(recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with serving(recorder.url, tmp_path_factory.mktemp("recorded")) as url:
        yield url


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", {"stream": True, "stream_options": {"include_usage": True}}),
        ("/v1/chat/completions", {"stream": True}),
        ("/v1/chat/completions", {}),
        ("/v1/chat/completions", {"temperature": "hot"}),
        ("/v1/completions", {"prompt": "hello", "stream": True}),
        ("/v1/unknown", {}),
    ],
    ids=["usage", "stream", "whole", "error", "completion", "not found"],
)
async def test_a_body_is_relayed_byte_for_byte(
    recorder: Recorder, recorded_proxy: str, path: str, fields: dict[str, object]
) -> None:
    request = {**FIELDS, **fields}
    async with aiohttp.ClientSession() as http, http.post(recorded_proxy + path, json=request) as response:
        body = await response.read()
    assert body == recorder.last_body()
    assert len(body) > 20


async def test_only_a_rid_is_added_to_a_reply_s_request(engine: str, proxy: str) -> None:
    """With a `rid` of the client's the whole reply is determined, but for the second and the calls' ids."""
    fields = {**FIELDS, "rid": "0123456789abcdef0123456789abcdef"}
    bodies = []
    async with aiohttp.ClientSession() as http:
        for base in (engine, engine, proxy):
            async with http.post(f"{base}/v1/chat/completions", json=fields) as response:
                bodies.append(_without_chance(await response.read()))
    assert bodies[2] == bodies[1]


async def test_headers_are_the_engine_s(engine: str, proxy: str) -> None:
    """All that SGLang sends arrive; only framing and the request id may differ."""
    seen = []
    async with aiohttp.ClientSession() as http:
        for base in (engine, proxy):
            fields = {**FIELDS, "stream": True}
            async with http.post(f"{base}/v1/chat/completions", json=fields) as response:
                await response.read()
                seen.append({name.lower(): value for name, value in response.headers.items()})
    expected, got = ({k: v for k, v in headers.items() if k not in {"date"}} for headers in seen)
    assert got.items() >= expected.items()
    assert got.keys() - expected.keys() <= {"x-request-id"}


def _without_chance(body: bytes) -> object:
    data = msgspec.json.decode(body)
    data.pop("created")
    for choice in data["choices"]:
        for call in choice["message"]["tool_calls"] or ():
            call.pop("id")
    return data
