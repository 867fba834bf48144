"""A headless Chromium, spoken to over its DevTools protocol: how a page looks, and what it asks for."""

import asyncio
import base64
import itertools
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome")
START_S = 60.0
"""A busy machine takes its time with the first start."""
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-port=0",
)


def find_chromium() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One page, and everything that it did since it was opened."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, session: str) -> None:
        self.requests: list[str] = []
        """Addresses that it asked for, its own apart."""
        self.complaints: list[str] = []
        self._socket = socket
        self._session = session
        self._numbers = itertools.count(1)
        self._loaded = False

    async def open(self, path: Path) -> None:
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.send(f"{domain}.enable")
        await self.send("Page.navigate", url=path.as_uri())
        while not self._loaded:
            self._hear(await self._socket.receive_json())
        self.requests = [url for url in self.requests if url != path.as_uri()]

    async def size(self, width: int, *, dark: bool = False, media: str = "screen") -> None:
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.send("Emulation.setEmulatedMedia", media=media, features=[scheme])

    async def ask(self, expression: str) -> Any:
        """What JavaScript makes of it."""
        answer = await self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def picture(self) -> bytes:
        """The whole page, as PNG."""
        shot = await self.send("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json(
            {"id": number, "sessionId": self._session, "method": method, "params": params}
        )
        while True:
            message = await self._socket.receive_json()
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self._hear(message)

    def _hear(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Runtime.exceptionThrown" | "Log.entryAdded" | "Runtime.consoleAPICalled":
                self.complaints.append(str(params))


@asynccontextmanager
async def opened(chromium: str, page: Path, profile: Path) -> AsyncIterator[Page]:
    """The page in a browser of its own, which ends with the block."""
    process = await asyncio.create_subprocess_exec(
        chromium, *FLAGS, f"--user-data-dir={profile}", stderr=asyncio.subprocess.PIPE
    )
    try:
        address = await asyncio.wait_for(_address(process), START_S)
        async with aiohttp.ClientSession() as http, http.ws_connect(address, max_msg_size=0) as socket:
            browser = Page(socket, "")
            target = await _plain(socket, browser, "Target.createTarget", url="about:blank")
            attached = await _plain(
                socket, browser, "Target.attachToTarget", targetId=target["targetId"], flatten=True
            )
            found = Page(socket, attached["sessionId"])
            await found.open(page)
            yield found
    finally:
        process.kill()
        await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    async for line in process.stderr:
        _, found, address = line.decode().partition("DevTools listening on ")
        if found:
            return address.strip()
    raise AssertionError("the browser ended before it listened")


async def _plain(
    socket: aiohttp.ClientWebSocketResponse, browser: Page, method: str, **params: Any
) -> dict[str, Any]:
    """A command to the browser itself, before there is a page."""
    await socket.send_json({"id": 0, "method": method, "params": params})
    while True:
        message = await socket.receive_json()
        if message.get("id") == 0:
            result: dict[str, Any] = message["result"]
            return result
