"""Everything but chat completions is relayed as it is: SGLang's other APIs work through the proxy."""

from typing import Any

import aiohttp
import msgspec
import openai
import pytest

from tests.conformance.support import ENGINE_TEST, MODEL, until

pytestmark = ENGINE_TEST

SAID = "exactly this"
WITHIN_S = 60.0
"""For what takes the engine a moment on busy cores."""
CLAUDE = {"model": MODEL, "max_tokens": 8, "messages": [{"role": "user", "content": "hello"}]}
"""A request of Anthropic's Messages API, which SGLang has too."""


async def fetch(base: str, path: str, fields: dict[str, Any] | None = None) -> tuple[int, str, bytes]:
    """Status, content type and body; POST where there are fields."""
    method = "GET" if fields is None else "POST"
    async with aiohttp.ClientSession() as http, http.request(method, base + path, json=fields) as response:
        return response.status, response.content_type, await response.read()


async def test_models(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == [MODEL]


@pytest.mark.parametrize("path", ["/model_info", "/ready", "/v1/models/tiny", "/v1/models/none", "/nothing"])
async def test_a_page_is_the_engine_s(engine: str, proxy: str, path: str) -> None:
    expected = await fetch(engine, path)
    answer = await fetch(proxy, path)
    assert answer[:2] == expected[:2]
    assert _timeless(answer[2]) == _timeless(expected[2])


async def test_metrics(proxy: str) -> None:
    """An engine's metrics begin after its first request."""
    await fetch(proxy, "/generate", {"text": "say it", "sampling_params": {"max_new_tokens": 4}})

    async def are_told() -> bool:
        status, kind, body = await fetch(proxy, "/metrics")
        assert (status, kind) == (200, "text/plain")
        return b"sglang:num_running_reqs{" in body

    await until(are_told, WITHIN_S, "the metrics are there")


async def test_completions(client: openai.AsyncOpenAI) -> None:
    extra = {"regex": SAID}
    answer = await client.completions.create(model=MODEL, prompt="say it", max_tokens=40, extra_body=extra)
    assert answer.choices[0].text == SAID


async def test_streamed_completions(client: openai.AsyncOpenAI) -> None:
    stream = await client.completions.create(
        model=MODEL, prompt="say it", max_tokens=40, stream=True, extra_body={"regex": SAID}
    )
    assert "".join([chunk.choices[0].text async for chunk in stream if chunk.choices]) == SAID


async def test_generate(proxy: str) -> None:
    sampling = {"regex": SAID, "max_new_tokens": 40}
    status, _, body = await fetch(proxy, "/generate", {"text": "say it", "sampling_params": sampling})
    assert status == 200
    assert msgspec.json.decode(body)["text"] == SAID


async def test_messages(proxy: str) -> None:
    status, _, body = await fetch(proxy, "/v1/messages", CLAUDE)
    answer = msgspec.json.decode(body)
    assert (status, answer["type"], answer["usage"]["output_tokens"]) == (200, "message", 8)


async def test_streamed_messages(proxy: str) -> None:
    status, kind, body = await fetch(proxy, "/v1/messages", {**CLAUDE, "stream": True})
    assert (status, kind) == (200, "text/event-stream")
    assert body.startswith(b"event: message_start\n")
    assert b"event: message_stop\n" in body


async def test_responses(client: openai.AsyncOpenAI) -> None:
    answer = await client.responses.create(model=MODEL, input="hello", max_output_tokens=8, store=False)
    assert answer.usage is not None
    assert 0 < answer.usage.output_tokens <= 8


async def test_streamed_responses(client: openai.AsyncOpenAI) -> None:
    stream = await client.responses.create(
        model=MODEL, input="hello", max_output_tokens=8, stream=True, store=False
    )
    kinds = [event.type async for event in stream]
    assert kinds[0] == "response.created"
    assert "response.output_text.delta" in kinds


async def test_a_model_that_responses_do_not_know(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="unknown"):
        await client.responses.create(model="unknown", input="hello")


def _timeless(body: bytes) -> bytes | dict[str, Any]:
    """A JSON object without what changes from second to second."""
    try:
        data = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return body
    data.pop("created", None)
    return data
