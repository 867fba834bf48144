"""One MCP server of the configuration: its sessions, kept open, and the tools that it offers.

Authoritative calls have one session. Runs ahead have another one, where the operator has said that the server
is not stateful; so nothing that runs ahead can show in what the agent's own calls return.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from paste_proxy.config_mcp import McpServerConfig
from paste_proxy.tasks import TaskSet
from paste_proxy.tools.mcp.connection import Connection
from paste_proxy.tools.mcp.offer import Offer, offer_of
from paste_proxy.tools.mcp.process import start_process
from paste_proxy.tools.mcp.session import McpSession
from paste_proxy.tools.mcp.transports import http_streams, process_streams
from paste_proxy.tools.spec import Effect, ToolSpec

log = logging.getLogger(__name__)

IsTaken = Callable[[str, str], bool]
"""Whether a name is not to be had for a source, because another one's tool has it."""
Tell = Callable[[str, tuple[ToolSpec, ...]], None]
"""From now on these, and no others, are the tools of a source."""


def source_of_server(name: str) -> str:
    return f"mcp:{name}"


class Upstream:
    """`allowed`: the tools that the operator lets run ahead; only to say of which that can't be."""

    def __init__(
        self, name: str, config: McpServerConfig, is_taken: IsTaken, tell: Tell, allowed: frozenset[str]
    ) -> None:
        self.name = name
        self.source = source_of_server(name)
        self.offer = Offer((), {}, ())
        self._config = config
        self.authoritative = self._connection(name, self._asked, self._list)
        self.ahead: Connection | None = None
        if config.read and not config.stateful:
            label = f"{name} (for runs ahead)"
            self.ahead = self._connection(label, self._asked_ahead, _nothing)
        self._is_taken = is_taken
        self._tell = tell
        self._allowed = allowed
        self._listed: list[dict[str, object]] = []
        self._names: dict[str, str] = {}
        """By wire name, how its tools were offered so far."""
        self._asked_back: set[str] = set()
        self._remarked: set[str] = set()
        self._tasks = TaskSet()

    def start(self) -> None:
        self._tasks.spawn(self.authoritative.keep(), name=f"MCP server {self.name}")
        if self.ahead is not None:
            self._tasks.spawn(self.ahead.keep(), name=f"MCP server {self.name}, for runs ahead")

    async def tried(self) -> None:
        """Until each session is open, or could not be opened."""
        connections = [self.authoritative] if self.ahead is None else [self.authoritative, self.ahead]
        await asyncio.gather(*(connection.tried() for connection in connections))

    async def close(self) -> None:
        await self._tasks.close()

    # -- its tools ----------------------------------------------------------------------------------------

    async def _list(self, session: McpSession) -> None:
        self._listed = await session.tools()
        self._offer()

    def _offer(self) -> None:
        before = self.offer.specs
        self.offer = offer_of(
            self.name,
            self._config,
            self._listed,
            is_taken=lambda name: self._is_taken(name, self.source),
            kept=self._names,
            asked_back=self._asked_back,
        )
        self._names |= {wire: name for name, wire in self.offer.wire_names.items()}
        self._remark()
        if self.offer.specs != before:
            self._tell(self.source, self.offer.specs)

    def _remark(self) -> None:
        """Once each: a server may change its list often."""
        remarks = [
            *self.offer.remarks,
            *(
                f"speculation.allow lists {spec.name}, which does not run ahead: "
                f"mcp_servers.{self.name}.read does not vouch for it"
                for spec in self.offer.specs
                if spec.name in self._allowed
                and spec.effect is not Effect.READ
                and self.offer.wire_names[spec.name] not in self._config.read
            ),
        ]
        for remark in remarks:
            if remark not in self._remarked:
                self._remarked.add(remark)
                log.warning("MCP server %s: %s", self.name, remark)

    # -- its sessions -------------------------------------------------------------------------------------

    def _connection(
        self,
        label: str,
        asked: Callable[[McpSession, str], None],
        listed: Callable[[McpSession], Awaitable[None]],
    ) -> Connection:
        return Connection(label, lambda: McpSession(asked), self._connect, listed, self._config.start_timeout_s)

    @asynccontextmanager
    async def _connect(self, session: McpSession) -> AsyncIterator[None]:
        config = self._config
        if config.url:
            streams = http_streams(config.url, config.headers, session)
        else:
            process = await start_process(self.name, config.command, config.args, config.env, config.cwd)
            streams = process_streams(process, session)
        async with streams as pair, session.opened(pair, config.start_timeout_s):
            yield

    def _asked(self, _session: McpSession, method: str) -> None:
        log.info("MCP server %s asks for %s, which no proxy can give: refused", self.name, method)

    def _asked_ahead(self, session: McpSession, method: str) -> None:
        """Which of the runs it asks for is not told: none of them runs ahead any more."""
        tools = session.in_flight
        session.abort_calls()
        if tools:
            names = ", ".join(sorted(tools))
            log.warning(
                "MCP server %s asked for %s while %s ran ahead: aborted, and no more run ahead until the "
                "proxy starts again",
                *(self.name, method, names),
            )
            self._asked_back |= tools
            self._offer()


async def _nothing(_session: McpSession) -> None:
    """The list is the authoritative session's."""
