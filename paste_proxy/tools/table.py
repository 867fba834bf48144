"""The tools that there are, by name: plugins' from the start, servers' and clients' as they come.

A mapping that is read live: whoever holds it sees what is there now. Each tool belongs to the source that
offered it, and a source offers all of its tools at once, so that what is no longer offered is gone.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from paste_proxy.tools.spec import ToolSpec

PLUGINS = "plugins"
"""The source of the tools that this process runs itself."""


CLIENT = "client"
"""The kind of source that tools have which are wrapped in the processes of agents, one for each tenant."""


def client_source(tenant: str) -> str:
    return f"{CLIENT}:{tenant}"


def is_client(source: str) -> bool:
    return source.startswith(f"{CLIENT}:")


class Offered(msgspec.Struct, frozen=True):
    """What came of an offer."""

    changed: frozenset[str]
    """Names whose tool is another now, or gone: what was known of it says nothing of the new one."""
    refused: frozenset[str]
    """Names that another source has already. They stay its own; those of clients go to the operator's tools."""


class ToolTable(Mapping[str, ToolSpec]):
    def __init__(self, plugins: Mapping[str, ToolSpec] | None = None) -> None:
        self._specs: dict[str, ToolSpec] = {}
        self._source: dict[str, str] = {}
        self.version = 0
        """Moves on with every change, so that what is derived from the table can be kept until then."""
        self.offer(PLUGINS, (plugins or {}).values())

    def __getitem__(self, name: str) -> ToolSpec:
        return self._specs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)

    def source(self, name: str) -> str:
        """Who offered the tool; "" where there is none."""
        return self._source.get(name, "")

    def is_leased(self, name: str) -> bool:
        """Whether it runs in the process of a client: nobody else can call it."""
        return is_client(self.source(name))

    def serves(self, name: str, tenant: str, client: str = "") -> bool:
        """Whether there is such a tool for the tenant, called by `client`, or with "" over the gateway."""
        leased = self.is_leased(name)
        return name in self._specs and leased == bool(client) and (not leased or self.is_of(name, tenant))

    def is_of(self, name: str, tenant: str) -> bool:
        """Whether the tenant's requests may mean it."""
        return self.source(name) == client_source(tenant) if self.is_leased(name) else name in self._specs

    def is_taken(self, name: str, source: str) -> bool:
        """Whether it is another source's to keep. Clients keep no name from the operator's tools."""
        owner = self._source.get(name, source)
        return owner != source and (is_client(source) or not is_client(owner))

    def listed(self) -> list[ToolSpec]:
        """Those that the gateway can run."""
        return [spec for name, spec in self._specs.items() if not self.is_leased(name)]

    def offer(self, source: str, specs: Iterable[ToolSpec]) -> Offered:
        """From now on these, and no others, are the tools of `source`."""
        offered = {spec.name: spec for spec in specs}
        refused = frozenset(name for name in offered if self.is_taken(name, source))
        former = {name: self._specs[name] for name, owner in self._source.items() if owner == source}
        changed = frozenset(name for name, spec in former.items() if offered.get(name) != spec)
        changed |= {
            name for name in offered if self._source.get(name, source) != source and name not in refused
        }
        for name in former.keys() - offered.keys():
            del self._specs[name], self._source[name]
        for name, spec in offered.items():
            if name not in refused:
                self._specs[name], self._source[name] = spec, source
        self.version += 1
        return Offered(changed, refused)
