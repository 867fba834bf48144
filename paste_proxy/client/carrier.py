"""The thread that speaks with the proxy, in an event loop of its own, which nothing in the agent blocks.

So it serves sync callers as it does async ones, in any loop and in several, and the proxy's pings are answered
while the agent computes.
"""

import asyncio
import hashlib
import logging
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from paste_proxy.client.bound import Origin
from paste_proxy.client.calls import Ahead, Call
from paste_proxy.client.machine import Machine
from paste_proxy.client.protocol import MESSAGE_LIMIT, PATH, UNUSABLE, ProtocolError
from paste_proxy.client.runner import Runner
from paste_proxy.connection_words import why_no_answer
from paste_proxy.errors import ConfigError
from paste_proxy.tasks import TaskSet
from paste_proxy.tools.moments import age_limit

log = logging.getLogger("paste_proxy.client")

KEY_VARIABLE, KEY_HEADER = "PASTE_PROXY_KEY", "x-paste-key"
"""The tenant's key, where the proxy asks for one."""
HEARTBEAT_S = 20.0
"""As the proxy's: a dead connection is known within half a minute, and costs no call more than its patience."""
BACK_OFF_S = (0.25, 30.0)
"""The first and the longest wait before another attempt: a proxy that restarts is back within seconds."""
LAST_WORDS_S = 1.0
"""How long an agent's end waits for what is still to be said: far more than a few messages take."""
NAMES_TOLD = 5
"""Of tools, in a line of the log: enough to know which they are."""
CONNECT_S = 10.0
"""As the proxy gives its backend: a healthy one accepts within a second."""


