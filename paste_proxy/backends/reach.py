"""Is there anybody at the backend's address? Asked once, at the start."""

import asyncio
from urllib.parse import urlsplit

from paste_proxy.config import BackendConfig
from paste_proxy.errors import BackendUnreachableError

RETRY_S = 1.0
"""Between attempts while waiting: an engine loads its model for minutes."""


async def reach_backend(config: BackendConfig) -> None:
    """Returns once the backend accepts a connection. Raises `BackendUnreachableError` after `config.wait_s`."""
    give_up = asyncio.get_running_loop().time() + config.wait_s
    while True:
        try:
            await _connect(config)
        except OSError as error:
            if asyncio.get_running_loop().time() >= give_up:
                raise BackendUnreachableError(
                    f"the backend at {config.url} can't be reached: {_reason(error)}; start it first, or have "
                    "the proxy wait for it with backend.wait_s or --wait",
                    param="backend.url",
                ) from error
            await asyncio.sleep(RETRY_S)
        else:
            return


async def _connect(config: BackendConfig) -> None:
    url = urlsplit(config.url)
    port = url.port or (443 if url.scheme == "https" else 80)
    async with asyncio.timeout(config.connect_timeout_s):
        _, writer = await asyncio.open_connection(url.hostname, port)
    writer.close()


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no connection within backend.connect_timeout_s"
    return error.strerror or str(error)
