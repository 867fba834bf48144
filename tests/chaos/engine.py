"""An engine in a process of its own, to be killed, stopped, and made to misbehave: SGLang's wire, no model.

It answers a turn with a digest of what it was asked, so that a client can tell its own answer from another's.
`POST /chaos` sets what it does wrong from then on, `GET /chaos` says what it saw.
"""

import argparse
import asyncio
import random
import sys
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec
import uvloop
from aiohttp import web

CHARACTERS = 4
"""A token's: what the proxy supposes, too, before it has seen any usage."""
PIECES = 8
LONG = 1 << 18
"""Times that a reply to who asks for so many tokens says its digest: 8 MB, more than sockets' buffers take."""
HUGE = b"[" + b"0," * 50_000_000 + b"0]"
PAGE = b"<html><body><h1>It works!</h1></body></html>"


class Wrongs(msgspec.Struct, forbid_unknown_fields=True):
    """What goes wrong. Of turns: `left` of them, -1 for all."""

    before: str = ""
    """Before the first byte: `wait` until the gate is opened, `close`, or a status."""
    within: str = ""
    """After the first pieces of a stream: `wait` or `close`."""
    left: int = -1
    load: str = ""
    """`missing`, `page`, `huge`, `wait`, `random`, or the JSON that is sent as it is."""
    ready: str = ""
    """`wait`, or a status."""


class Seen(msgspec.Struct):
    turns: int = 0
    now: int = 0
    """Turns in work."""
    most: int = 0
    """At once."""
    answered: int = 0
    """Whole ones."""
    aborts: int = 0
    wronged: int = 0
    """Turns that something went wrong with."""
    loads: int = 0
    """Questions for its load."""


