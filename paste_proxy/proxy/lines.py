"""The backends as the LLM plane reaches them: to each a line, with its own connections, key and abilities."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import TypeAlias

from msgspec.structs import replace

from paste_proxy.access.access import Access, Tenant
from paste_proxy.backends import BackendControl
from paste_proxy.backends.health import Health
from paste_proxy.config import BackendConfig, Config
from paste_proxy.errors import BackendUnreachableError, ConfigError, PasteError
from paste_proxy.events import BackendDown, BackendTold, BackendUp, Event
from paste_proxy.proxy.connection import StaleConnectionError
from paste_proxy.proxy.headers import RequestHead
from paste_proxy.proxy.pool import NoUpstream, PooledUpstream
from paste_proxy.proxy.upstream import Upstream
from paste_proxy.schedule.backends import BackendCapacity
from paste_proxy.tasks import TaskSet

log = logging.getLogger(__name__)

WATCH_S = 3.0
"""So a backend that died unseen is down within ten seconds; what is asked costs an engine nothing."""
BUSY = frozenset({429, 503})
"""Says nothing of its health: it is there, and has enough to do."""

Tell: TypeAlias = Callable[[Event], object]


class Line:
    """To one backend."""

    def __init__(
        self, name: str, config: BackendConfig, key: str, access: Access, where: str, tell: Tell
    ) -> None:
        """`where` is the path of its section. Raises `ConfigError` where its URL, or a format, is none."""
        self.name = name
        self.upstream: Upstream = PooledUpstream(config, where) if config.url else NoUpstream()
        self.control = BackendControl(
            config,
            key,
            where=where,
            on_capacity=self._capable,
            on_load=lambda load: self._core(BackendTold(name, load)),
        )
        self.health = Health()
        self.draining = False
        self.capacity = BackendCapacity()
        self._core = tell
        self.key = key
        self._access = access
        self._looked_idle = False

    @property
    def serves(self) -> bool:
        return self.health.up and not self.draining

    def head_for(self, head: RequestHead, tenant: Tenant) -> RequestHead:
        """A request's head as it goes on to this backend."""
        key_header = self.control.current.key_header
        fields = self._access.forwarded(head.fields, tenant, head.target, key_header, self.key)
        return head if fields is head.fields else replace(head, fields=fields)

    # -- how it does --------------------------------------------------------------------------------------

    def failed(self, error: PasteError) -> None:
        """A request got no reply, or no whole one."""
        self.control.doubt()
        if not isinstance(error, StaleConnectionError) and self.health.failed(error.message):
            self._tell()

    def answered(self, status: int) -> None:
        if status in BUSY:
            return
        if self.health.erred(status) if status >= 500 else self.health.answered():
            self._tell()

    async def probe(self) -> None:
        alive = await self.control.is_alive()
        if self.control.no_llm:
            changed = self.health.ruled_out("it seems to be no LLM server")
        else:
            changed = self.health.answered(probe=True) if alive else self.health.failed("it does not answer")
        if changed:
            self._tell()

    async def is_gone(self) -> bool:
        """Nobody listens at its address, so that nobody works there either."""
        try:
            connection = await self.upstream.open()
        except BackendUnreachableError as error:
            return isinstance(error.__cause__, ConnectionRefusedError)
        except PasteError:
            return False
        connection.close()
        return False

    def _tell(self) -> None:
        if self.health.up:
            log.info("backend %s is up again", self.name or "at " + self.control.config.url)
        else:
            log.warning(
                "backend %s is down: %s", self.name or "at " + self.control.config.url, self.health.reason
            )
        self._tell_core()

    def _capable(self, capacity: BackendCapacity) -> None:
        """More is known of what it can do."""
        self.capacity = capacity
        if self.health.up:
            self._tell_core()

    def _tell_core(self) -> None:
        """The core knows of one alone, too, and goes on trying it."""
        self._core(BackendUp(self.name, self.capacity) if self.health.up else BackendDown(self.name))

    def replaces(self, other: "Line") -> None:
        """It has the name of another, and begins anew: the core may know that one as down, or as busy."""
        self.draining = other.draining
        if other.control.config.url == self.control.config.url:
            self.capacity = other.capacity
        self._core(BackendTold(self.name, None))
        self._tell_core()

    def retire(self) -> None:
        """Nothing new goes there, and nothing is told of it any more; what runs there comes to its end."""
        self._core = lambda _: None
        self.control.rest()

    def has_ended(self) -> bool:
        """Nothing runs there, as when it was asked before: who has just left may have a turn aborted."""
        was_idle, self._looked_idle = self._looked_idle, not (self.upstream.live or self.control.is_busy)
        return was_idle and self._looked_idle

    async def close(self) -> None:
        await self.upstream.close()
        await self.control.close()


