"""Which client runs a tool that was wrapped in its own process? Data of the broker, as its clients said.

A tool that clients offer is one tool only if all clients of its tenant who offer it say the same of it: where
two differ, nothing tells whose a call in a stream is, so it is nobody's until one of them leaves.
"""

from collections.abc import Iterable, Mapping

import msgspec

from paste_proxy.tools.ports import RunContext
from paste_proxy.tools.spec import ToolSpec


class Offer(msgspec.Struct, frozen=True):
    tenant: str
    specs: Mapping[str, ToolSpec]


class Clients:
    """Bounded by the connections that there are, and by the sessions (`forget`)."""

    def __init__(self) -> None:
        self._offers: dict[str, Offer] = {}
        self._of_session: dict[str, str] = {}

    def offer(self, client: str, tenant: str, specs: Iterable[ToolSpec]) -> None:
        """From now on these, and no others, are the tools of `client`."""
        self._offers[client] = Offer(tenant, {spec.name: spec for spec in specs})

    def gone(self, client: str) -> None:
        self._offers.pop(client, None)
        for session in [one for one, whose in self._of_session.items() if whose == client]:
            del self._of_session[session]

    def tenants(self) -> list[str]:
        """In the order in which they came."""
        return list(dict.fromkeys(offer.tenant for offer in self._offers.values()))

    def agreed(self, tenant: str) -> tuple[ToolSpec, ...]:
        """The tools of the tenant's clients, without those on which they differ."""
        agreed: dict[str, ToolSpec] = {}
        contested: set[str] = set()
        for offer in self._offers.values():
            for name, spec in offer.specs.items() if offer.tenant == tenant else ():
                if agreed.setdefault(name, spec) != spec:
                    contested.add(name)
        return tuple(spec for name, spec in agreed.items() if name not in contested)

    def offers(self, client: str, tool: str) -> bool:
        return client in self._offers and tool in self._offers[client].specs

    def of(self, context: RunContext, tool: str) -> str:
        """The client that runs `tool` for the session: the one that called for it before, else the only one
        that could. "" where it can't be told."""
        known = self._of_session.get(context.session, "")
        if known:
            return known if self.offers(known, tool) else ""
        able = [
            client
            for client, offer in self._offers.items()
            if offer.tenant == context.tenant and tool in offer.specs
        ]
        return able[0] if len(able) == 1 else ""

    def bind(self, session: str, client: str) -> None:
        """A call of the session came from this client: its tools run there."""
        if session:
            self._of_session[session] = client

    def inherit(self, session: str, parent: str) -> None:
        """The session goes on from another, and so does its agent."""
        if parent in self._of_session:
            self._of_session.setdefault(session, self._of_session[parent])

    def forget(self, session: str) -> None:
        self._of_session.pop(session, None)
