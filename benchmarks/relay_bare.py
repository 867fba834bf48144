"""What the relay is measured against: the shortest aiohttp + uvloop pass-through that streams.

`python -m benchmarks.relay_bare URL`: prints its address. No tap, no sessions, no error handling.
"""

import asyncio
import sys

import uvloop
from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

HOP = {"host", "connection", "transfer-encoding", "content-length"}


def build(backend: str) -> web.Application:
    app = web.Application()

    async def session(app: web.Application) -> None:
        app["session"] = ClientSession(
            connector=TCPConnector(limit=0), timeout=ClientTimeout(total=None), auto_decompress=False
        )

    async def relay(request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        body = await request.read()
        async with request.app["session"].request(
            request.method, backend + request.path_qs, headers=headers, data=body
        ) as upstream:
            kept = {name: value for name, value in upstream.headers.items() if name.lower() not in HOP}
            response = web.StreamResponse(status=upstream.status, headers=kept)
            await response.prepare(request)
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    app.on_startup.append(session)
    app.router.add_route("*", "/{path:.*}", relay)
    return app


async def main(backend: str) -> None:
    runner = web.AppRunner(build(backend), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"listening on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