class Carrier:
    """Methods are called from any thread; what has an underscore is the thread's own."""

    def __init__(self, proxy: str, origins: Mapping[str, Origin], *, share_outputs: bool) -> None:
        self._proxy = proxy.rstrip("/")
        self._loop = asyncio.new_event_loop()
        self._share_outputs = share_outputs
        self._runner = Runner(self)
        self._machine = Machine(self._runner, f"{Path(sys.argv[0]).name} {os.getpid()}")
        self._wake = asyncio.Event()
        self._stopped = asyncio.Event()
        self._is_down = False
        self._left_out: set[str] = set()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._thread = threading.Thread(target=self._run, name=f"paste-proxy {self._proxy}", daemon=True)
        self._offer(origins)
        self._thread.start()

    @property
    def is_up(self) -> bool:
        return self._machine.is_up

    def may_run_ahead(self, tool: str) -> bool:
        return self._machine.may_run_ahead(tool)

    def offer(self, origins: Mapping[str, Origin]) -> None:
        self._post(self._offer, origins)

    def claim(self, call: Call) -> None:
        self._post(self._machine.claim, call)

    def impatient(self, call: Call) -> None:
        self._post(self._machine.impatient, call)

    def leave(self, call: Call) -> None:
        self._post(self._machine.leave, call)

    def finished(self, call: Call, error: str | None) -> None:
        self._post(self._machine.finished, call, error)

    def began(self, run: Ahead, identity: object, at: float) -> None:
        self._post(self._machine.began, run, identity, at)

    def ended(self, run: Ahead, value: Any, error: str | None, text: str) -> None:
        self._post(self._ended, run, value, error, text)

    def stop(self) -> None:
        """Ends the connection, and waits until the thread has ended."""
        self._post(self._stopped.set)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _post(self, work: Callable[..., object], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(self._do, work, args)
        except RuntimeError:
            log.debug("the thread has ended: %s is not told", work)

    # -- the thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    def _do(self, work: Callable[..., object], args: tuple[Any, ...]) -> None:
        work(*args)
        self._wake.set()

    def _offer(self, origins: Mapping[str, Origin]) -> None:
        self._runner.origins.update(origins)
        self._machine.offer([origin.bound.spec for origin in origins.values()])
        if news := self._machine.offers.left_out.keys() - self._left_out:
            self._left_out |= news
            reason = self._machine.offers.left_out[min(news)]
            some = ", ".join(sorted(news)[:NAMES_TOLD]) + (", ..." if len(news) > NAMES_TOLD else "")
            log.warning("%d wrapped tools run as if unwrapped, since %s: %s", len(news), reason, some)

    def _ended(self, run: Ahead, value: Any, error: str | None, text: str) -> None:
        raw = text.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(raw, digest_size=16).hexdigest() if raw else ""
        shared = text if self._share_outputs and error is None else None
        now = time.monotonic()
        origin = self._runner.origins.get(run.tool)
        if run.started is not None and error is None and origin is not None:
            started = time.time() - (now - run.started)
            run.max_age = age_limit(raw, origin.bound.spec.max_age, started)
        self._machine.ended(run, value, error, now=now, size=len(raw), digest=digest, output=shared)

    async def _main(self) -> None:
        tasks = TaskSet()
        connecting = tasks.spawn(self._connect(), name="paste-proxy connection")
        stopped = tasks.spawn(self._stopped.wait(), name="paste-proxy stop")
        await asyncio.wait((connecting, stopped), return_when=asyncio.FIRST_COMPLETED)
        await self._say_the_rest()
        self._runner.close()
        await tasks.close()

    async def _say_the_rest(self) -> None:
        """That a last write has ended, say, with which many an agent ends."""
        try:
            async with asyncio.timeout(LAST_WORDS_S):
                if self._socket is not None:
                    await self._flush(self._socket)
        except (TimeoutError, ConnectionError):
            log.debug("%s was not told how the last calls ended", self._proxy)

    async def _connect(self) -> None:
        wait_s, longest = BACK_OFF_S
        async with aiohttp.ClientSession() as http:
            while True:
                try:
                    await self._connection(http)
                    wait_s = BACK_OFF_S[0]
                except (aiohttp.ClientError, OSError, TimeoutError, ProtocolError, ConfigError) as error:
                    self._tell_down(_why(error, self._proxy))
                # Not all at once, where a proxy that restarts has many clients.
                await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
                wait_s = min(2 * wait_s, longest)

    async def _connection(self, http: aiohttp.ClientSession) -> None:
        """Until it is lost. Raises what `_connect` expects."""
        url = f"{self._proxy}{PATH}"
        async with asyncio.timeout(CONNECT_S):
            socket = await http.ws_connect(
                url,
                headers=_key_field(),
                heartbeat=HEARTBEAT_S,
                max_msg_size=MESSAGE_LIMIT,
                compress=0,
            )
        tasks = TaskSet()
        try:
            self._machine.opened()
            self._socket = socket
            tasks.spawn(self._write(socket), name="paste-proxy writer")
            self._wake.set()
            async for message in socket:
                self._machine.received(message.data, time.monotonic())
                self._wake.set()
                self._tell_unusable()
                if self._machine.is_up and self._is_down:
                    self._is_down = False
                    log.info("connected to %s again", self._proxy)
        finally:
            self._socket = None
            self._machine.lost()
            await tasks.close()
            await socket.close()
        reason = socket.close_code
        self._tell_down(f"it has closed the connection ({reason})")

    async def _write(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._flush(socket)

    async def _flush(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        for frame in self._machine.unsent():
            await socket.send_frame(frame, aiohttp.WSMsgType.TEXT)

    def _tell_unusable(self) -> None:
        """Of each tool once: it is for whoever wrote its schema."""
        for tool, reason in self._machine.refused.items():
            if reason.startswith(UNUSABLE) and tool not in self._left_out:
                self._left_out.add(tool)
                log.warning("wrapped tool %s runs as if unwrapped, since %s", tool, reason)

    def _tell_down(self, reason: str) -> None:
        """Once, until it is there again."""
        if not self._is_down:
            self._is_down = True
            log.warning("no proxy at %s, wrapped tools run as if unwrapped: %s", self._proxy, reason)


def _key_field() -> dict[str, str]:
    """Without the line end that files of secrets have. Raises `ConfigError`, which shows nothing of the key."""
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(
            f"{KEY_VARIABLE} can't be sent in a header as it stands in the environment", param=KEY_VARIABLE
        )
    return {KEY_HEADER: key} if key else {}


def _why(error: Exception, url: str) -> str:
    if isinstance(error, aiohttp.WSServerHandshakeError) and error.status in (401, 403):
        return f"it refuses the key: {KEY_VARIABLE} must hold one of its tenants' keys ({error.status})"
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"it answers {error.status} where a paste-proxy connects its clients"
    return why_no_answer(error, url)  # where it has answered before, it is told that it closed the connection
