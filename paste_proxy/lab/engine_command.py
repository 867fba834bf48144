"""`paste-proxy lab engine`: the scripted engine by itself, for who has no GPU and wants to see a proxy work."""

import asyncio
import signal

import click
import uvloop
from aiohttp import web

from paste_proxy.errors import LabError
from paste_proxy.lab.scripted_engine import ScriptedEngine, listen
from paste_proxy.lab.workload import load_workload

REAL_TIME = 1.0
"""The stated token rates as they are: whoever looks on has no reason to hurry."""


@click.command("engine")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; it asks for no key."
)
@click.option("--port", type=click.IntRange(0, 65535), default=30000, show_default=True, help="SGLang's own.")
def engine_command(*, host: str, port: int) -> None:
    """Serve the scripted engine until SIGINT or SIGTERM: SGLang's wire format, and no model behind it."""
    uvloop.run(_serve(host, port))


async def _serve(host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    engine = ScriptedEngine(load_workload(), REAL_TIME)
    runner = web.AppRunner(engine.application(), handler_cancellation=True, access_log=None)
    try:
        click.echo(f"listening on {await _listening(runner, host, port)}: scripted, no model")
        await stop.wait()
    finally:
        await runner.cleanup()


async def _listening(runner: web.AppRunner, host: str, port: int) -> str:
    try:
        return await listen(runner, host, port)
    except OSError as error:
        reason = error.strerror or str(error)
        raise LabError(
            f"can't listen on {host}:{port}: {reason}; see --host and --port", param="port"
        ) from error
