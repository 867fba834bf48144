"""The composition root: builds everything from a `Config`, and takes it down again."""

import asyncio
import errno
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType

from aiohttp import web

from paste_proxy.access.access import Access
from paste_proxy.allowing import as_declared, check_allowed, note_unknown_tools
from paste_proxy.backends.reach import Reachability, reach_backends
from paste_proxy.clock import SystemClock
from paste_proxy.config import Config
from paste_proxy.core import Core
from paste_proxy.errors import ConfigError, UnavailableError
from paste_proxy.events import RunProgressed, ToolsOffered
from paste_proxy.gateway.plane import ToolPlane
from paste_proxy.guard import Guard
from paste_proxy.leases.endpoint import LeaseEndpoint
from paste_proxy.leases.executor import LeaseExecutor
from paste_proxy.observe.routes import ObserveRoutes
from paste_proxy.predict.model import Predictor
from paste_proxy.predict.tables import Tables
from paste_proxy.predict.tenants import TenantPredictor
from paste_proxy.proxy.counters import RelayCounters
from paste_proxy.proxy.plane import LlmPlane
from paste_proxy.proxy.server import SHUTDOWN_S, address_of, listen_on, make_runner
from paste_proxy.reload import Reloader
from paste_proxy.runtime import Runtime
from paste_proxy.store.patterns import PatternStore
from paste_proxy.tasks import TaskSet
from paste_proxy.tools.http.client import Client
from paste_proxy.tools.http.executor import HTTP, HttpExecutor
from paste_proxy.tools.http.operations import Operation
from paste_proxy.tools.http.sources import fetched_documents, http_operations
from paste_proxy.tools.loading import Registry, load_plugins
from paste_proxy.tools.local import LocalExecutor
from paste_proxy.tools.mcp.executor import McpExecutor
from paste_proxy.tools.mcp.upstream import Upstream
from paste_proxy.tools.paging import cursor_of, held_back
from paste_proxy.tools.ports import Executor, Progress
from paste_proxy.tools.routing import RoutingExecutor
from paste_proxy.tools.spec import ToolSpec
from paste_proxy.tools.table import CLIENT, PLUGINS, ToolTable

log = logging.getLogger(__name__)

SAVE_EVERY_S = 10.0
"""How much learning a crash may cost: a turn or two per session."""
SERVERS_WAIT_S = 10.0
"""How long MCP servers may hold up the start: those that are installed take a second or two."""
SAVED_AT_ONCE = 4000
"""Numbers that are gathered before the loop goes on: some 20 ms."""


@dataclass
class Proxy:
    """A built proxy: its aiohttp application and its parts, for tests and the lab."""

    app: web.Application
    runtime: Runtime
    counters: RelayCounters
    config: Config
    """As it was at the start."""
    reloader: Reloader


NewPredictor = Callable[[Mapping[str, ToolSpec], Tables], Predictor]