class Engine:
    def __init__(self, kv_tokens: int, running: int) -> None:
        self._kv_tokens = kv_tokens
        self._running = running
        self._wrongs = Wrongs()
        self._seen = Seen()
        self._gate = asyncio.Event()
        self._remembered: set[str] = set()

    def application(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.middlewares.append(self._count)
        app.router.add_get("/chaos", self.tell)
        app.router.add_post("/chaos", self.be_told)
        app.router.add_get("/server_info", self.server_info)
        app.router.add_get("/v1/loads", self.loads)
        app.router.add_get("/model_info", self.model_info)
        app.router.add_get("/ready", self.ready)
        app.router.add_post("/v1/chat/completions", self.chat)
        app.router.add_post("/abort_request", self.abort)
        return app

    @web.middleware
    async def _count(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path != "/v1/chat/completions":
            answer: web.StreamResponse = await handler(request)
            return answer
        seen = self._seen
        seen.turns += 1
        seen.now += 1
        seen.most = max(seen.most, seen.now)
        try:
            reply: web.StreamResponse = await handler(request)
            seen.answered += 1
            return reply
        finally:
            seen.now -= 1

    # -- what it is told, and tells -------------------------------------------------------------------------

    async def tell(self, _request: web.Request) -> web.Response:
        return _json(self._seen)

    async def be_told(self, request: web.Request) -> web.Response:
        """All that waits at the gate goes on, unless it stays shut."""
        self._wrongs = msgspec.json.decode(await request.read(), type=Wrongs)
        self._gate.set()
        self._gate = asyncio.Event()
        return _json(self._seen)

    async def ready(self, _request: web.Request) -> web.Response:
        if self._wrongs.ready == "wait":
            await self._gate.wait()
        return web.Response(status=int(self._wrongs.ready) if self._wrongs.ready.isdigit() else 200)

    async def model_info(self, _request: web.Request) -> web.Response:
        return _json({"model_path": "chaos", "served_model_name": "chaos", "is_generation": True})

    async def server_info(self, _request: web.Request) -> web.Response:
        info = {"version": "0.5.23", "schedule_policy": "fcfs", "enable_cache_report": True}
        return _json(info | {"max_total_num_tokens": self._kv_tokens, "max_running_requests": self._running})

    async def loads(self, _request: web.Request) -> web.StreamResponse:
        self._seen.loads += 1
        wrong = self._wrongs.load
        rank: dict[str, Any] = {
            "num_running_reqs": self._seen.now,
            "num_waiting_reqs": 0,
            "num_used_tokens": 0,
            "max_total_num_tokens": self._kv_tokens,
            "max_running_requests": self._running,
        }
        match wrong:
            case "":
                return _json({"loads": [rank]})
            case "missing":
                raise web.HTTPNotFound
            case "page":
                return web.Response(body=PAGE, content_type="text/html")
            case "huge":
                return web.Response(body=HUGE, content_type="application/json")
            case "wait":
                await self._gate.wait()
                return _json({"loads": [rank]})
            case "random":
                return _json({"loads": [rank | {name: random.choice([0, 1, 10**6]) for name in rank}]})
        return web.Response(text=wrong, content_type="application/json")

    async def abort(self, _request: web.Request) -> web.Response:
        self._seen.aborts += 1
        return web.Response()

    # -- turns ----------------------------------------------------------------------------------------------

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = msgspec.json.decode(await request.read())
        before, within = self._goes_wrong()
        if before == "wait":
            await self._gate.wait()
        elif before == "close":
            return _break_off(request)
        elif before:
            error = {"object": "error", "message": f"wrong on purpose: {before}", "code": int(before)}
            return _json(error, int(before), {"Retry-After": "0"})
        said, usage = answer_to(body["messages"]), self._usage(body["messages"])
        if not body.get("stream"):
            message = {"role": "assistant", "content": said}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return _json({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage})
        return await self._stream(
            request, said * (LONG if body.get("max_tokens") == LONG else 1), usage, within
        )

    def _goes_wrong(self) -> tuple[str, str]:
        wrongs = self._wrongs
        if not wrongs.left:
            return "", ""
        wrongs.left -= wrongs.left > 0
        self._seen.wronged += bool(wrongs.before or wrongs.within)
        return wrongs.before, wrongs.within

    def _usage(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """What was asked before is cached: the memory that it says it has is not its own concern."""
        known = [str(messages[: count + 1]) for count in range(len(messages))]
        sizes = [len(message["content"]) // CHARACTERS for message in messages]
        cached = sum(size for size, name in zip(sizes, known, strict=True) if name in self._remembered)
        self._remembered.update(known)
        details = {"cached_tokens": cached}
        return {"prompt_tokens": sum(sizes), "completion_tokens": PIECES, "prompt_tokens_details": details}

    async def _stream(
        self, request: web.Request, said: str, usage: dict[str, Any], within: str
    ) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        size = max(1, len(said) // PIECES)
        for count, at in enumerate(range(0, len(said), size)):
            if count == 2 and within == "wait":
                await self._gate.wait()
            elif count == 2 and within == "close":
                return _break_off(request)
            await reply.write(_event({"choices": [{"index": 0, "delta": {"content": said[at : at + size]}}]}))
        await reply.write(_event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
        await reply.write(_event({"choices": [], "usage": usage}))
        await reply.write(b"data: [DONE]\n\n")
        return reply


def answer_to(messages: list[dict[str, Any]]) -> str:
    """Nobody else's."""
    said = "\n".join(message["content"] for message in messages)
    return blake2b(said.encode(), digest_size=16).hexdigest()


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode({"id": "x", "object": "chat.completion.chunk"} | data) + b"\n\n"


def _json(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    body = msgspec.json.encode(data)
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def _break_off(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def serve(app: web.Application, port: int) -> None:
    """Until its standard input ends, with who started it."""
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print("listening on http://{}:{}".format(*runner.addresses[0][:2]), flush=True)
    await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--kv-tokens", type=int, default=0)
    parser.add_argument("--running", type=int, default=0)
    given = parser.parse_args()
    uvloop.run(serve(Engine(given.kv_tokens, given.running).application(), given.port))


if __name__ == "__main__":
    main()
