"""The backends as the LLM plane reaches them: to each a line, with its own connections, key and abilities."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from msgspec.structs import replace

from paste_proxy.access.access import Access, Tenant
from paste_proxy.backends import BackendControl
from paste_proxy.config import BackendConfig, Config
from paste_proxy.events import BackendTold, BackendUp, Event
from paste_proxy.proxy.headers import RequestHead
from paste_proxy.proxy.pool import NoUpstream, PooledUpstream
from paste_proxy.proxy.upstream import Upstream

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
            on_capacity=lambda capacity: tell(BackendUp(name, capacity)),
            on_load=lambda load: tell(BackendTold(name, load)),
        )
        self._key = key
        self._access = access

    def head_for(self, head: RequestHead, tenant: Tenant) -> RequestHead:
        """A request's head as it goes on to this backend."""
        key_header = self.control.current.key_header
        fields = self._access.forwarded(head.fields, tenant, head.target, key_header, self._key)
        return head if fields is head.fields else replace(head, fields=fields)

    async def close(self) -> None:
        await self.upstream.close()
        await self.control.close()


class Lines:
    """One or several; the first is there always."""

    def __init__(self, config: Config, access: Access, tell: Tell) -> None:
        """`tell`: the core hears from them what they can do and how busy they are. Raises `ConfigError`."""
        self._lines = {
            name: Line(name, one, access.backend_keys[name], access, config.key_of(name), tell)
            for name, one in config.all_backends.items()
        }

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines.values())

    @property
    def first(self) -> Line:
        return next(iter(self))

    def __getitem__(self, name: str) -> Line:
        """The first where there is none of that name: it has gone, or nobody chose."""
        return self._lines.get(name) or self.first