class Lines:
    """One or several; the first is there always."""

    def __init__(self, config: Config, access: Access, tell: Tell) -> None:
        """`tell`: the core hears from them what they can do and how they are. Raises `ConfigError`."""
        self._access = access
        self._core = tell
        self._tasks = TaskSet()
        self._started = False
        self._lines: dict[str, Line] = {}
        self._retired: list[Line] = []
        """They have been replaced or removed. What still runs there may have to be aborted."""
        self.prepare(config)()

    async def start(self) -> None:
        """Gives each a moment to say what it is."""
        self._started = True
        await asyncio.gather(*(line.control.start() for line in self))
        if len(self) > 1:
            await asyncio.gather(*(line.probe() for line in self if line.control.no_llm))
        self._tasks.spawn(self._watch(), name="watch of the backends")

    async def close(self) -> None:
        await self._tasks.close()
        for line in (*self, *self._retired):
            await line.close()

    @property
    def retired(self) -> int:
        """How many have been replaced or removed, and have not ended."""
        return len(self._retired)

    async def _watch(self) -> None:
        """Asks several every few seconds whether they are there, so that no request must find out. One alone is
        left in peace: there is no choice to make."""
        while True:
            await asyncio.sleep(WATCH_S)
            for line in [line for line in self._retired if line.has_ended()]:
                self._retired.remove(line)
                await line.close()
            if len(self) > 1:
                await asyncio.gather(*(line.probe() for line in self))

    def prepare(self, config: Config) -> Callable[[], None]:
        """What makes these all that there are; nothing has changed yet. Raises `ConfigError`."""
        keys = self._access.backend_keys(config)
        lines = {
            name: self._same(name, one, keys[name])
            or Line(name, one, keys[name], self._access, config.key_of(name), self._core)
            for name, one in config.all_backends.items()
        }
        _check_distinct(config, lines)

        def take() -> None:
            old, self._lines = self._lines, lines
            for name, line in lines.items():
                if line is not old.get(name):
                    if name in old:
                        line.replaces(old[name])
                    if self._started:
                        self._tasks.spawn(line.control.start(), name=f"start of backend {name}")
            for name, line in old.items():
                if line is not lines.get(name):
                    line.retire()
                    self._retired.append(line)

        return take

    def _same(self, name: str, config: BackendConfig, key: str) -> Line | None:
        """The line that is there, where nothing of it changed."""
        line = self._lines.get(name)
        same = line is not None and (line.control.config, line.key) == (config, key)
        return line if same else None

    def __iter__(self) -> Iterator[Line]:
        return iter(list(self._lines.values()))

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, name: str) -> Line:
        """One that serves where there is none of that name: it has gone."""
        return self._lines.get(name) or self.serving

    @property
    def first(self) -> Line:
        return next(iter(self))

    @property
    def serving(self) -> Line:
        """The first that is well."""
        return next((line for line in self if line.serves), self.first)


def _check_distinct(config: Config, lines: dict[str, Line]) -> None:
    """One server under two names would be held for two engines, each with a memory and slots of its own."""
    known: dict[tuple[str, int, str], str] = {}
    for name, line in lines.items():
        other = known.setdefault(line.upstream.address, name)
        if other != name:
            key = f"{config.key_of(name)}.url"
            raise ConfigError(
                f"{key}: {line.control.config.url} is the address of {config.key_of(other)}, too: "
                "one server is one backend; correct the url, or delete one of the two",
                param=key,
            )
