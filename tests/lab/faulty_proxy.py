"""`paste-proxy serve --config FILE` with a fault: what ran ahead for one session has a character too many.

Run as a program, by the test that wants the demo to notice.
"""

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from paste_proxy.app import build, listening
from paste_proxy.config_reading import load_config
from paste_proxy.tools.ports import Executor, Output, Run, RunClass


class Corrupting:
    """An executor that is wrong about all that is run ahead for the first session."""

    def __init__(self, inner: Executor) -> None:
        self._inner = inner
        self._session = ""

    async def run(self, run: Run, begun: Callable[[], None]) -> Output:
        ahead = run.run_class is not RunClass.AUTHORITATIVE
        if ahead:
            self._session = self._session or run.context.session
        output = await self._inner.run(run, begun)
        if ahead and run.context.session == self._session:
            return msgspec.structs.replace(output, body=output.body + b"!")
        return output

    def promote(self, run: str) -> None:
        self._inner.promote(run)

    def fingerprint(self, tool: str, arguments: dict[str, Any]) -> bytes | None:
        return self._inner.fingerprint(tool, arguments)

    async def warm_up(self) -> None:
        await self._inner.warm_up()

    async def close(self) -> None:
        await self._inner.close()


async def serve(config: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with listening(build(load_config(config), Corrupting)) as url:
        print(f"listening on {url}", flush=True)
        await stop.wait()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[-1])))
