"""What we ask of, or tell, the backend on our own account: its kind, its parsers, and the end of a request."""

import asyncio
import logging

import aiohttp
import msgspec

from paste_proxy.backends.adapters import BY_KIND, OPENAI, SGLANG, Backend
from paste_proxy.backends.text import ModelInfo, ReplyText
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


class _Tokens(msgspec.Struct):
    content: list[msgspec.Raw] | None = None


class _Choice(msgspec.Struct):
    logprobs: _Tokens | None = None


class _Told(msgspec.Struct):
    choices: list[_Choice] = []


class Found(msgspec.Struct, frozen=True):
    """What is known of a backend; `info` is None where it says nothing of its parsers."""

    backend: Backend
    info: ModelInfo | None = None


async def detect_backend(session: aiohttp.ClientSession, config: BackendConfig) -> Found | None:
    """The backend's kind, as configured, else as it answers, and its parsers; None while it does not answer."""
    configured = BY_KIND.get(config.kind)
    if configured is not None and not configured.says_parsers:
        return Found(configured)
    for path in MODEL_INFO_PATHS:
        status, body = await _ask(session, config.url.rstrip("/") + path)
        if status == 0 or status >= 500:
            return None
        if status == 200 and (info := _model_info(body)) is not None:
            return Found(configured or SGLANG, info)
        if status in (401, 403):
            _wants_a_key(config, path)
            break
    return Found(configured or OPENAI)


def _wants_a_key(config: BackendConfig, path: str) -> None:
    if config.kind == "auto":
        advice = "served as plain openai; set backend.key, or backend.kind if it is SGLang"
    else:
        advice = "what parsers it runs is not known; see backend.key and backend.tool_format"
    log.warning("%s wants a key for %s: %s", config.url, path, advice)


async def _ask(session: aiohttp.ClientSession, url: str) -> tuple[int, bytes]:
    """Status and body; status 0 where there was no answer."""
    try:
        async with session.get(url, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=ASK_S)) as reply:
            return reply.status, await reply.read()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        log.debug("%s does not answer: %s", url, error)
        return 0, b""


async def why_no_tokens(session: aiohttp.ClientSession, config: BackendConfig) -> str:
    """Why a reply tells no tokens though it is asked to; empty where it does, or where only replies will show.

    Asks for a reply of one token. Some engines refuse (SGLang with UNO speculative decoding), and would refuse
    every request of a client to which the wish for log probabilities was added.
    """
    url = config.url.rstrip("/") + "/v1/chat/completions"
    body = {
        "model": "default",
        "messages": [{"role": "user", "content": "."}],
        "max_tokens": 1,
        "logprobs": True,
    }
    try:
        async with session.post(
            url, json=body, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=ASK_S)
        ) as reply:
            if reply.status in (401, 403, 404) or reply.status >= 500:
                return ""  # it wants a key, or another model's name, or is down
            if reply.status != 200:
                return f"the backend answers {reply.status} where log probabilities are asked for"
            return "" if _has_tokens(await reply.read()) else "log probabilities were asked for, and none came"
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        log.debug("%s does not answer: %s", url, error)
        return ""


def _has_tokens(body: bytes) -> bool:
    try:
        choices = msgspec.json.decode(body, type=_Told).choices
    except msgspec.DecodeError:
        return False
    return any(choice.logprobs is not None and choice.logprobs.content for choice in choices)


def _model_info(body: bytes) -> ModelInfo | None:
    try:
        return msgspec.json.decode(body, type=ModelInfo)
    except msgspec.DecodeError:
        return None


class BackendControl:
    """Knows the backend's kind as soon as it can be known, and aborts requests that nobody waits for."""

    def __init__(self, config: BackendConfig, key: str = "") -> None:
        """`key` goes with questions of our own. Raises `ConfigError` where a format is configured that is not
        known."""
        self.config = config
        self._key = key
        self._tasks = TaskSet()
        self._session: aiohttp.ClientSession | None = None
        self._watching: asyncio.Task[None] | None = None
        self.current: Backend = BY_KIND.get(config.kind, OPENAI)
        """Plain `openai` until the backend has answered."""
        self.known = config.kind == "openai" or not config.url
        self.text = ReplyText(config)
        if self.known:
            self.text.found(self.current, None)

    async def start(self) -> None:
        """Asks for kind and parsers. Waits for the answer a moment only; goes on asking in the background."""
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Authorization": f"Bearer {self._key}"} if self._key else None,
        )
        if not self.known and (watch := self._watch()) is not None:
            await asyncio.wait({watch}, timeout=FIRST_ASK_S)

    def doubt(self) -> None:
        """A request failed, or a reply was not what it should be: it may be another engine now. Asks again."""
        if self.current.says_parsers or not self.known:
            self._watch()

    async def close(self) -> None:
        await self._tasks.close()
        if self._session is not None:
            await self._session.close()

    def abort(self, rid: str, authorization: str) -> None:
        """Tells the backend, in the background, that nobody waits for `rid` any more.

        `authorization` is what the request itself was sent with; "": our own key, if any. Only ids of ours may
        be given, since a client could name another's request.
        """
        if self._session is not None and self.current.abort_path:
            self._tasks.spawn(self._abort(self._session, rid, authorization), name=f"abort of {rid}")

    def _watch(self) -> asyncio.Task[None] | None:
        if self._session is not None and (self._watching is None or self._watching.done()):
            self._watching = self._tasks.spawn(self._detect(self._session), name="backend detection")
        return self._watching

    async def _detect(self, session: aiohttp.ClientSession) -> None:
        attempt = 0
        while (found := await detect_backend(session, self.config)) is None:
            await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
            attempt += 1
        if not self.known:
            log.info("the backend at %s is %s", self.config.url, found.backend.name)
        self.current, self.known = found.backend, True
        self.text.found(found.backend, found.info)
        if self.text.tapped and (why := await why_no_tokens(session, self.config)):
            self.text.raw_tap_fails(why)

    async def _abort(self, session: aiohttp.ClientSession, rid: str, authorization: str) -> None:
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
            log.warning("abort of %s was not delivered: %s", rid, str(error) or type(error).__name__)
