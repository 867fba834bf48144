"""An OpenAI-compatible server that speaks SGLang's wire format at stated token rates, and is scripted.

There is no model in it: what it says is the policy of research.yaml. It says so in the name of its model,
in its `Server` header, in `/model_info` and at the beginning of every reply.
"""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec
import orjson
import uvloop
from aiohttp import web

from paste_proxy.backends.detection import SCRIPTED
from paste_proxy.errors import RequestError
from paste_proxy.lab import wire
from paste_proxy.lab.batch import Batch, Piece, PrefixCache
from paste_proxy.lab.conversation import (
    Conversation,
    WireCall,
    WireFunction,
    WireMessage,
    digest_chain,
    read_conversation,
)
from paste_proxy.lab.policy import MODEL, Policy, Turn
from paste_proxy.lab.sizes import Sizes
from paste_proxy.lab.workload import Workload, load_workload

STREAM_INTERVAL = 16
"""Tokens per chunk, as SGLang's --stream-interval. At 0.15 of the real time a stream makes 758 tokens a
second; sixteen a chunk leave the cores of a small machine to what is measured."""

MAX_BODY = 64 * 1024 * 1024
"""Same as the proxy's own bound."""


class Prompt(msgspec.Struct, frozen=True):
    """`cached` tokens of `tokens` were left behind by earlier requests."""

    tokens: int
    cached: int
    conversation: Conversation


class Running(msgspec.Struct, eq=False):
    """A request in work; `/abort_request` sets `aborted`."""

    rid: str
    aborted: bool = False


