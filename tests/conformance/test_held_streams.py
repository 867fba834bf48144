"""Real SDKs whose turn the proxy holds: they skip its comments, and raise the error that follows.

The backend is scripted, so no engine is needed.
"""

import asyncio
import json
from pathlib import Path

import pytest
from multidict import CIMultiDict

from paste_proxy.events import Attempt
from paste_proxy.proxy.attempts import attempt_of
from tests.conformance.install_clients import INSTALL_COMMAND, clients_folder, find_clients
from tests.proxy.support import STREAM_HEAD, chunk
from tests.proxy.test_held import ERROR, KEEPALIVE_S, Backend, Front, asked, front, reply

SCRIPT = Path(__file__).parent / "clients" / "held" / "stream.py"
TIMEOUT_S = 60.0
"""The SDKs' imports take seconds of CPU."""
EVENTS = {
    "chat": b'data: {"choices":[{"index":0,"delta":{"content":"well"}}]}\n\ndata: [DONE]\n\n',
    "messages": b"event: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"well"}}\n\n',
    "responses": b"event: response.output_text.delta\n"
    b'data: {"type":"response.output_text.delta","item_id":"i","output_index":0,"content_index":0,'
    b'"delta":"well","sequence_number":1,"logprobs":[]}\n\n',
}


async def told(site: Front, backend: Backend, api: str) -> dict[str, str]:
    """By a client whose turn is held until its stream has begun with a comment."""
    python = find_clients()
    if python is None:
        pytest.skip(f"no clients in {clients_folder()}; to install them: {INSTALL_COMMAND}")
    busy = await site.send(asked("busy"))
    process = await asyncio.create_subprocess_exec(
        str(python), str(SCRIPT), site.url, api, stdout=asyncio.subprocess.PIPE
    )
    await site.until(lambda: site.holds.held == 1)
    other = await site.send(asked("later"))
    await other[0].readuntil(b": held\n\n")  # so the client's, which is older, has one too
    backend.go.set()
    out, _ = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    del busy
    answer: dict[str, str] = json.loads(out)
    return answer


def headers(request: bytes) -> CIMultiDict[str]:
    """As the backend got them, and so as the SDK sent them."""
    lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return CIMultiDict((name, value) for name, _, value in (line.partition(": ") for line in lines))


@pytest.mark.parametrize("api", sorted(EVENTS))
async def test_comments_are_skipped_and_sdks_say_how_long_they_wait(api: str) -> None:
    backend = Backend(STREAM_HEAD + chunk(EVENTS[api]) + chunk(b""))
    async with front(backend, keepalive_s=KEEPALIVE_S) as site:
        assert await told(site, backend, api) == {"text": "well", "raised": "", "message": ""}
        assert attempt_of(headers(backend.turns[1])) == Attempt(patience_s=600.0)


@pytest.mark.parametrize("api", sorted(EVENTS))
async def test_an_error_in_the_stream_is_raised(api: str) -> None:
    backend = Backend(reply("400 Bad Request", "application/json", ERROR))
    async with front(backend, keepalive_s=KEEPALIVE_S) as site:
        answer = await told(site, backend, api)
        assert answer["text"] == ""
        assert answer["raised"] in ("APIError", "BadRequestError", "APIStatusError")
        assert "too long" in answer["message"]
