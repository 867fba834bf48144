"""A runtime with scripted tools: the gateway's tests need no core."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from paste_proxy.access.access import Access
from paste_proxy.config import Config, LimitsConfig, TenantConfig
from paste_proxy.errors import (
    InvalidArgumentsError,
    ResultTooLargeError,
    ToolError,
    ToolsBusyError,
    ToolTimeoutError,
    UnknownToolError,
)
from paste_proxy.gateway.plane import ToolPlane
from paste_proxy.runtime import ToolAnswer, ToolCall
from paste_proxy.tools.ports import Output
from paste_proxy.tools.spec import Effect, ToolSpec
from paste_proxy.tools.table import ToolTable
from tests.gateway.servers import serving
from tests.patience import SOON_S

WORDS = {"type": "object", "properties": {"words": {"type": "string"}}, "required": ["words"]}

SPECS = {
    spec.name: spec
    for spec in (
        ToolSpec("echo", "Gives its arguments back.", WORDS, effect=Effect.READ),
        ToolSpec("text", "Says a text.", {"type": "object", "properties": {}}),
        ToolSpec("hang", "Never ends.", {"type": "object", "properties": {}}),
        ToolSpec("value", "Gives the JSON value it is told.", {"type": "object"}),
    )
}

ERRORS = {
    "bad": InvalidArgumentsError("tool 'bad': words: expected a string, got 5", param="words"),
    "raises": ToolError("tool 'raises' raised ValueError: no such page", param="raises"),
    "slow": ToolTimeoutError("tool 'slow' gave no result within 0.1 s", param="slow"),
    "huge": ResultTooLargeError("tool 'huge' returned 50000000 bytes, more than 16777216", param="huge"),
    "busy": ToolsBusyError("1024 calls wait for tools already: try again", param="limits.queued_calls"),
}


class FakeRuntime:
    """Keeps the calls it gets. Tools: `SPECS`, `ERRORS` by name, `defect`; all else is unknown."""

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []
        self.waiting = 0
        self.cancelled = 0
        self.changed = asyncio.Event()

    async def call(self, call: ToolCall) -> ToolAnswer:
        self.calls.append(call)
        if call.tool in ERRORS:
            raise ERRORS[call.tool]
        if call.tool == "defect":
            raise RuntimeError("secret detail")
        if call.tool == "hang":
            await self._hang()
        if call.tool not in SPECS:
            raise UnknownToolError(f"there is no tool {call.tool!r}", param=call.tool)
        is_text = call.tool == "text"
        return ToolAnswer(
            "joined", Output(b"gr\xc3\xbc\xc3\x9fe" if is_text else call.arguments, is_text), 0.25, 0.125
        )

    async def _hang(self) -> None:
        self.waiting += 1
        self.changed.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled += 1
            self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns when `condition` holds; it is looked at whenever a hanging call begins or ends."""
        while not condition():
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), SOON_S)


@asynccontextmanager
async def gateway(
    runtime: FakeRuntime,
    *,
    port: int = 0,
    limits: LimitsConfig | None = None,
    tenants: Mapping[str, TenantConfig] | None = None,
) -> AsyncIterator[str]:
    """The base address of a served tool plane."""
    app = web.Application()
    config = Config(limits=limits or LimitsConfig(), tenants=dict(tenants or {}))
    access = Access(config, {}, time.monotonic)
    ToolPlane(runtime, ToolTable(SPECS), config, access).add_routes(app)
    async with serving(app, port=port) as base:
        yield base
