"""`paste-proxy lab engine`, as a container runs it: told where to listen, ended by a signal."""

import asyncio
import signal
import socket
import sys

import aiohttp
import pytest

from paste_proxy.errors import LabError
from paste_proxy.lab.engine_command import engine_command


@pytest.mark.slow
async def test_it_serves_until_it_is_told_to_stop() -> None:
    command = (sys.executable, "-m", "paste_proxy", "lab", "engine", "--port", "0")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        said = (await process.stdout.readline()).decode().split()
        assert said[:2] == ["listening", "on"]
        async with aiohttp.ClientSession() as http, http.get(said[2].rstrip(":") + "/health") as reply:
            assert (reply.status, reply.headers["Server"]) == (200, "paste-proxy-scripted-engine")
    finally:
        process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(LabError, match=rf"can't listen on 127\.0\.0\.1:{port}: .*; see --host and --port"):
            engine_command.main(["--port", port], standalone_mode=False)