class ScriptedEngine:
    """One engine with a batch and a prefix cache of its own. Times are multiplied by `time_scale`."""

    def __init__(self, workload: Workload, time_scale: float, stream_interval: int = STREAM_INTERVAL) -> None:
        self._sizes = Sizes(workload)
        self._policy = Policy(workload, self._sizes)
        self._batch = Batch(workload.engine, time_scale)
        self._cache = PrefixCache()
        self._interval = stream_interval
        self._running: set[Running] = set()
        self._count = 0

    @property
    def running(self) -> int:
        """Requests in work."""
        return len(self._running)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/abort_request", self._abort)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/model_info", self._model_info)
        for path in ("/health", "/health_generate", "/ready"):
            app.router.add_get(path, self._health)
        app.on_response_prepare.append(_sign)
        return app

    # -- generation ---------------------------------------------------------------------------------------

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        try:
            body = msgspec.json.decode(await request.read(), type=wire.ChatBody)
            prompt = self._read(body)
        except (msgspec.DecodeError, RequestError) as error:
            return _json(wire.error(400, str(error)), status=400)
        self._count += 1
        reply = wire.Reply(id=f"{self._count:032x}", model=MODEL, created=int(time.time()))
        turn = self._policy.next_turn(prompt.conversation)
        running = Running(body.rid or "")
        self._running.add(running)
        try:
            if body.stream:
                return await self._stream(request, body, prompt, turn, reply, running)
            return await self._whole(prompt, turn, reply, running)
        finally:
            self._running.discard(running)
            self._remember(body, turn)

    def _read(self, body: wire.ChatBody) -> Prompt:
        conversation = read_conversation(body.messages)
        tokens = self._sizes.messages(body.messages, conversation)
        known = self._cache.cached_messages(conversation.chain)
        return Prompt(sum(tokens), sum(tokens[:known]), conversation)

    def _remember(self, body: wire.ChatBody, turn: Turn) -> None:
        calls = None
        if turn.call:
            calls = [WireCall(turn.call.call_id, WireFunction(turn.call.tool, turn.call.arguments))]
        said = WireMessage(role="assistant", content=turn.text, tool_calls=calls)
        self._cache.add(digest_chain([*body.messages, said]))

    async def _stream(
        self,
        request: web.Request,
        body: wire.ChatBody,
        prompt: Prompt,
        turn: Turn,
        reply: wire.Reply,
        running: Running,
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        pieces = [Piece(0, reply.delta(role="assistant", content="")), *_pieces(turn, reply, self._interval)]
        try:
            async with aclosing(self._generate(prompt, pieces, running)) as chunks:
                async for chunk in chunks:
                    await response.write(chunk)
            await response.write(reply.finished(_finish_reason(turn, running)))
            if body.wants_usage:
                await response.write(reply.usage(_usage(prompt, turn)))
            await response.write(wire.DONE)
        except ConnectionResetError:
            return response  # the client left: its request leaves the batch
        await response.write_eof()
        return response

    async def _whole(
        self, prompt: Prompt, turn: Turn, reply: wire.Reply, running: Running
    ) -> web.StreamResponse:
        pieces = [Piece(tokens, b"") for tokens, _ in _paced("", turn.tokens, self._interval)]
        async with aclosing(self._generate(prompt, pieces, running)) as chunks:
            async for _ in chunks:
                pass
        return _json(reply.whole(turn, _finish_reason(turn, running), _usage(prompt, turn)))

    def _generate(
        self, prompt: Prompt, pieces: Sequence[Piece[bytes]], running: Running
    ) -> AsyncGenerator[bytes]:
        return self._batch.generate(prompt.tokens - prompt.cached, pieces, lambda: running.aborted)

    # -- the rest of the API that a proxy or an SDK asks for ----------------------------------------------

    async def _abort(self, request: web.Request) -> web.Response:
        """Matches by prefix, as SGLang's scheduler does; an empty rid matches nothing."""
        rid = (await request.json()).get("rid") or ""
        for running in self._running:
            running.aborted |= bool(rid) and running.rid.startswith(rid)
        return web.Response()

    async def _models(self, request: web.Request) -> web.Response:
        model = {"id": MODEL, "object": "model", "created": 0, "owned_by": SCRIPTED, "root": MODEL}
        return _json(orjson.dumps({"object": "list", "data": [model]}))

    async def _model_info(self, request: web.Request) -> web.Response:
        info = {"model_path": SCRIPTED, "served_model_name": MODEL, "is_generation": True}
        return _json(orjson.dumps(info))

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response()


def _pieces(turn: Turn, reply: wire.Reply, interval: int) -> list[Piece[bytes]]:
    """The reply as the stream's chunks: text, then the call's name, then its arguments."""
    pieces = [
        Piece(tokens, reply.delta(content=text))
        for tokens, text in _paced(turn.text, turn.text_tokens, interval)
    ]
    if turn.call:
        pieces.append(Piece(0, reply.opened_call(turn.call.call_id, turn.call.tool)))
        pieces.extend(
            Piece(tokens, reply.argument(text))
            for tokens, text in _paced(turn.call.arguments, turn.call_tokens, interval)
        )
    return pieces


def _paced(text: str, tokens: int, interval: int) -> list[tuple[int, str]]:
    """`text` cut evenly over its tokens, `interval` tokens at a time."""
    ends = [min(done + interval, tokens) for done in range(0, tokens, interval)]
    starts = [0, *ends[:-1]]
    return [
        (end - start, text[len(text) * start // tokens : len(text) * end // tokens])
        for start, end in zip(starts, ends, strict=True)
    ]


def _finish_reason(turn: Turn, running: Running) -> str:
    if running.aborted:
        return "abort"
    return "tool_calls" if turn.call else "stop"


def _usage(prompt: Prompt, turn: Turn) -> dict[str, Any]:
    return wire.usage(prompt.tokens, turn.tokens, prompt.cached)


def _json(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")


async def _sign(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SCRIPTED


async def serve(engines: int, time_scale: float) -> None:
    """Run that many engines on ports of their own, say where, and stop when the standard input ends."""
    workload = load_workload()
    runners = [
        web.AppRunner(
            ScriptedEngine(workload, time_scale).application(), handler_cancellation=True, access_log=None
        )
        for _ in range(engines)
    ]
    try:
        urls = [await listen(runner) for runner in runners]
        print(orjson.dumps(urls).decode(), flush=True)  # noqa: T201 - read by whoever started this process
        await asyncio.to_thread(sys.stdin.read)
    finally:
        for runner in runners:
            await runner.cleanup()


async def listen(runner: web.AppRunner, host: str = "127.0.0.1", port: int = 0) -> str:
    """Listen, on a free port of the loopback interface if nothing else is said; its address."""
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    host, port = runner.addresses[0][:2]
    return f"http://{host}:{port}"


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2])))
