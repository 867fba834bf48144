"""`paste-proxy serve --config FILE` with a predictor that is always wrong: cell X of a live run."""

import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from paste_proxy.app import build, listening
from paste_proxy.config_reading import load_config
from paste_proxy.lab.virtual.predictors import AlwaysWrong


async def serve(config: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    proxy = build(load_config(config), new_predictor=lambda specs, _table: AlwaysWrong(specs.values()))
    async with listening(proxy) as url:
        print(f"listening on {url}", flush=True)  # noqa: T201 - read by whoever started this process
        await stop.wait()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[-1])))
