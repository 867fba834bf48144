"""Unmodified SDKs with a key of the proxy as their `api_key`, through `paste-proxy serve`, at a backend that
records what it got."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from paste_proxy.access.keys import written_digest
from tests.conformance.install_clients import INSTALL_COMMAND, clients_folder, find_clients
from tests.conformance.support import serving

pytestmark = pytest.mark.conformance

KEY, WRONG, BACKEND = "pp-" + "k" * 40, "pp-" + "w" * 40, "sk-of-the-backend"
CONFIG = f"""
backend: {{kind: openai, key: "${{PASTE_TEST_BACKEND_KEY}}"}}
tenants:
  red: {{keys: ["{written_digest(KEY)}"], requests_per_minute: 2}}
"""
OPENAI = """
import sys, openai
for key in sys.argv[3:]:
    client = openai.OpenAI(base_url=sys.argv[1] + "/v1", max_retries=0, **{sys.argv[2]: key})
    try:
        reply = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
        print(reply.choices[0].message.content)
    except openai.APIStatusError as error:
        code = error.body["code"]
        print(type(error).__name__, error.status_code, code, "retry-after" in error.response.headers)
"""
ANTHROPIC = """
import sys, anthropic
for key in sys.argv[3:]:
    client = anthropic.Anthropic(base_url=sys.argv[1], max_retries=0, **{sys.argv[2]: key})
    try:
        messages = [{"role": "user", "content": "hi"}]
        print(client.messages.create(model="m", max_tokens=9, messages=messages).content[0].text)
    except anthropic.APIStatusError as error:
        code = error.body["error"]["code"]
        print(type(error).__name__, error.status_code, code, "retry-after" in error.response.headers)
"""
CHAT = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
}
MESSAGE = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


class Backend:
    def __init__(self) -> None:
        self.got: list[dict[str, str]] = []

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.answer)
        app.router.add_post("/v1/messages", self.answer)
        return app

    async def answer(self, request: web.Request) -> web.Response:
        self.got.append({name.lower(): value for name, value in request.headers.items()})
        reply: dict[str, Any] = MESSAGE if request.path == "/v1/messages" else CHAT
        return web.Response(body=json.dumps(reply), content_type="application/json")


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
async def front(backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.setenv("PASTE_TEST_BACKEND_KEY", BACKEND)
    async with (
        TestServer(backend.application(), host="127.0.0.1") as server,
        serving(str(server.make_url("")).rstrip("/"), tmp_path, CONFIG) as url,
    ):
        yield url
    log = (tmp_path / "proxy.log").read_text()
    assert not any(key in log for key in (KEY, WRONG, BACKEND))


async def said(program: str, *arguments: str) -> list[str]:
    python = find_clients()
    if python is None:
        pytest.skip(f"no clients in {clients_folder()}; to install them: {INSTALL_COMMAND}")
    process = await asyncio.create_subprocess_exec(
        str(python), "-c", program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    return out.decode().splitlines()


@pytest.mark.parametrize(
    ("program", "how"), [(OPENAI, "api_key"), (ANTHROPIC, "api_key"), (ANTHROPIC, "auth_token")]
)
async def test_an_sdk_with_a_key_of_ours(front: str, backend: Backend, program: str, how: str) -> None:
    """anthropic 2.13 sends its `api_key` in `Authorization`, earlier ones sent it in `x-api-key`."""
    assert await said(program, front, how, WRONG, KEY, KEY, KEY) == [
        "AuthenticationError 401 unknown_key False",
        "hello",
        "hello",
        "RateLimitError 429 rate_limit_exceeded True",
    ]
    assert len(backend.got) == 2
    for fields in backend.got:
        sent = {name: fields[name] for name in ("authorization", "x-api-key") if name in fields}
        assert sent in ({"authorization": f"Bearer {BACKEND}"}, {"x-api-key": BACKEND})
        assert KEY not in str(fields)
