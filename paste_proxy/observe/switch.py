"""/paste/v1/speculation: whether tools run ahead now, what is put off and why; and the operator's switch."""

from typing import Any

import msgspec
from aiohttp import web

from paste_proxy.broker.permits import EVERY_TOOL
from paste_proxy.core import Core
from paste_proxy.errors import RequestError, UnknownToolError
from paste_proxy.events import SpeculationSwitched
from paste_proxy.json_words import why_no_json
from paste_proxy.runtime import Runtime

BODY_LIMIT = 4096
"""Bytes: a switch has a name at most."""


class Switch(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked for: `{"on": false}` for all tools, `{"on": false, "tool": NAME}` for one."""

    on: bool
    tool: str = EVERY_TOOL


_switches = msgspec.json.Decoder(Switch)


def standing(core: Core) -> dict[str, Any]:
    """`on`: not switched off as a whole. `put_off`: tools that stay at home for now, and why: `waste`,
    `volatile` or `switched off`."""
    reasons = core.broker.permits.reasons()
    return {
        "mode": core.turns.expectations.speculation.mode,
        "on": reasons.pop(EVERY_TOOL, None) is None,
        "put_off": reasons,
    }


async def switch(request: web.Request, runtime: Runtime) -> dict[str, Any]:
    """Raises `RequestError`, `UnknownToolError`."""
    wanted = _decoded(await read_body(request))
    if wanted.tool != EVERY_TOOL and wanted.tool not in runtime.core.tools:
        known = ", ".join(sorted(runtime.core.tools)) or "none"
        raise UnknownToolError(f"there is no tool {wanted.tool!r}; known: {known}", param="tool")
    runtime.tell(SpeculationSwitched(wanted.on, wanted.tool))
    return standing(runtime.core)


async def read_body(request: web.Request) -> bytes:
    """Raises `RequestError`."""
    body = bytearray()
    async for part in request.content.iter_any():
        body += part
        if len(body) > BODY_LIMIT:
            raise RequestError(
                f"the body is larger than {BODY_LIMIT} bytes; a switch needs fewer", param="body"
            )
    return bytes(body)


def _decoded(body: bytes) -> Switch:
    try:
        return _switches.decode(body)
    except (msgspec.DecodeError, UnicodeError) as error:
        why = why_no_json(body, error)
        reason = f'the body is no switch: {why}; send {{"on": false}} or {{"on": false, "tool": NAME}}'
        raise RequestError(reason, param="body") from error
