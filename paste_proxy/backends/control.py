"""What we ask of, or tell, the backend on our own account: its kind, what it can do, its load, and the end of a
request or session."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import aiohttp

from paste_proxy.backends.abilities import NO_ABILITIES, Abilities, find_abilities
from paste_proxy.backends.adapters import BY_KIND, OPENAI, Backend
from paste_proxy.backends.asking import Asker
from paste_proxy.backends.detection import detect_backend, why_no_tokens
from paste_proxy.backends.poller import LoadPoller
from paste_proxy.backends.reading import Reading
from paste_proxy.backends.text import ReplyText
from paste_proxy.config import BackendConfig
from paste_proxy.connection_words import why_no_answer
from paste_proxy.grammar.apis import Api
from paste_proxy.schedule.backends import BackendCapacity, BackendLoad
from paste_proxy.tasks import TaskSet

log = logging.getLogger(__name__)

FIRST_ASK_S = 1.0
"""How long a start waits for the first answer: a healthy backend on a network needs a few milliseconds."""
RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Between questions to a backend that is not up; the last one repeats. Engines load for minutes."""
LOOK_AGAIN_S = 30.0
"""At what seems to be no LLM server: who corrects that starts another server, which takes longer."""
TELL_S = 5.0
"""For an abort, as long as SGLang's own router gives one, or the end of a session. Both are best effort."""


