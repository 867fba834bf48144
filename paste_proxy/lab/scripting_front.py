"""A front that makes a real SGLang speak the policy: stands between the proxy and the engine.

Of a chat request it reads the messages, decides the next turn (policy.py), and adds the fields that make
SGLang generate exactly that, token by token, with its own prefill, batch and parser. All else passes as it
is. So neither the agents nor the proxy know that the model is told what to say.
"""

import asyncio
import sys
from pathlib import Path

import aiohttp
import msgspec
import orjson
import uvloop
from aiohttp import web

from paste_proxy.errors import RequestError
from paste_proxy.lab import wire
from paste_proxy.lab.conversation import Conversation, read_conversation
from paste_proxy.lab.policy import Policy, Turn
from paste_proxy.lab.records import TokenCount
from paste_proxy.lab.scripted_engine import MAX_BODY, listen
from paste_proxy.lab.sglang_server import call_markup, saying
from paste_proxy.lab.sizes import Sizes
from paste_proxy.lab.workload import load_workload

TAIL = 2048
"""Bytes that hold the last events of a stream: SGLang's take some 300 each."""


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: _Details | None = None

    @property
    def cached_tokens(self) -> int:
        """0 where the engine does not say."""
        details = self.prompt_tokens_details
        return (details.cached_tokens or 0) if details is not None else 0


class _Counted(msgspec.Struct):
    usage: _Usage | None = None


class ScriptingFront:
    """`engine` is the URL of the SGLang server."""

    def __init__(self, engine: str, policy: Policy, http: aiohttp.ClientSession, log: str = "") -> None:
        """`log`: a file for what the engine counted, one `TokenCount` a line."""
        self._engine = engine
        self._policy = policy
        self._http = http
        self._log = log

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_route("*", "/{path:.*}", self._pass)
        return app

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        try:
            conversation = read_conversation(msgspec.json.decode(body, type=wire.ChatBody).messages)
            turn = self._policy.next_turn(conversation)
        except (msgspec.DecodeError, RequestError) as error:
            return web.Response(body=wire.error(400, str(error)), status=400, content_type="application/json")
        said = orjson.loads(body) | saying(_spoken(turn))
        if self._log and said.get("stream"):
            said["stream_options"] = {"include_usage": True}
        tail = bytearray()
        response = await self._forward(request, orjson.dumps(said), tail)
        if self._log:
            self._count(conversation, bytes(tail))
        return response

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        return await self._forward(request, await request.read(), bytearray())

    def _count(self, conversation: Conversation, tail: bytes) -> None:
        """`tail` is the end of a stream, with its usage."""
        for event in reversed(tail.split(b"\n\n")):
            if event.startswith(b"data: {"):
                usage = msgspec.json.decode(event[6:], type=_Counted).usage
                if usage is not None:
                    count = TokenCount(
                        conversation.task,
                        conversation.turns,
                        usage.prompt_tokens,
                        usage.completion_tokens,
                        usage.cached_tokens,
                    )
                    with Path(self._log).open("ab") as log:
                        log.write(msgspec.json.encode(count) + b"\n")
                return

    async def _forward(self, request: web.Request, body: bytes, tail: bytearray) -> web.StreamResponse:
        """The engine's answer, chunk by chunk; its last bytes go into `tail`. A client that leaves closes the
        engine's connection, too."""
        async with self._http.request(
            request.method,
            self._engine + request.path_qs,
            data=body or None,
            headers={"Content-Type": request.headers.get("Content-Type", "application/json")},
        ) as answer:
            response = web.StreamResponse(status=answer.status)
            response.content_type = answer.content_type
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
                tail += chunk
                del tail[:-TAIL]
            await response.write_eof()
            return response


def _spoken(turn: Turn) -> str:
    """The turn as the model writes it: the call as markup that the engine's parser reads."""
    if turn.call is None:
        return turn.text
    return f"{turn.text}\n{call_markup(turn.call.tool, turn.call.arguments)}"


async def serve(engine: str, token_scale: float, log: str = "", output_scale: float | None = None) -> None:
    """Listen on a free port, say where, and stop when the standard input ends."""
    workload = load_workload()
    policy = Policy(workload, Sizes(workload, token_scale, output_scale))
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
    ) as http:
        front = ScriptingFront(engine, policy, http, log)
        runner = web.AppRunner(front.application(), handler_cancellation=True, access_log=None)
        try:
            print(await listen(runner), flush=True)  # noqa: T201 - read by whoever started this process
            await asyncio.to_thread(sys.stdin.read)
        finally:
            await runner.cleanup()


if __name__ == "__main__":
    said = sys.argv[1:]
    uvloop.run(serve(said[0], float(said[1]), "".join(said[2:3]), float(said[3]) if said[3:] else None))
