"""A real process that waits for its backend can be stopped, as process 1 of a container too."""

import asyncio
import signal
import socket
import sys

import pytest

from tests.patience import SOON_S


def an_address_where_nobody_listens() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_while_the_backend_is_waited_for_ends_it_at_once_and_in_order(number: int) -> None:
    address = an_address_where_nobody_listens()
    command = (
        sys.executable,
        "-m",
        "paste_proxy",
        "serve",
        "--backend",
        address,
        "--wait",
        "300",
        "--port",
        "0",
    )
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    try:
        async with asyncio.timeout(SOON_S):
            while f"waiting for {address}" not in (line := (await process.stderr.readline()).decode()):
                assert line, "it has ended"
            process.send_signal(number)
            rest = (await process.stderr.read()).decode()
            assert await process.wait() == 0
        assert "stopping before the backend was there" in rest
        assert "Traceback" not in rest
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
