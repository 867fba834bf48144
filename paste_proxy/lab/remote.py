"""The demo's tools: the plugins `docs` and `files` as a remote service would offer them.

The work is real and done by those plugins; what is added is the stated time of a service far away. It is
drawn by what is asked for (sizes.py), so a call takes as long whether it runs ahead of the model or not.
Addresses in results carry a reference to their search, as those of search services do.
"""

import asyncio
import itertools
import sysconfig
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from paste_proxy.config import PluginConfig
from paste_proxy.errors import PasteError
from paste_proxy.gateway.wire import error_result
from paste_proxy.lab.records import ServiceSpan
from paste_proxy.lab.sizes import (
    ADDRESS,
    CHARACTERS_PER_TOKEN,
    OPEN,
    READ,
    REFERENCE,
    SEARCH,
    SUBJECT,
    Sizes,
    reference,
)
from paste_proxy.lab.workload import load_workload
from paste_proxy.tools import Effect, Tool, tool
from paste_proxy.tools.loading import load_plugins
from paste_proxy.tools.local import LocalExecutor
from paste_proxy.tools.ports import Run, RunClass, RunContext

T = TypeVar("T")

DOCS = PluginConfig(entry_point="docs")
FILES = PluginConfig(entry_point="files", options={"root": sysconfig.get_paths()["stdlib"]})


NOBODY = RunContext(tenant="", session="")
"""The remote service knows nothing of whom it serves, or why."""

WORKERS = 2
"""A search or page takes some 13 ms of work: two processes are idle most of the time."""


class Hit(msgspec.Struct, frozen=True):
    """What `docs_search` says of a page, as far as it is passed on."""

    name: str
    summary: str


class RemoteOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    time_scale: float = 1.0
    token_scale: float = 1.0
    log: str = ""
    """File for the service's access log, one JSON object per run; none if empty."""


class Service:
    """What the remote service answers: the plugins' results, cut to the drawn sizes. No waiting here.

    The plugins run as they would behind the gateway: what is `isolated` in worker processes, which end with
    this process. Errors are the plugins' own.
    """

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self._executor = LocalExecutor(load_plugins([DOCS, FILES]), isolated=WORKERS)
        self._ids = itertools.count()

    async def answer(self, name: str, arguments: dict[str, Any]) -> str:
        """A result, or an error, as the gateway sends it."""
        methods: dict[str, Callable[..., Awaitable[Any]]] = {
            SEARCH: self.search,
            OPEN: self.open,
            READ: self.read,
        }
        try:
            result = await methods[name](**arguments)
        except PasteError as error:
            result = error_result(error)
        return result if isinstance(result, str) else msgspec.json.encode(result).decode()

    async def search(self, query: str, limit: int) -> dict[str, Any]:
        """`{"results": [{"address", "summary"}, ...]}`, best first."""
        found = msgspec.json.decode(await self._run("docs_search", query=query, limit=limit), type=list[Hit])
        room = self._characters(SEARCH, query) // max(1, len(found))
        results = []
        for place, hit in enumerate(found, 1):
            address = f"{ADDRESS}{hit.name}{reference(query, place)}"
            results.append({"address": address, "summary": hit.summary[: max(0, room - len(address))]})
        return {"results": results}

    async def open(self, address: str) -> str:
        """A page of documentation."""
        name = address.removeprefix(ADDRESS).partition(REFERENCE)[0]
        page = await self._run("docs_open", name=name)
        return page.decode()[: self._characters(OPEN, address)]

    async def read(self, path: str) -> str:
        """A file of the standard library."""
        text = await self._run("files_read", path=path)
        return text.decode()[: self._characters(READ, path)]

    async def close(self) -> None:
        await self._executor.close()

    async def _run(self, tool_name: str, **arguments: Any) -> bytes:
        run = Run(f"remote-{next(self._ids)}", tool_name, arguments, NOBODY, RunClass.AUTHORITATIVE)
        return (await self._executor.run(run, begun=_unobserved)).body

    def _characters(self, tool_name: str, subject: str) -> int:
        return self._sizes.result(tool_name, {SUBJECT[tool_name]: subject}) * CHARACTERS_PER_TOKEN


def _unobserved() -> None:
    """Nobody asks the service when a run begins."""


class Distance:
    """Makes a run take the drawn time, its real work included, and keeps the service's access log."""

    def __init__(self, sizes: Sizes, options: RemoteOptions) -> None:
        self._sizes = sizes
        self._time_scale = options.time_scale
        self._log = options.log

    async def cover(self, name: str, subject: str, work: Awaitable[T]) -> T:
        """The result of `work`, but not before its time is over."""
        start = time.monotonic()
        finished = False
        try:
            result = await work
            due = start + self._sizes.seconds(name, {SUBJECT[name]: subject}) * self._time_scale
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            finished = True
            return result
        finally:
            self._write(ServiceSpan(name, subject, start, time.monotonic(), finished))

    def _write(self, span: ServiceSpan) -> None:
        if self._log:
            with Path(self._log).open("ab") as log:
                log.write(msgspec.json.encode(span) + b"\n")


def plugin(options: RemoteOptions) -> list[Tool[..., Any]]:
    """The three tools, far away."""
    workload = load_workload()
    sizes = Sizes(workload, options.token_scale)
    service, distance = Service(sizes), Distance(sizes, options)

    @tool(effect=Effect.READ, reads=(), concurrency=workload.tool_slots.search)
    async def docs_search(query: str, limit: int = 10) -> dict[str, Any]:
        """Search Python's documentation. Results come best first; docs_open opens their addresses."""
        return await distance.cover(SEARCH, query, service.search(query, limit))

    @tool(effect=Effect.READ, reads=(), concurrency=workload.tool_slots.open)
    async def docs_open(address: str) -> str:
        """Open a page of Python's documentation by its address."""
        return await distance.cover(OPEN, address, service.open(address))

    @tool(effect=Effect.READ, reads=(), concurrency=workload.tool_slots.open)
    async def files_read(path: str) -> str:
        """Read a file of Python's standard library."""
        return await distance.cover(READ, path, service.read(path))

    return [docs_search, docs_open, files_read]
