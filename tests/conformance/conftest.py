"""One real SGLang for all tests of this folder, with the proxy in front of it."""

import os
from collections.abc import AsyncIterator

import openai
import pytest
import pytest_asyncio

from paste_proxy.lab.sglang_server import INSTALL_COMMAND, SglangServer, find_install, venv_folder
from tests.conformance.support import environment_url, serving


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The engine's URL. Its batch holds four requests, so that a fifth one waits in its queue."""
    if url := environment_url():
        yield url
        return
    install = find_install()
    if install is None:
        pytest.skip(f"no SGLang in {venv_folder()}; to install it: {INSTALL_COMMAND}")
    async with SglangServer(install, tmp_path_factory.mktemp("sglang"), max_running_requests=4) as server:
        yield server.url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pythonic_engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Another one, whose parser is `pythonic`: it holds a call back until all calls are complete."""
    if url := os.environ.get("PASTE_SGLANG_PYTHONIC_URL"):
        yield url
        return
    install = find_install()
    if install is None:
        pytest.skip(f"no SGLang in {venv_folder()}; to install it: {INSTALL_COMMAND}")
    async with SglangServer(
        install,
        tmp_path_factory.mktemp("pythonic"),
        tool_call_parser="pythonic",
        extra_args=("--enable-response-store",),
    ) as server:
        yield server.url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def proxy(engine: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The URL of a proxy in front of the engine."""
    async with serving(engine, tmp_path_factory.mktemp("proxy")) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="session")
async def client(proxy: str) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official SDK, pointed at the proxy; it must not hide a failure by trying again."""
    async with openai.AsyncOpenAI(base_url=f"{proxy}/v1", api_key="unused", max_retries=0) as sdk:
        yield sdk


@pytest_asyncio.fixture(loop_scope="session")
async def direct(engine: str) -> AsyncIterator[openai.AsyncOpenAI]:
    """The same, pointed at the engine: what the proxy's answers are compared with."""
    async with openai.AsyncOpenAI(base_url=f"{engine}/v1", api_key="unused", max_retries=0) as sdk:
        yield sdk
