"""The demo's tools in the agents' own process, wrapped: what `--attach wrap` calls instead of the gateway."""

import contextvars
import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import msgspec

from paste_proxy.client import tool_call, wrap
from paste_proxy.errors import PasteError
from paste_proxy.gateway.rest import function_of
from paste_proxy.gateway.wire import error_result
from paste_proxy.lab.records import OwnTools
from paste_proxy.lab.remote import RemoteOptions, plugin
from paste_proxy.lab.sizes import ADDRESS, OPEN, READ, SEARCH
from paste_proxy.tools.authoring import Tool

_ran: contextvars.ContextVar[list[float] | None] = contextvars.ContextVar("ran", default=None)
"""How long the tool took, where the call itself ran it."""


class Toolbox:
    """One cell's tools: the plugin that the gateway serves otherwise, wrapped where the cell says so."""

    def __init__(self, own: OwnTools, proxy: str) -> None:
        options = RemoteOptions(time_scale=own.time_scale, token_scale=own.token_scale, log=own.log)
        self._bare = {tool.spec.name: tool for tool in plugin(options)}
        noted = [_noting(tool) for tool in self._bare.values()]
        if own.wrapped:
            noted = wrap(noted, proxy=proxy)
        self._tools = {tool.spec.name: tool for tool in noted}

    async def warm_up(self) -> None:
        """Each once, by nobody's session: worker processes start, indexes are read."""
        for word in ("warm", "up"):
            await self._bare[SEARCH](query=word)
        await self._bare[OPEN](address=f"{ADDRESS}json")
        await self._bare[READ](path="json/__init__.py")

    def offered(self) -> list[Any]:
        return [function_of(tool.spec) for tool in self._tools.values()]

    async def call(self, name: str, arguments: str, call_id: str) -> tuple[str, str, float]:
        """The text for the model, whether the call ran the tool itself, and for how long."""
        took: list[float] = []
        token = _ran.set(took)
        try:
            with tool_call(call_id):
                result = await self._tools[name](**msgspec.json.decode(arguments))
        except PasteError as error:
            result = error_result(error)
        finally:
            _ran.reset(token)
        text = (
            result if isinstance(result, str) else msgspec.json.encode(result, order="deterministic").decode()
        )
        return text, "executed" if took else "reused", sum(took)


def _noting(tool: Tool[..., Any]) -> Tool[..., Any]:
    """A tool that says so where it is run by a call."""
    function: Callable[..., Any] = tool.function

    @functools.wraps(function)
    async def noted(*args: Any, **kwargs: Any) -> Any:
        took, start = _ran.get(), time.monotonic()
        try:
            return await function(*args, **kwargs)
        finally:
            if took is not None:
                took.append(time.monotonic() - start)

    return dataclasses.replace(tool, function=noted)
