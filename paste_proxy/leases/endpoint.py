"""`/paste/v1/client`: the sockets of the clients whose tools are wrapped."""

import asyncio
import itertools
import logging
from collections.abc import Callable

from aiohttp import WSCloseCode, WSMsgType, web

from paste_proxy.access.access import Access, Tenant
from paste_proxy.access.limits import RateLimitedError
from paste_proxy.client.protocol import MESSAGE_LIMIT, PATH, Claim, Ended, Hello, ProtocolError, RunAhead
from paste_proxy.errors import PasteError, RequestError, openai_error
from paste_proxy.events import ClientGone, ClientOffered, HitRefused, Identity
from paste_proxy.guard import Guard
from paste_proxy.leases.desk import Claimed, Desk
from paste_proxy.leases.executor import LeaseExecutor
from paste_proxy.runtime import Runtime, ToolCall
from paste_proxy.tasks import TaskSet

log = logging.getLogger(__name__)

HEARTBEAT_S = 20.0
"""A client that does not answer a ping within half of it is gone: a laptop that sleeps, a cable. Its own thread
answers, however busy its agent is."""
HELLO_WITHIN_S = 10.0
"""A client says hello in the same breath in which it connects."""


class TooManyClientsError(PasteError):
    status = 503
    code = "too_many_clients"


class LeaseEndpoint:
    def __init__(
        self, runtime: Runtime, executor: LeaseExecutor, *, guard: Guard, access: Access, limit: int
    ) -> None:
        self._runtime = runtime
        self._executor = executor
        self._guard = guard
        self._access = access
        self._limit = limit
        self._numbers = itertools.count(1)
        self._open: dict[str, _Connection] = {}
        runtime.claims.drop = executor.drop

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get(PATH, self._serve)
        app.on_shutdown.append(self._stop)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        try:
            self._guard.check(request.headers)
            tenant = self._access.tenant_of(request.headers)
            if len(self._open) >= self._limit:
                raise TooManyClientsError(
                    f"{self._limit} clients are connected, which is limits.clients", param="limits.clients"
                )
        except PasteError as error:
            return web.json_response(openai_error(error), status=error.status)
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=MESSAGE_LIMIT, compress=False)
        if not socket.can_prepare(request):
            refusal = RequestError(f"{PATH} is for WebSockets", param="upgrade")
            return web.json_response(openai_error(refusal), status=426)
        await socket.prepare(request)
        name = f"client-{next(self._numbers)}"
        connection = self._open[name] = _Connection(
            name, tenant, self._access, self._runtime, self._executor, socket, self.tell_all
        )
        connection.cut_off = lambda: _abort(request)
        connection.still = lambda: self._access.still(connection.tenant, request.headers)
        try:
            await connection.serve()
        finally:
            del self._open[name]
            connection.desk.close()
        return socket

    def reloaded(self) -> None:
        """Tenants may have gone, or have other limits, and other tools may run ahead."""
        for connection in self._open.values():
            connection.look_at_its_key()
        self.tell_all()

    def tell_all(self) -> None:
        """Whose tools may run ahead has changed: who comes or goes may change it for others."""
        for connection in self._open.values():
            connection.tell_standing()

    async def _stop(self, _app: web.Application) -> None:
        for connection in list(self._open.values()):
            await connection.close(WSCloseCode.GOING_AWAY, "the proxy is shutting down")


