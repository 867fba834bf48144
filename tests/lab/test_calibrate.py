"""Fitting an engine model: the laws, what a server says of itself, and what is no server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner

from paste_proxy.errors import LabError
from paste_proxy.lab.calibrate import Calibration, Step, Stream, calibrate, curve, decoding, through_origin
from paste_proxy.lab.calibrate_command import calibrate_command
from paste_proxy.lab.engine.presets import load_engine


def test_the_laws_are_found_where_they_hold() -> None:
    straight = curve([(n, 0.02 + n / 5000) for n in (70, 600, 2100)])
    assert straight.overhead_s == pytest.approx(0.02)
    assert straight.token_s == pytest.approx(1 / 5000)
    assert straight.per_context_token == pytest.approx(0, abs=1e-9)
    assert through_origin([(n - 1, 0.1 * (n - 1)) for n in (2, 4, 8)]) == pytest.approx(0.1)
    assert through_origin([]) == 0.0


def test_attention_is_found_in_prefill_and_in_decoding() -> None:
    spec = msgspec.structs.replace(
        load_engine("research"),
        decode_slowdown_per_context_token=2e-4,
        prefill_slowdown_per_context_token=1e-3,
    )
    bent = curve([(n, 0.02 + spec.prefill_s(n, 0)) for n in (70, 600, 2100)])
    assert bent.overhead_s == pytest.approx(0.02)
    assert bent.token_s == pytest.approx(1 / spec.prefill_tokens_per_s)
    assert bent.per_context_token == pytest.approx(1e-3)

    def step(streams: int, context: int) -> Step:
        return Step(streams, streams * context, 1 / spec.decode_rate(streams, streams * context))

    found = decoding([step(n, 100) for n in (1, 2, 4)], step(1, 6000))
    assert found.token_s == pytest.approx(1 / spec.decode_tokens_per_s_one_request)
    assert found.per_request == pytest.approx(spec.decode_slowdown_per_running_request)
    assert found.per_context_token == pytest.approx(2e-4)


def test_prompts_that_get_quicker_are_no_attention() -> None:
    assert curve([(70, 0.3), (600, 0.5), (2100, 0.6)]).per_context_token == 0


def test_the_first_token_is_no_step_of_a_stream() -> None:
    assert Stream(first_s=1.0, last_s=3.0, prompt=9, output=5).token_s == 0.5
    assert Stream(first_s=1.0, last_s=1.0, prompt=9, output=1).token_s == 0.0


@asynccontextmanager
async def server(info: dict[str, Any] | None) -> AsyncIterator[str]:
    """One that answers every chat at once, with as many tokens as may be; and says `info` of itself."""

    async def chat(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        response = web.StreamResponse()
        await response.prepare(request)
        words = len(body["messages"][0]["content"].split())
        for _ in range(body["max_tokens"]):
            await response.write(b'data: {"choices": [{}]}\n\n')
        usage = f'{{"prompt_tokens": {words}, "completion_tokens": {body["max_tokens"]}}}'
        await response.write(f'data: {{"choices": [], "usage": {usage}}}\n\ndata: [DONE]\n\n'.encode())
        return response

    async def server_info(_request: web.Request) -> web.Response:
        return web.json_response(info) if info is not None else web.Response(status=404)

    async def models(_request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m"}]})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_get("/server_info", server_info)
    app.router.add_get("/v1/models", models)
    async with TestServer(app) as running:
        yield str(running.make_url(""))


async def test_what_the_server_says_of_itself_is_taken() -> None:
    said = {
        "max_total_num_tokens": 65536,
        "max_running_requests": None,
        "chunked_prefill_size": -1,
        "schedule_policy": "lpm",
        "internal_states": [{"max_running_requests": 4}],
    }
    async with server(said) as url:
        spec = await calibrate(url)
    assert (spec.kv_tokens, spec.max_running_requests, spec.policy) == (65536, 4, "lpm")
    assert spec.chunk_tokens == 8192
    assert "the model m" in spec.source
    assert "assumed" not in spec.source


async def test_what_it_does_not_say_is_assumed_and_said_to_be() -> None:
    async with server(None) as url:
        spec = await calibrate(url)
    assert "its memory and limits are assumed" in spec.source
    assert spec.prefill_tokens_per_s > 0
    assert spec.request_overhead_s >= 0


async def test_no_server_and_no_such_api_are_errors_that_say_where() -> None:
    with pytest.raises(LabError, match=r"http://127\.0\.0\.1:1 can't be calibrated"):
        await calibrate("http://127.0.0.1:1")
    async with TestServer(web.Application()) as nothing:
        with pytest.raises(LabError, match="answers 404"):
            await calibrate(str(nothing.make_url("")))


async def test_prompts_are_new_every_time() -> None:
    async with aiohttp.ClientSession() as http:
        one, other = Calibration("http://x", http), Calibration("http://x", http)
        assert list(one._words(8)) != list(other._words(8))


async def test_the_file_is_an_engine(tmp_path: Any) -> None:
    file = tmp_path / "engine.yaml"
    async with server(None) as url:
        result = await asyncio.to_thread(
            CliRunner().invoke, calibrate_command, ["--backend", url, "-o", str(file)]
        )
    assert result.exit_code == 0, result.output
    assert load_engine(str(file)).max_running_requests == 48
