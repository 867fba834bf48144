"""Tools that come and go while the proxy runs: what their source says of them, and what the operator adds.

A source offers all that it has at once. Clients of one tenant are one source, whose tools are those of which
they say the same.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from paste_proxy.broker.broker import Broker
from paste_proxy.client_tools import EVERYTHING
from paste_proxy.config import SpeculationConfig
from paste_proxy.events import ClientOffered
from paste_proxy.schedule.queue import JointQueue
from paste_proxy.tools.paging import held_back
from paste_proxy.tools.spec import ToolSpec
from paste_proxy.tools.table import ToolTable, client_source, is_client


class Offering:
    def __init__(
        self, tools: ToolTable, speculation: SpeculationConfig, broker: Broker, queue: JointQueue
    ) -> None:
        self._tools = tools
        self._broker = broker
        self._queue = queue
        self._network = frozenset(speculation.network)
        """Tools that reach a network, as the operator says, whoever offers them."""
        self._inert = {tool: frozenset(one) for tool, one in speculation.inert.items()}
        """Arguments without influence, as the operator says. Of wrapped tools clients say it, who compare."""
        self._pages = frozenset(speculation.pages)

    def tools_offered(self, source: str, offered: Iterable[ToolSpec], now: float) -> None:
        """What is not among them is gone; what ran ahead with a tool that is another one now is void."""
        specs = [self._as_held(spec, source) for spec in offered]
        taken = self._tools.offer(source, specs)
        for tool in taken.changed:
            self._broker.tool_changed(tool, now)
        for spec in specs:
            if spec.name not in taken.refused:
                self._broker.permits.offered(spec)
        self._queue.look_again()

    def _as_held(self, spec: ToolSpec, source: str) -> ToolSpec:
        inert = frozenset[str]() if is_client(source) else self._inert.get(spec.name, frozenset())
        network = spec.network or spec.name in self._network
        return held_back(replace(spec, network=network, inert=spec.inert | inert), self._pages)

    def client_offered(self, event: ClientOffered, now: float) -> None:
        """The writes that it ran while nobody could hear of them were made at some moment before this."""
        self._broker.clients.offer(event.client, event.tenant, event.specs)
        self._take_clients_tools(self._broker.clients.tenants(), now)
        for tool in event.ran:
            scopes = self._tools[tool].writes if self._tools.is_of(tool, event.tenant) else EVERYTHING
            self._broker.begin_write(scopes, now)
            self._broker.end_write(scopes, now)

    def client_gone(self, client: str, now: float) -> None:
        tenants = self._broker.clients.tenants()
        self._broker.client_gone(client, now)
        self._take_clients_tools(tenants, now)

    def _take_clients_tools(self, tenants: Iterable[str], now: float) -> None:
        """All tenants' anew: a name that one gives up may be another's from now on."""
        for tenant in tenants:
            self.tools_offered(client_source(tenant), self._broker.clients.agreed(tenant), now)
