"""Whether the backend accepts connections, told to whoever probes."""

import asyncio
import socket

from paste_proxy.backends.reach import FRESH_S, Reachability
from paste_proxy.clock import VirtualClock
from paste_proxy.config import BackendConfig, Config


class Listener:
    """A backend that counts who connects."""

    def __init__(self) -> None:
        self.connections = 0

    async def __call__(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()


async def listening(listener: Listener) -> tuple[asyncio.Server, BackendConfig]:
    server = await asyncio.start_server(listener, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    return server, BackendConfig(url=f"http://{host}:{port}")


async def test_probes_share_an_answer_for_a_second() -> None:
    clock, listener = VirtualClock(), Listener()
    server, backend = await listening(listener)
    reachability = Reachability(Config(backend=backend), clock.now)
    assert await asyncio.gather(*(reachability.is_any_up() for _ in range(20))) == [True] * 20
    server.close()
    await server.wait_closed()
    assert listener.connections == 1
    assert await reachability.is_any_up()
    clock.advance(FRESH_S)
    assert not await reachability.is_any_up()


async def test_one_of_several_is_enough() -> None:
    server, backend = await listening(Listener())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listening
        refusing = BackendConfig(url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        unknown = BackendConfig(url="http://nobody.invalid:1")
        down = {"refusing": refusing, "unknown": unknown}
        assert not await Reachability(Config(backends=down), lambda: 0.0).is_any_up()
        assert await Reachability(Config(backends={**down, "up": backend}), lambda: 0.0).is_any_up()
    server.close()
    await server.wait_closed()
