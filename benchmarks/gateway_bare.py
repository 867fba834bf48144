"""What the gateway is compared with, each a process: the tool behind aiohttp and the SDK, and an engine.

`python -m benchmarks.gateway_bare rest|mcp|engine` prints `listening on URL`.
"""

import asyncio
import json
import sys
from typing import Any

import uvicorn
import uvloop
from aiohttp import web
from mcp.server.mcpserver import MCPServer

TOOL = "look_up"


async def look_up(word: str) -> str:
    """Look a word up."""
    return word


async def _call(request: web.Request) -> web.Response:
    arguments = json.loads(await request.read())
    return web.Response(text=await look_up(**arguments))


async def _chat(request: web.Request) -> web.StreamResponse:
    """One turn of one call: that of the tool with the word that the last message holds."""
    body: dict[str, Any] = await request.json()
    word = body["messages"][-1]["content"]
    function = {"name": TOOL, "arguments": json.dumps({"word": word})}
    call = {"index": 0, "id": f"call_{word}", "type": "function", "function": function}
    reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await reply.prepare(request)
    for delta, reason in (({"tool_calls": [call]}, None), ({}, "tool_calls")):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        chunk = {"id": "x", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
        await reply.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    await reply.write(b"data: [DONE]\n\n")
    return reply


async def _serve(path: str, handler: Any) -> None:
    app = web.Application()
    app.router.add_post(path, handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"listening on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


async def _serve_mcp() -> None:
    server = MCPServer("bare")
    server.tool(name=TOOL)(look_up)
    app = server.streamable_http_app(stateless_http=False, json_response=True)
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", loop="uvloop")
    running = uvicorn.Server(config)

    async def announce() -> None:
        while not running.started:  # noqa: ASYNC110 - nothing else tells
            await asyncio.sleep(0.01)
        port = running.servers[0].sockets[0].getsockname()[1]
        print(f"listening on http://127.0.0.1:{port}", flush=True)

    async with asyncio.TaskGroup() as group:
        group.create_task(announce())
        group.create_task(running.serve())


def main() -> None:
    kinds = {
        "rest": lambda: _serve("/v1/tools/look_up", _call),
        "engine": lambda: _serve("/v1/chat/completions", _chat),
        "mcp": _serve_mcp,
    }
    uvloop.run(kinds[sys.argv[1]]())


if __name__ == "__main__":
    main()
