"""Is there anybody at the backends\' addresses? Asked at the start, and by `/paste/ready`."""

import asyncio
import logging
from collections.abc import Callable
from urllib.parse import urlsplit

from paste_proxy.config import BackendConfig, Config
from paste_proxy.connection_words import why_no_answer
from paste_proxy.errors import BackendUnreachableError

log = logging.getLogger(__name__)

RETRY_S = 1.0
"""Between attempts while waiting: an engine loads its model for minutes."""
FRESH_S = 1.0
"""How long an answer holds: probes come every few seconds, and who floods us with them floods no backend."""
PROBE_TIMEOUT_S = 0.8
"""Less than the second that Kubernetes' probes wait: who is still asked then looks down himself."""


async def reach_backends(config: Config) -> None:
    """Returns once one of them accepts a connection: others may come later. Raises `BackendUnreachableError`
    where none has after the longest `wait_s`."""
    backends = {config.key_of(name): one for name, one in config.all_backends.items()}
    longest = max(one.wait_s for one in backends.values())
    give_up = asyncio.get_running_loop().time() + longest
    is_told = False
    while True:
        failures = await asyncio.gather(*(_failure(one, where) for where, one in backends.items()))
        if None in failures:
            return
        if asyncio.get_running_loop().time() >= give_up:
            raise next(filter(None, failures))
        if not is_told:
            is_told = True
            addresses = ", ".join(one.url for one in backends.values())
            log.info("waiting for %s for up to %g s", addresses, longest)
        await asyncio.sleep(RETRY_S)


async def _failure(config: BackendConfig, where: str) -> BackendUnreachableError | None:
    try:
        await _connect(config, config.connect_timeout_s)
    except OSError as error:
        reason = _reason(error, config.url, where)
        return BackendUnreachableError(
            f"the backend at {config.url} can't be reached: {reason}; start it first, "
            f"or have the proxy wait for it with {where}.wait_s or --wait",
            param=f"{where}.url",
        )
    return None


class Reachability:
    """Whether a backend accepts connections, for probes that come as they like."""

    def __init__(self, config: Config, now: Callable[[], float]) -> None:
        self.take(config)
        self._now = now
        self._asking = asyncio.Lock()
        self._at = float("-inf")
        self._up = False

    def take(self, config: Config) -> None:
        self._backends = tuple(config.all_backends.values())

    async def is_any_up(self) -> bool:
        async with self._asking:
            if self._now() - self._at >= FRESH_S:
                self._up = any(await asyncio.gather(*map(_accepts, self._backends)))
                self._at = self._now()
            return self._up


async def _accepts(config: BackendConfig) -> bool:
    try:
        await _connect(config, PROBE_TIMEOUT_S)
    except OSError:
        return False
    return True


async def _connect(config: BackendConfig, timeout_s: float) -> None:
    url = urlsplit(config.url)
    port = url.port or (443 if url.scheme == "https" else 80)
    async with asyncio.timeout(timeout_s):
        _, writer = await asyncio.open_connection(url.hostname, port)
    writer.close()


def _reason(error: OSError, url: str, where: str) -> str:
    if isinstance(error, TimeoutError):
        return f"no connection within {where}.connect_timeout_s"
    return why_no_answer(error, url)