class _Connection:
    """One socket, its desk, and the desk's port to the proxy."""

    def __init__(
        self,
        name: str,
        tenant: Tenant,
        access: Access,
        runtime: Runtime,
        executor: LeaseExecutor,
        socket: web.WebSocketResponse,
        changed: Callable[[], None],
    ) -> None:
        self.desk = Desk(self)
        self._name = name
        self.tenant = tenant
        self._access = access
        self._runtime = runtime
        self._executor = executor
        self._socket = socket
        self._changed = changed
        self._wake = asyncio.Event()
        self.cut_off: Callable[[], None] = lambda: None
        self.still: Callable[[], Tenant | None] = lambda: tenant
        """Its tenant by the key with which it was opened, as it is now; None where that was taken back."""

    # -- the socket ---------------------------------------------------------------------------------------

    async def serve(self) -> None:
        tasks = TaskSet()
        tasks.spawn(self._write(), name=f"write to {self._name}")
        try:
            async with asyncio.timeout(HELLO_WITHIN_S):
                await self._read_one()
            while await self._read_one():
                pass
        except ProtocolError as error:
            log.warning("%s is cut off: %s", self._name, error)
            await self.close(WSCloseCode.PROTOCOL_ERROR, str(error))
        except TimeoutError:
            await self.close(WSCloseCode.POLICY_VIOLATION, "no hello")
        finally:
            await tasks.close()

    async def _read_one(self) -> bool:
        """False where the socket is closed."""
        message = await self._socket.receive()
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            return False
        self.desk.receive(message.data)
        await self._flush()  # an answer to a claim is waited for: it goes at once, not by way of a task
        return True

    async def close(self, code: int, reason: str) -> None:
        # A reason goes into a frame of 125 bytes (RFC 6455, 5.5).
        await self._socket.close(code=code, message=reason.encode()[:120])

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._flush()

    async def _flush(self) -> None:
        try:
            for frame in self.desk.unsent():
                await self._socket.send_frame(frame, WSMsgType.TEXT)
        except ConnectionError:
            log.debug("%s is gone: what it was to be told is lost", self._name)

    def sent(self) -> None:
        """A client that does not read what it is sent is cut off; it comes again."""
        self._wake.set()
        if self.desk.is_slow:
            self.cut_off()

    def look_at_its_key(self) -> None:
        tenant = self.still()
        if tenant is not None:
            self.tenant = tenant
            return
        log.info("%s is cut off: its key was taken back", self._name)
        self.cut_off()

    # -- the desk's port ----------------------------------------------------------------------------------

    def came(self, hello: Hello) -> None:
        self._executor.came(self._name, self)
        specs = tuple(tool.spec() for tool in hello.tools)
        self._runtime.tell(ClientOffered(self._name, self.tenant.name, specs, hello.ran))
        self._changed()

    def tell_standing(self) -> None:
        if not self.desk.has_come:
            return
        core = self._runtime.core
        standing = {tool.name: core.standing(self.tenant.name, tool.spec()) for tool in self.desk.tools}
        self.desk.welcome({name: reason for name, reason in standing.items() if reason})

    def admits(self, claim: Claim) -> str:
        """Beyond the tenant's calls a minute a client runs its tools as if unwrapped. But of a write account is
        kept, whoever is too fast: what others have read ahead depends on it."""
        try:
            self._access.call(self.tenant)
        except RateLimitedError as error:
            return "" if self._may_write(claim.tool) else error.message
        return ""

    def _may_write(self, tool: str) -> bool:
        return any(one.name == tool and one.spec().writes for one in self.desk.tools)

    def claim(self, claim: Claim, claimant: Claimed) -> str:
        identity = Identity(
            tenant=self.tenant.name, session=claim.session, source="client" if claim.session else ""
        )
        call = ToolCall(identity, claim.tool, claim.arguments.encode("utf-8", "replace"), claim.tool_call_id)
        return self._runtime.claim(call, self._name, claimant)

    def leave(self, call: str) -> None:
        self._runtime.leave(call)

    def began(self, run: str) -> None:
        self._executor.began(self._name, run)

    def ended(self, ended: Ended) -> None:
        self._executor.ended(self._name, ended)

    def unused(self, run: str) -> None:
        self._runtime.tell(HitRefused(self._name, run))

    def gone(self) -> None:
        self._executor.gone(self._name)
        self._runtime.tell(ClientGone(self._name))
        self._changed()

    # -- the executor's client ----------------------------------------------------------------------------

    def lease(self, run: RunAhead) -> None:
        self.desk.lease(run)

    def cancel(self, run: str) -> None:
        self.desk.cancel(run)


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
