"""Questions to a backend on our own account: short, of bounded answers, and never raising."""

import logging
from typing import Any

import aiohttp
import msgspec

from paste_proxy.config import BackendConfig
from paste_proxy.connection_words import why_no_answer

log = logging.getLogger(__name__)

ASK_S = 5.0
"""For one question: a server that is up answers at once, one that loads a model not at all."""
ANSWER_BYTES = 8 * 1024 * 1024
"""Of an answer no more is read: the metrics of a large deployment are a MiB."""


class Answer(msgspec.Struct, frozen=True):
    """Status 0 where there was no answer, or none within the bounds."""

    status: int
    body: bytes = b""
    why: str = ""
    """There was none."""

    @property
    def down(self) -> bool:
        """Nobody is there, or nobody who can answer yet."""
        return self.status == 0 or self.status >= 500

    @property
    def wants_key(self) -> bool:
        return self.status in (401, 403)


class Asker:
    """Asks one backend. `session` carries our key for it, if there is one."""

    def __init__(self, session: aiohttp.ClientSession, config: BackendConfig) -> None:
        self._session = session
        self._base = config.url.rstrip("/")

    async def get(self, path: str, patience_s: float = 0.0) -> Answer:
        """`patience_s`: for what is known to take longer than a question does."""
        return await self._ask("GET", path, None, patience_s)

    async def post(self, path: str, body: dict[str, Any]) -> Answer:
        return await self._ask("POST", path, body)

    async def _ask(
        self, method: str, path: str, body: dict[str, Any] | None, patience_s: float = 0.0
    ) -> Answer:
        timeout = aiohttp.ClientTimeout(total=max(ASK_S, patience_s))
        try:
            async with self._session.request(
                method, self._base + path, json=body, allow_redirects=False, timeout=timeout
            ) as reply:
                return Answer(reply.status, await _bounded(reply.content))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            why = why_no_answer(error, self._base)
            log.debug("%s%s does not answer: %s", self._base, path, why)
            return Answer(0, why=why)


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    """Raises `ValueError` where it is longer than any answer is."""
    parts: list[bytes] = []
    left = ANSWER_BYTES
    async for part in content.iter_any():
        left -= len(part)
        if left < 0:
            raise ValueError(f"longer than {ANSWER_BYTES} bytes")
        parts.append(part)
    return b"".join(parts)