class BackendControl:
    """Knows what the backend is as soon as it can be known, and tells it what nobody waits for any more.

    `on_capacity` and `on_load` hear what it says of itself; None is a load that is not known any more.
    """

    def __init__(
        self,
        config: BackendConfig,
        key: str = "",
        *,
        where: str = "backend",
        on_capacity: Callable[[BackendCapacity], object] = lambda _: None,
        on_load: Callable[[BackendLoad | None], object] = lambda _: None,
    ) -> None:
        """`key` goes with questions of our own; `where` is the path of its section. Raises `ConfigError` where
        a format is configured that is not known."""
        self.config = config
        self._where = where
        self._key = key
        self._on_capacity = on_capacity
        self._on_load = on_load
        self._tasks = TaskSet()
        self._session: aiohttp.ClientSession | None = None
        self._watching: asyncio.Task[None] | None = None
        self._polling: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._silent = False
        self._rests = False
        self.poller: LoadPoller | None = None
        self.current: Backend = BY_KIND.get(config.kind, OPENAI)
        """Plain `openai` until the backend has answered."""
        self.abilities = NO_ABILITIES
        self.no_llm = ""
        """Why it seems to be no LLM server."""
        self.load: BackendLoad | None = None
        """As it told last; None: it does not."""
        self.known = config.kind == "openai" or not config.url
        self.text = ReplyText(config)
        if self.known:
            self.text.found(self.current, None)

    async def start(self) -> None:
        """Asks what it is. Waits for the answer a moment only; goes on asking in the background."""
        if self._rests:
            return
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Authorization": f"Bearer {self._key}"} if self._key else None,
        )
        if not self.known and (watch := self._watch()) is not None:
            await asyncio.wait({watch}, timeout=FIRST_ASK_S)

    async def is_alive(self) -> bool:
        """It answers, and not that it can't serve."""
        if self._session is None:
            return False
        answer = await Asker(self._session, self.config).get(self.current.probe_path)
        return not answer.down

    def doubt(self) -> None:
        """A request failed, or a reply was not what it should be: it may be another engine now. Asks again."""
        if self.current.says_parsers or self.current.info_paths or not self.known:
            self._watch()

    @property
    def is_busy(self) -> bool:
        """Something is asked or told."""
        return bool(len(self._tasks))

    def rest(self) -> None:
        """Asks no more; requests that are under way may still be aborted."""
        self._rests = True
        for task in (self._watching, self._polling, self._looking):
            if task is not None:
                task.cancel()

    async def close(self) -> None:
        await self._tasks.close()
        if self._session is not None:
            await self._session.close()

    # -- what it is -----------------------------------------------------------------------------------------

    def _watch(self) -> asyncio.Task[None] | None:
        if self._session is None or self._rests:
            return None
        if self._watching is None or self._watching.done():
            asker = Asker(self._session, self.config)
            self._watching = self._tasks.spawn(self._detect(asker), name="backend detection")
        return self._watching

    async def _detect(self, asker: Asker) -> None:
        attempt = 0
        while (found := await detect_backend(asker, self.config)) is None:
            await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
            attempt += 1
        if not self.known:
            log.info("the backend at %s is %s", self.config.url, found.backend.name)
        if found.backend is not self.current:
            self.abilities = NO_ABILITIES
        self.current, self.known = found.backend, True
        self.text.found(found.backend, found.info)
        self._doubt_llm(found.no_llm)
        self._poll(asker)
        self._take(await find_abilities(asker, found.backend, self.config))
        if self.text.tapped and (why := await why_no_tokens(asker)):
            self.text.raw_tap_fails(why)

    def _doubt_llm(self, no_llm: str) -> None:
        """Requests go there all the same: it may be started behind what answers now, and is looked for."""
        if no_llm and not self.no_llm:
            log.warning(
                "the backend at %s seems to be no LLM server: %s; is %s.url right? Turns will fail there",
                self.config.url,
                no_llm,
                self._where,
            )
        elif self.no_llm and not no_llm:
            log.info("the backend at %s is an LLM server now", self.config.url)
        self.no_llm = no_llm
        if no_llm:
            self._looking = self._tasks.spawn(self._look_again(), name=f"another look at {self.config.url}")

    async def _look_again(self) -> None:
        await asyncio.sleep(LOOK_AGAIN_S)
        self._watch()

    def _take(self, abilities: Abilities) -> None:
        if abilities.band != self.abilities.band:
            log.info("%s: priorities are %s", self.config.url, _told(abilities))
        self.abilities = abilities
        self._on_capacity(abilities.capacity)
        if abilities.reading is not None:
            self._loaded(abilities.reading.load)

    def _poll(self, asker: Asker) -> None:
        """As its kind tells its load, and as long as it is of that kind."""
        sources = self.current.loads if self.config.load_poll_s else ()
        if self.poller is not None and self.poller.sources == sources:
            return
        if self._polling is not None:
            self._polling.cancel()
            self._polling = self.poller = None
        if sources:
            self.poller = LoadPoller(asker, sources, self.config.load_poll_s, self._heard)
            self._polling = self._tasks.spawn(self.poller.run(), name=f"load of {self.config.url}")

    def _heard(self, reading: Reading | None) -> None:
        """One that tells again after a silence may have been started anew, in another way."""
        if reading is not None and self._silent:
            self.doubt()
        self._silent = reading is None
        self._loaded(reading.load if reading is not None else None)

    def _loaded(self, load: BackendLoad | None) -> None:
        self.load = load
        self._on_load(load)

    # -- what it is told ------------------------------------------------------------------------------------

    def abort(self, api: Api, rid: str, authorization: str) -> None:
        """Tells the backend, in the background, that nobody waits for `rid` any more.

        `authorization` is what the request itself was sent with; "": our own key, if any. Only ids of ours may
        be given, since a client could name another's request.
        """
        kind = self.current
        name = kind.abort_names.get(api)
        told: dict[str, Any] = {kind.abort_key: [name.format(rid)] if name else rid}
        self._tell(self.abort_path, told, authorization, f"abort of {rid}")

    @property
    def abort_path(self) -> str:
        """Where a request is ended by its id; "": nowhere."""
        return self.abilities.abort_path if self.current.abort_if_there else self.current.abort_path

    @property
    def lower_first(self) -> bool:
        """How it counts priorities."""
        band = self.abilities.band
        return self.current.lower_first if band is None else band.soonest < band.latest

    def session_over(self, session: str) -> bool:
        """What the backend keeps for `session` may go. False where it can't be told: it may be another engine
        by now, or have been removed."""
        if not self.abilities.session_radix:
            return False
        path = self.current.session_end_path
        return self._tell(path, {"session_id": session}, "", f"end of session {session}")

    def _tell(self, path: str, told: dict[str, Any], authorization: str, what: str) -> bool:
        """True where it is on its way."""
        if self._session is None or self._session.closed or not path:
            return False
        self._tasks.spawn(self._post(self._session, path, told, authorization, what), name=what)
        return True

    async def _post(
        self, session: aiohttp.ClientSession, path: str, told: dict[str, Any], authorization: str, what: str
    ) -> None:
        url = self.config.url.rstrip("/") + path
        # A storm of aborts would leave a storm of connections: the polls would use each in turn, and keep them.
        headers = {"Connection": "close"} | ({"Authorization": authorization} if authorization else {})
        timeout = aiohttp.ClientTimeout(total=TELL_S)
        try:
            async with session.post(
                url, json=told, headers=headers, timeout=timeout, allow_redirects=False
            ) as reply:
                if reply.status >= 400:
                    log.warning("%s: the backend answered %d", what, reply.status)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("%s was not delivered: %s", what, why_no_answer(error))


def _told(abilities: Abilities) -> str:
    band = abilities.band
    if band is None:
        return f"not used: {abilities.why_no_band}"
    return f"sent, from {band.latest} (latest) to {band.soonest} (soonest)"