def build(
    config: Config,
    wrap_executor: Callable[[Executor], Executor] = lambda executor: executor,
    new_predictor: NewPredictor = lambda _specs, tables: TenantPredictor(tables),
    documents: Mapping[str, bytes] = MappingProxyType({}),
) -> Proxy:
    """Wire the parts. Raises `ConfigError` and `PluginError`; starts nothing.

    `documents`: the OpenAPI documents that were fetched, by their names in the configuration.
    `wrap_executor` lets a test put faults between the runtime and the tools, `new_predictor` the lab another
    predictor in the place of ours.
    """
    registry = load_plugins(config.plugins)
    client = Client(config.http.targets, "http.targets")
    operations = http_operations(config, client.guard, documents, os.environ)
    at_servers = _distinct(operations, registry, config.http_tools)
    pages = config.speculation.pages
    declared = {**registry.specs, **{name: held_back(spec, pages) for name, spec in at_servers.items()}}
    check_allowed(config, declared)
    specs = as_declared(config, declared)
    note_unknown_tools(config, specs)
    clock = SystemClock()
    access = Access(config, os.environ, clock.now)
    store = PatternStore(config.store.path)
    if store.in_use:
        log.warning(
            "store %s is another proxy's, too: of what both learn, the later save wins", config.store.path
        )
    tables = store.load()
    tools = ToolTable({name: specs[name] for name in registry})
    tools.offer(HTTP, [specs[operation.spec.name] for operation in operations])
    core = Core(tools, config, new_predictor(tools, tables))
    local = LocalExecutor(registry, workers=config.speculation.slots, network=config.speculation.network)
    http = HttpExecutor(operations, client, config.speculation.network)
    leases = LeaseExecutor(tools)
    servers = _mcp_executors(config, tools.is_taken, lambda: runtime)
    by_source: dict[str, Executor] = {PLUGINS: local, HTTP: http, CLIENT: leases}
    by_source |= {server.upstream.source: server for server in servers}
    executor = wrap_executor(RoutingExecutor(tools.source, by_source))
    runtime = Runtime(core, executor, clock)
    counters = RelayCounters()
    app = web.Application(client_max_size=config.limits.body_bytes)
    app.cleanup_ctx.append(_lifetime(runtime, store, tables, servers))
    app.on_shutdown.append(_stop_holding(runtime))
    guard = Guard(config.listen.host)
    ToolPlane(runtime, tools, config, access).add_routes(app)
    limit = config.limits.clients
    endpoint = LeaseEndpoint(runtime, leases, guard=guard, access=access, limit=limit)
    endpoint.add_routes(app)
    reachability = Reachability(config, clock.now)
    plane = LlmPlane(runtime, config, counters, access)
    runtime.session_over = plane.session_over
    runtime.let_go = plane.let_go
    runtime.warm = plane.warmer.carry_out
    ObserveRoutes(runtime, counters, guard, access, plane.lines, reachability.is_any_up).add_to(app)
    plane.add_routes(app)
    take = (reachability.take, plane.configure)
    reloader = Reloader(config, runtime, access, plane.lines, take, endpoint.reloaded)
    return Proxy(app, runtime, counters, config, reloader)


def _stop_holding(runtime: Runtime) -> Callable[[web.Application], Awaitable[None]]:
    """On shutdown rather than on cleanup: in between, aiohttp waits for the requests that are under way."""

    async def stop(_app: web.Application) -> None:
        runtime.stop_holding()

    return stop


def _distinct(
    operations: Iterable[Operation], registry: Registry, written: Collection[str]
) -> dict[str, ToolSpec]:
    """The declarations of HTTP tools; a name that a plugin has, too, would be one of them by chance.

    `written`: the names of those that are in the configuration; the others come from OpenAPI documents.
    """
    specs: dict[str, ToolSpec] = {}
    for operation in operations:
        name = operation.spec.name
        if name in registry or name in specs:
            owner, advice = "another HTTP tool", "set openapi.NAME.prefix for its document"
            if name in registry:
                owner = f"a tool of {registry[name].place}"
                advice = "rename it in http_tools" if name in written else advice
            raise ConfigError(f"{name} is the name of {owner}, too: {advice}", param=name)
        specs[name] = operation.spec
    return specs


def _mcp_executors(
    config: Config, is_taken: Callable[[str, str], bool], runtime: Callable[[], Runtime]
) -> list[McpExecutor]:
    """`runtime`: asked for when a server has something to tell, which is after it was built."""

    allowed = frozenset(config.speculation.allow)

    def offered(source: str, specs: tuple[ToolSpec, ...]) -> None:
        for spec in specs:
            if spec.name in allowed and held_back(spec, config.speculation.pages) is not spec:
                log.warning(
                    "%s does not run ahead: its argument %r may be a cursor that moves or is used up; "
                    "speculation.pages says where it is not",
                    spec.name,
                    cursor_of(spec),
                )
        runtime().tell(ToolsOffered(source, specs))

    def progressed(run: str, progress: Progress) -> None:
        runtime().tell(RunProgressed(run, progress))

    return [
        McpExecutor(Upstream(name, server, is_taken, offered, allowed), progressed)
        for name, server in config.mcp_servers.items()
    ]


def _lifetime(
    runtime: Runtime, store: PatternStore, tables: Tables, servers: Sequence[McpExecutor]
) -> Callable[[web.Application], AsyncIterator[None]]:
    async def run(_app: web.Application) -> AsyncIterator[None]:
        runtime.warm_up()
        await _listed(servers)
        tasks = TaskSet()
        stop = asyncio.Event()
        saver = tasks.spawn(_save_regularly(store, tables, stop), name="save patterns")
        yield
        # Not cancelled: a save runs in a thread, which would go on beside the last one.
        stop.set()
        await asyncio.wait({saver})
        await runtime.close()
        await _save(store, tables)
        store.close()

    return run


