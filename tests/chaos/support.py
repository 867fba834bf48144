"""The real processes of the chaos tests, and what must hold when each is over."""

import asyncio
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from tests.chaos.engine import Seen, Wrongs, answer_to
from tests.patience import SOON_S

START_S = 60.0
"""Imports take seconds where cores are shared."""
PATIENCE_S = 120.0
"""`silence_timeout_s` where engines wait to be told: it is not to pass while a test looks on."""
SILENCE_S = 4.0
"""The same where it is what is tested. Above what a busy machine takes from its processes."""
HELD_S = 15.0
"""By the proxy's own clock, and above any moment on a busy machine. A lease of nobody's would hold a turn for
half a minute."""
KV_TOKENS = 5000
OWN_CONNECTIONS = 3
"""To each engine, for questions of the proxy's own: its load, its health, what it can do."""
LARGE = 4 * 2000
"""Characters of a request, of which two fit into the memory of an engine and three don't."""


async def until(true: Callable[[], Awaitable[bool]], what: str, within_s: float = SOON_S) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not await true():
        assert loop.time() - began < within_s, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(0.02)


class Port:
    """A process can have it again after a kill, since it is kept meanwhile: bound here, too, but listened at
    by that process alone."""

    def __init__(self) -> None:
        self._kept = socket.socket()
        self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._kept.bind(("127.0.0.1", 0))
        self.number: int = self._kept.getsockname()[1]

    def give_up(self) -> None:
        self._kept.close()


class Process:
    """A server that says where it listens on its first line; started again at the same port."""

    def __init__(self, command: Iterable[str], port: Port, log: Path) -> None:
        self._command = (sys.executable, "-m", *command)
        self._port = port
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self.url = ""

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log
            )
        assert self._process.stdout is not None
        line = (await asyncio.wait_for(self._process.stdout.readline(), START_S)).decode()
        assert line.startswith("listening on "), f"{line!r}; {self.log()[-2000:]}"
        self.url = line.split()[2]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def ended(self) -> int:
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), START_S)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def kill(self) -> None:
        self.signal(signal.SIGKILL)
        await self.ended()

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            await self.ended()

    async def close(self) -> None:
        await self.stop()
        self._port.give_up()

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")


class Engine(Process):
    def __init__(self, name: str, folder: Path, *options: str) -> None:
        self.name = name
        port = Port()
        super().__init__(("tests.chaos.engine", str(port.number), *options), port, folder / f"{name}.log")

    async def goes_wrong(self, **wrongs: Any) -> None:
        """From now on so and not otherwise; without any, all is well."""
        await self._ask("POST", msgspec.json.encode(Wrongs(**wrongs)))

    async def seen(self) -> Seen:
        return await self._ask("GET", b"")

    async def _ask(self, method: str, body: bytes) -> Seen:
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, f"{self.url}/chaos", data=body) as reply,
        ):
            return msgspec.json.decode(await reply.read(), type=Seen)


