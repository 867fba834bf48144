"""A real SGLang server as a child process, and how to make it say a given text: for the demo and the tests.

`tests/conformance/install_sglang.py` builds the virtual environment that is looked for here. The flags keep
SGLang 0.5.23 steady on a few CPU cores: its threads spin, so one per process; and it sleeps when idle.
"""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import aiohttp
import msgspec

from paste_proxy.errors import BackendUnreachableError

VENV_VARIABLE = "PASTE_SGLANG_VENV"
INSTALL_COMMAND = "python -m tests.conformance.install_sglang"
READY_TIMEOUT_S = 300.0
"""Its three processes import for 20 s of CPU each: 25-45 s on two idle cores; minutes on busy ones."""
POLL_S = 0.25
LOG_TAIL_LINES = 15

_FLAGS = (
    "--device=cpu",
    "--dtype=float32",
    "--attention-backend=torch_native",
    "--disable-overlap-schedule",
    "--mem-fraction-static=0.3",
    "--max-total-tokens=65536",
    "--skip-server-warmup",
    "--sleep-on-idle",
    "--enable-metrics",
    "--enable-cache-report",
    "--constrained-json-disable-any-whitespace",
    "--host=127.0.0.1",
)
_WATCHED = 'exec 3<&0 </dev/null; "$@" 3<&- & engine=$!; (cat <&3; kill -KILL 0) & wait $engine'
"""Runs a command; kills its process group when standard input, a pipe that we hold, closes: however we end."""
_ENVIRONMENT = {
    "SGLANG_USE_CPU_ENGINE": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONWARNINGS": "ignore",
    "PYTHONDONTWRITEBYTECODE": "",
}
_ESCAPES = {ord(char): f"\\{char}" for char in r"\.^$*+?{}[]|()"} | {
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
}


class SglangInstall(msgspec.Struct, frozen=True):
    """What the installer left behind: its marker file, in the folder of the virtual environment."""

    version: str
    python: str
    model: str
    chat_template: str


def venv_folder() -> Path:
    """`$PASTE_SGLANG_VENV`, else `.venvs/sglang` beside the package, as in a clone, or in the working folder,
    for who installed the package elsewhere."""
    if given := os.environ.get(VENV_VARIABLE):
        return Path(given)
    beside = Path(__file__).resolve().parents[2] / ".venvs" / "sglang"
    return beside if beside.exists() else Path.cwd() / ".venvs" / "sglang"


def find_install(folder: Path | None = None) -> SglangInstall | None:
    """The installed engine, or None if there is none (then run `INSTALL_COMMAND`)."""
    marker = (folder or venv_folder()) / "paste-install.json"
    if not marker.exists():
        return None
    return msgspec.json.decode(marker.read_bytes(), type=SglangInstall)


class SglangServer:
    """`async with SglangServer(install, folder) as server:` runs an engine at `server.url` inside the block.

    Its log, `server.log`, and its temporary files go to `folder`. `max_running_requests` is the size of its
    batch, `tool_call_parser` the name of its parser; empty: it has none, and calls stay in the text. Raises
    `BackendUnreachableError` with the log's last lines if the engine does not get ready.
    """

    model = "tiny"
    """The name under which it serves its model."""

    def __init__(
        self,
        install: SglangInstall,
        folder: Path,
        *,
        max_running_requests: int = 16,
        tool_call_parser: str = "qwen",
        extra_args: Sequence[str] = (),
        ready_timeout_s: float = READY_TIMEOUT_S,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "sglang.log"
        parser = (f"--tool-call-parser={tool_call_parser}",) if tool_call_parser else ()
        flags = (f"--max-running-requests={max_running_requests}", *_FLAGS, *parser, *extra_args)
        self._command = _command(install, self.model, self.port, flags)
        self._ready_timeout_s = ready_timeout_s

    async def __aenter__(self) -> Self:
        with self.log.open("wb") as log:
            self._process = await _start(self._command, log, self.log.parent)
        try:
            async with asyncio.timeout(self._ready_timeout_s):
                await self._until_ready()
        except TimeoutError as error:
            await self._stop()
            raise self._failed(f"is not ready after {self._ready_timeout_s:.0f} s") from error
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _until_ready(self) -> None:
        async with aiohttp.ClientSession() as client:
            while not await _answers(client, f"{self.url}/ready"):
                if self._process.returncode is not None:
                    raise self._failed(f"ended with code {self._process.returncode}")
                await asyncio.sleep(POLL_S)

    async def _stop(self) -> None:
        """Kill the process group: scheduler and detokenizer are processes of their own.

        Asked to stop, SGLang drains for over 5 s; it has nothing to save.
        """
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    def _failed(self, what: str) -> BackendUnreachableError:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return BackendUnreachableError(f"SGLang {what}; its log {self.log} ends with:\n" + "\n".join(lines))


def saying(text: str) -> dict[str, Any]:
    """The fields of a chat request that make SGLang generate exactly `text`, token by token.

    A tool call in it (`call_markup`) is parsed by SGLang and streamed as `delta.tool_calls`, if the request
    also has `tools`; without a call the finish reason is `stop`. Where a stream's pieces run together on a busy
    machine, SGLang 0.5.23 passes the line break between two calls on as text: compare texts stripped.

    `text` must not be empty: SGLang takes an empty expression for none. The expression escapes what means
    something in it and no more, since the grammar engine (xgrammar 0.2.7) logs a line for each needless
    escape: `re.escape` makes one per space.
    """
    if not text:
        raise ValueError("text is empty: SGLang would generate freely")
    return {
        "regex": text.translate(_ESCAPES),
        "tool_choice": "auto",
        "temperature": 0,
        "max_tokens": len(text.encode()) + 1,  # a token is at least one byte; and the end
    }


def call_markup(name: str, arguments: str) -> str:
    """A tool call as the parser `qwen` reads it; `arguments` is JSON text."""
    return f'<tool_call>\n{{"name": {_json(name)}, "arguments": {arguments}}}\n</tool_call>'


def _json(text: str) -> str:
    return msgspec.json.encode(text).decode()


def free_port() -> int:
    """A port of the loopback that was free a moment ago: SGLang can't be asked which one it took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _command(install: SglangInstall, model: str, port: int, flags: Sequence[str]) -> list[str]:
    return [
        install.python,
        "-m",
        "sglang.launch_server",
        f"--model-path={install.model}",
        f"--chat-template={install.chat_template}",
        f"--served-model-name={model}",
        f"--port={port}",
        *flags,
    ]


async def _start(command: Sequence[str], log: IO[bytes], folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        _WATCHED,
        "sh",
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=log,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **_ENVIRONMENT, "TMPDIR": str(folder)},
        start_new_session=True,
    )


async def _answers(client: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with client.get(url) as response:
            return response.status == 200
    except aiohttp.ClientConnectionError:
        return False