async def _listed(servers: Sequence[McpExecutor]) -> None:
    """Clients keep the list of tools that they are given first, and a server takes a moment to give its own."""
    tried = [server.upstream.tried() for server in servers]
    try:
        async with asyncio.timeout(SERVERS_WAIT_S):
            await asyncio.gather(*tried)
    except TimeoutError:
        late = [server.upstream.name for server in servers if not server.upstream.offer.specs]
        log.warning("MCP servers that are not ready: %s; their tools are listed later", ", ".join(late))


async def _save_regularly(store: PatternStore, tables: Tables, stop: asyncio.Event) -> None:
    while not await _set_within(stop, SAVE_EVERY_S):
        await _save(store, tables)


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


async def _save(store: PatternStore, tables: Tables) -> None:
    """A disk that is full costs nothing but persistence: what could not be saved is tried again next time."""
    more = True
    while more:
        changes = tables.take_changes(SAVED_AT_ONCE)
        more = tables.unsaved
        try:
            await asyncio.to_thread(store.save, changes)
        except (ConfigError, UnavailableError) as error:
            tables.put_back(changes)
            log.error("patterns could not be saved: %s", error.message)
            return


@asynccontextmanager
async def listening(proxy: Proxy) -> AsyncIterator[str]:
    """Serve `proxy` for as long as the context lasts; yields its base URL. Raises `UnavailableError`."""
    async with AsyncExitStack() as stack:
        runner = make_runner(proxy.app)
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        listen = proxy.config.listen
        try:
            server = await listen_on(runner, listen.host, listen.port)
        except OSError as error:
            reason = error.strerror or str(error)
            raise UnavailableError(
                f"can't listen on {listen.host}:{listen.port}: {reason}; {_listen_advice(error)}",
                param="listen",
            ) from error
        stack.callback(server.close)
        yield address_of(server)


def _reload(reloader: Reloader, read_again: Callable[[], Config] | None) -> None:
    if read_again is None:
        log.warning("SIGHUP: there is no file to read again: start with --config")
        return
    try:
        reloader.reload(read_again())
    except ConfigError as error:
        log.error("the configuration is as it was: %s", error.message)


def _listen_advice(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "stop what uses it, or choose another with listen.port or --port"
    return "listen.host (--host) must be an address of this machine, listen.port (--port) one that you may use"


async def _built_unless(stop: asyncio.Event, config: Config) -> Proxy | None:
    """Once a backend is there; None where `stop` was earlier."""
    tasks = TaskSet()
    try:
        async with asyncio.timeout(None) as until:
            tasks.spawn(_end(until, stop), name="a stop before the start")
            return await _built(config)
    except TimeoutError:
        if not until.expired():
            raise
        return None
    finally:
        await tasks.close()


async def _end(until: asyncio.Timeout, stop: asyncio.Event) -> None:
    await stop.wait()
    until.reschedule(0.0)


async def _built(config: Config) -> Proxy:
    documents = await fetched_documents(config)
    proxy = build(config, documents=documents)
    try:
        await reach_backends(config)
    except BaseException:
        await proxy.runtime.close()
        raise
    return proxy


async def serve(
    config: Config, on_listening: Callable[[str], None], read_again: Callable[[], Config] | None = None
) -> None:
    """Build and serve until SIGINT or SIGTERM. Raises what makes that impossible, before it listens.

    `read_again` reads the configuration anew, on SIGHUP; None where there is no file.
    """
    if not (config.backends or config.backend.url):
        raise ConfigError(
            "backend.url: no backend; name one with --backend URL or in the configuration", param="backend.url"
        )
    # First of all: process 1 of a container hears no signal that it does not handle.
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    proxy = await _built_unless(stop, config)
    if proxy is None:
        log.info("stopping before the backend was there")
        return
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _reload, proxy.reloader, read_again)
    async with listening(proxy) as url:
        on_listening(url)
        await stop.wait()
        log.info("stopping; requests under way may go on for up to %g s", SHUTDOWN_S)
