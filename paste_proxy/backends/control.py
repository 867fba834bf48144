"""What we ask of, or tell, the backend on our own account: its kind, and the end of a request."""

import asyncio
import logging

import aiohttp
import msgspec

from paste_proxy.backends.adapters import BY_KIND, OPENAI, SGLANG, Backend
from paste_proxy.config import BackendConfig
from paste_proxy.tasks import TaskSet

log = logging.getLogger(__name__)

MODEL_INFO_PATHS = ("/model_info", "/get_model_info")
"""SGLang's own; the second is the name it had until 0.5.x, deprecated and still answered."""
ASK_S = 5.0
"""For one question: a server that is up answers at once, one that loads a model not at all."""
FIRST_ASK_S = 1.0
"""How long a start waits for the first answer: a healthy backend on a network needs a few milliseconds."""
RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Between questions to a backend that is not up; the last one repeats. Engines load for minutes."""
ABORT_S = 5.0
"""SGLang's own router gives an abort as long; it is best effort."""


class _ModelInfo(msgspec.Struct):
    model_path: str


async def detect_backend(session: aiohttp.ClientSession, config: BackendConfig) -> Backend | None:
    """The backend's kind: as configured, else as it answers; None while it does not answer."""
    if config.kind != "auto":
        return BY_KIND[config.kind]
    for path in MODEL_INFO_PATHS:
        status, body = await _ask(session, config.url.rstrip("/") + path)
        if status == 0 or status >= 500:
            return None
        if status == 200 and _is_model_info(body):
            return SGLANG
        if status in (401, 403):
            log.warning(
                "%s wants a key for %s: served as plain openai; set backend.kind if it is SGLang",
                config.url,
                path,
            )
            return OPENAI
    return OPENAI


async def _ask(session: aiohttp.ClientSession, url: str) -> tuple[int, bytes]:
    """Status and body; status 0 where there was no answer."""
    try:
        async with session.get(url, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=ASK_S)) as reply:
            return reply.status, await reply.read()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        log.debug("%s does not answer: %s", url, error)
        return 0, b""


def _is_model_info(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=_ModelInfo)
    except msgspec.DecodeError:
        return False
    return True


class BackendControl:
    """Knows the backend's kind as soon as it can be known, and aborts requests that nobody waits for."""

    def __init__(self, config: BackendConfig) -> None:
        self.config = config
        self._tasks = TaskSet()
        self._session: aiohttp.ClientSession | None = None
        self.current: Backend = BY_KIND.get(config.kind, OPENAI)
        """Plain `openai` until the backend has answered."""
        self.known = config.kind != "auto" or not config.url

    async def start(self) -> None:
        """Asks for the kind. Waits for the answer a moment only; goes on asking in the background."""
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        if not self.known:
            watch = self._tasks.spawn(self._watch(self._session), name="backend detection")
            await asyncio.wait({watch}, timeout=FIRST_ASK_S)

    async def close(self) -> None:
        await self._tasks.close()
        if self._session is not None:
            await self._session.close()

    def abort(self, rid: str, authorization: str | None) -> None:
        """Tells the backend, in the background, that nobody waits for `rid` any more.

        `authorization` is the client's: it belongs to the backend. Only ids of ours may be given, since
        a client could name another's request.
        """
        if self._session is not None and self.current.abort_path:
            self._tasks.spawn(self._abort(self._session, rid, authorization), name=f"abort of {rid}")

    async def _watch(self, session: aiohttp.ClientSession) -> None:
        attempt = 0
        while (found := await detect_backend(session, self.config)) is None:
            await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
            attempt += 1
        self.current, self.known = found, True
        log.info("the backend at %s is %s", self.config.url, found.name)

    async def _abort(self, session: aiohttp.ClientSession, rid: str, authorization: str | None) -> None:
        url = self.config.url.rstrip("/") + self.current.abort_path
        headers = {"Authorization": authorization} if authorization else {}
        timeout = aiohttp.ClientTimeout(total=ABORT_S)
        try:
            async with session.post(
                url, json={"rid": rid}, headers=headers, timeout=timeout, allow_redirects=False
            ) as reply:
                if reply.status >= 400:
                    log.warning("abort of %s: the backend answered %d", rid, reply.status)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("abort of %s was not delivered: %s", rid, error)
