"""What README shows works as it stands there."""

import asyncio
import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer

from paste_proxy.app import build, listening
from paste_proxy.config import ListenConfig
from paste_proxy.config_reading import load_config

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


async def reply(request: web.Request) -> web.Response:
    """Asks for one page, then ends."""
    messages = (await request.json())["messages"]
    message: dict[str, Any] = {"role": "assistant", "content": f"{len(messages)} messages"}
    if len(messages) == 1:
        function = {"name": "docs_open", "arguments": json.dumps({"name": "asyncio.Queue.join"})}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
    choice = {"index": 0, "message": message, "finish_reason": "stop" if len(messages) > 1 else "tool_calls"}
    return web.json_response(
        {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    )


async def test_the_agent_loop_runs_against_the_embedded_configuration() -> None:
    backend = web.Application()
    backend.router.add_post("/v1/chat/completions", reply)
    async with TestServer(backend, host="127.0.0.1") as server:
        config = load_config(ROOT / "configs/embedded.yaml")
        target = msgspec.structs.replace(config.backend, url=str(server.make_url("")).rstrip("/"))
        nowhere = msgspec.structs.replace(config.store, path="")
        listen = ListenConfig(port=0)
        config = msgspec.structs.replace(config, listen=listen, backend=target, store=nowhere)
        async with listening(build(config)) as url:
            code = blocks("python")[0].replace("http://127.0.0.1:8700", url)
            names: dict[str, Any] = {}
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                await asyncio.to_thread(exec, compile(code, "README.md", "exec"), names)
            names["client"].close()
    assert printed.getvalue() == "3 messages\n"
    assert "Block until all items" in names["messages"][2]["content"]


def test_the_shadow_needs_a_backend_alone() -> None:
    config = load_config(ROOT / "configs/shadow.yaml")
    assert "configs/shadow.yaml" in README
    assert (config.speculation.mode, config.plugins) == ("shadow", ())


async def test_the_tool_and_its_configuration_are_served(tmp_path: Path) -> None:
    (tmp_path / "book_tool.py").write_text(blocks("python")[1])
    (tmp_path / "config.yaml").write_text(blocks("yaml")[0])
    proxy = build(load_config(tmp_path / "config.yaml"))
    spec = proxy.runtime.core.spec("look_up", "default")
    assert spec.description == "Find books by title."
    assert proxy.runtime.core.broker.may_run_ahead(spec.name)
    await proxy.runtime.close()
