"""The other APIs of a real SGLang through the proxy: a growing prompt is one session, who leaves is noticed."""

from typing import Any

import aiohttp
import msgspec
import pytest

from paste_proxy.tasks import TaskSet
from tests.conformance.support import ENGINE_TEST, MODEL, metric, until
from tests.patience import SOON_S

pytestmark = ENGINE_TEST

LONG: dict[str, dict[str, Any]] = {
    "/v1/responses": {"model": MODEL, "input": "write for ever", "max_output_tokens": 8000},
    "/v1/completions": {"model": MODEL, "prompt": "for ever", "max_tokens": 8000, "ignore_eos": True},
    "/generate": {"text": "for ever", "sampling_params": {"max_new_tokens": 8000, "ignore_eos": True}},
}


async def post(url: str, body: dict[str, Any]) -> Any:
    async with aiohttp.ClientSession() as http, http.post(url, json=body) as reply:
        assert reply.status == 200, await reply.text()
        if reply.content_type == "application/json":
            return await reply.json()
        return await reply.text()


async def sessions(proxy: str) -> dict[str, int]:
    listed = (await get(f"{proxy}/paste/v1/sessions"))["sessions"]
    return {one["id"]: one["turns"] for one in listed}


async def get(url: str) -> Any:
    async with aiohttp.ClientSession() as http, http.get(url) as reply:
        return await reply.json()


@pytest.mark.parametrize("path", ["/v1/completions", "/generate"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_growing_prompt_is_one_session(proxy: str, path: str, stream: bool) -> None:
    before = await sessions(proxy)
    prompt = f"{path} {stream}: a task\n"
    for _ in range(3):
        prompt += await complete(proxy, path, prompt, stream=stream) + "\nObservation: ok\n"
    assert [turns for session, turns in (await sessions(proxy)).items() if session not in before] == [3]


async def complete(proxy: str, path: str, prompt: str, *, stream: bool) -> str:
    """What the model says."""
    if path == "/generate":
        body: dict[str, Any] = {"text": prompt, "sampling_params": {"ignore_eos": True, "max_new_tokens": 8}}
    else:
        body = {"model": MODEL, "prompt": prompt, "ignore_eos": True, "max_tokens": 8}
    reply = await post(proxy + path, {**body, "stream": stream})
    if not stream:
        return str(reply["text"] if path == "/generate" else reply["choices"][0]["text"])
    events = [msgspec.json.decode(line[6:]) for line in reply.splitlines() if line.startswith("data: {")]
    if path == "/generate":
        return str(events[-1]["text"])  # each event has all of it
    return "".join(choice["text"] for event in events for choice in event["choices"])


@pytest.mark.parametrize("path", LONG)
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_a_client_that_leaves_ends_the_engine_s_work(
    engine: str, proxy: str, path: str, stream: bool
) -> None:
    async def running(count: int) -> bool:
        return await metric(f"{engine}/metrics", "sglang:num_running_reqs") == count

    aborts = await metric(f"{proxy}/paste/metrics", "paste_aborts_total")
    await until(lambda: running(0), SOON_S, "the engine has nothing to do")
    body = {**LONG[path], "stream": stream}
    if stream:
        async with aiohttp.ClientSession() as http, http.post(proxy + path, json=body) as reply:
            await reply.content.readany()
            await until(lambda: running(1), SOON_S, "the request runs")
            reply.close()
    else:
        tasks = TaskSet()
        tasks.spawn(post(proxy + path, body), name="client")
        await until(lambda: running(1), SOON_S, "the request runs")
        await tasks.close()
    await until(lambda: running(0), SOON_S, "the request was aborted")
    assert await metric(f"{proxy}/paste/metrics", "paste_aborts_total") == aborts + 1