class Told(msgspec.Struct, frozen=True):
    """What a client was answered."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def held_s(self) -> float:
        return int(self.headers.get("x-paste-held-ms", 0)) / 1000

    @property
    def code(self) -> str:
        code: str = msgspec.json.decode(self.body)["error"]["code"]
        return code


class Proxy(Process):
    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.file = folder / "proxy.yaml"
        port = Port()
        self.config = {"listen": {"port": port.number}} | dict(config)
        self.write(self.config)
        super().__init__(("paste_proxy", "serve", "--config", str(self.file)), port, folder / "proxy.log")

    def write(self, config: Mapping[str, Any]) -> None:
        self.file.write_bytes(msgspec.yaml.encode(config))

    async def page(self, path: str) -> Any:
        async with aiohttp.ClientSession() as http, http.get(f"{self.url}/paste/{path}") as reply:
            return msgspec.json.decode(await reply.read())

    async def backends(self) -> dict[str, dict[str, Any]]:
        told: dict[str, dict[str, Any]] = (await self.page("v1/backends"))["backends"]
        return told

    async def held(self) -> int:
        held: int = (await self.page("v1/stats"))["turns"]["held_now"]
        return held

    def descriptors(self) -> list[str]:
        """What its descriptors are; sockets by how many they are."""
        folder = Path(f"/proc/{self.pid}/fd")
        names = []
        for descriptor in folder.iterdir():
            try:
                names.append(str(descriptor.readlink()).split(":")[0])
            except FileNotFoundError:  # closed meanwhile
                continue
        return sorted(names)

    def children(self) -> list[str]:
        return Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii").split()


class World:
    """A proxy before its engines, and a client."""

    def __init__(self, proxy: Proxy, engines: Mapping[str, Engine], http: aiohttp.ClientSession) -> None:
        self.proxy = proxy
        self.engines = engines
        self.http = http
        self._sessions = 0

    def new_session(self) -> str:
        self._sessions += 1
        return f"session-{os.getpid()}-{id(self)}-{self._sessions}"

    def asked(self, session: str, size: int = 0, **fields: Any) -> dict[str, Any]:
        """A turn of an agent's: it offers a tool, so that it is expected to come again."""
        text = f"{session}: go"
        function = {"name": "look", "parameters": {"type": "object", "properties": {}}}
        return {
            "json": {
                "model": "chaos",
                "messages": [{"role": "user", "content": text + "." * max(0, size - len(text))}],
                "tools": [{"type": "function", "function": function}],
                **fields,
            },
            "headers": {"x-session-id": session},
        }

    async def ask(self, session: str, size: int = 0, **fields: Any) -> Told:
        """Raises `aiohttp.ClientError` where the reply is cut short, or none comes."""
        url = f"{self.proxy.url}/v1/chat/completions"
        async with self.http.post(url, **self.asked(session, size, **fields)) as reply:
            return Told(reply.status, await reply.read(), dict(reply.headers))

    async def answered(self, session: str, size: int = 0) -> float:
        """Its own answer, whole; the seconds for which it was held."""
        told = await self.ask(session, size, stream=True, stream_options={"include_usage": True})
        self.check(told, session, size)
        return told.held_s

    def check(self, told: Told, session: str, size: int = 0) -> None:
        assert told.status == 200, told.body
        assert said(told.body) == answer_to(self.asked(session, size)["json"]["messages"])

    async def session_of(self, name: str) -> str:
        """One that lives at that engine."""
        for _ in range(99):
            session = self.new_session()
            before = (await self.proxy.backends())[name]["turns"]
            await self.answered(session)
            if (await self.proxy.backends())[name]["turns"] > before:
                return session
        raise AssertionError(f"no session goes to {name}")

    async def is_calm(self) -> bool:
        """Nothing is held, nothing under way, no lease is waited for."""
        standing = (await self.proxy.backends()).values()
        return not await self.proxy.held() and not any(one["live"] or one["waiting"] for one in standing)

    async def are_up(self) -> bool:
        return all(one["up"] for one in (await self.proxy.backends()).values())


def said(stream: bytes) -> str:
    """The text of a whole stream of events."""
    assert stream.endswith(b"data: [DONE]\n\n"), stream[-300:]
    events = [msgspec.json.decode(line[6:]) for line in stream.split(b"\n\n")[:-2]]
    deltas = (choice["delta"] for event in events for choice in event["choices"])
    return "".join(delta.get("content") or "" for delta in deltas)


@asynccontextmanager
async def world(
    folder: Path,
    *names: str,
    options: tuple[str, ...] = ("--kv-tokens", str(KV_TOKENS)),
    silence_s: float = PATIENCE_S,
    **keys: Any,
) -> AsyncIterator[World]:
    """`names`: of several backends; without any there is one. `keys`: of the configuration."""
    async with AsyncExitStack() as stack:
        engines = {name: Engine(name, folder, *options) for name in names or ("engine",)}
        async with asyncio.TaskGroup() as starts:
            for engine in engines.values():
                stack.push_async_callback(engine.close)
                starts.create_task(engine.start())
        backends = {name: backend(engine, silence_s) for name, engine in engines.items()}
        where = {"backends": backends} if names else {"backend": backends["engine"]}
        proxy = Proxy(folder, where | keys)
        stack.push_async_callback(proxy.close)
        await proxy.start()
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        yield World(proxy, engines, http)


def backend(engine: Engine, silence_s: float = PATIENCE_S) -> dict[str, Any]:
    return {"url": engine.url, "kind": "sglang", "silence_timeout_s": silence_s, "load_poll_s": 0.1}


@asynccontextmanager
async def undisturbed(at: World) -> AsyncIterator[None]:
    """What happens meanwhile leaves nothing behind: no turn, no lease, no socket, no child, no fault."""
    await _settled(at)
    descriptors, children = at.proxy.descriptors(), at.proxy.children()
    try:
        yield
    finally:
        for engine in at.engines.values():
            await engine.goes_wrong()
    await _settled(at)
    assert at.proxy.children() == children

    most = len(descriptors) + OWN_CONNECTIONS * len(at.engines)

    async def as_before() -> bool:
        return len(at.proxy.descriptors()) <= most

    await until(as_before, f"no more descriptors than {most}: {Counter(at.proxy.descriptors())}")
    assert (await at.proxy.page("health"))["core"] == "ok"
    assert "Traceback" not in at.proxy.log(), at.proxy.log()[-3000:]


async def _settled(at: World) -> None:
    await until(at.is_calm, "nothing is held or under way")
    if len(at.engines) > 1:  # else requests alone say whether it is up
        await until(at.are_up, "all backends are up")
    for _ in range(2):
        held_s = await at.answered(at.new_session(), LARGE)
        assert held_s < HELD_S, f"a new turn was held for {held_s:.1f} s"
    assert await at.are_up()
