"""Calls a tool and turns what it returned or raised into an `Output` or an error.

The same code in the proxy and in a worker process, so that nobody can tell from a result where it was made.
"""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from paste_proxy.errors import InvalidArgumentsError, ResultTooLargeError, ToolError
from paste_proxy.tools.authoring import Tool
from paste_proxy.tools.ports import Output, Perishable, RunContext

log = logging.getLogger(__name__)

_REASON_LIMIT = 2000
"""Characters of an exception's message that are passed on: it goes into a model's context."""

NOTHING = Output(b"", is_text=True)
"""What a run gives that only prepares a call."""

# Sorted, since the order of a set differs from process to process, and results are compared by their bytes.
_encoder = msgspec.json.Encoder(order="deterministic")


def invoke_sync(tool: Tool[..., Any], context: RunContext, arguments: dict[str, Any]) -> Output:
    """Run a sync tool here and now. Raises `ToolError` or `InvalidArgumentsError` and nothing else."""
    try:
        value = tool.invoke(context, arguments)
    except BaseException as error:  # the boundary: not even SystemExit ends the process
        raise failure(tool, error) from error
    return encode_result(tool, value)


def prepare_sync(tool: Tool[..., Any], context: RunContext, arguments: dict[str, Any]) -> Output:
    """Call what runs ahead in a sync tool's place. Whatever it returns is no result. Raises as above."""
    try:
        tool.prepare(context, arguments)
    except BaseException as error:  # the boundary, as above
        raise failure(tool, error) from error
    return NOTHING


async def invoke_async(tool: Tool[..., Any], context: RunContext, arguments: dict[str, Any]) -> Output:
    """Run an async tool in this task. Raises `ToolError`, `InvalidArgumentsError`, or that it was cancelled."""
    return encode_result(tool, await _awaited(tool, lambda: tool.invoke(context, arguments)))


async def prepare_async(tool: Tool[..., Any], context: RunContext, arguments: dict[str, Any]) -> Output:
    """The same for what runs ahead in its place."""
    await _awaited(tool, lambda: tool.prepare(context, arguments))
    return NOTHING


async def _awaited(tool: Tool[..., Any], called: Callable[[], Awaitable[Any]]) -> Any:
    try:
        value = await called()
    except GeneratorExit:
        raise
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError) and _being_cancelled():
            raise
        raise failure(tool, error) from error
    if _being_cancelled():
        raise asyncio.CancelledError  # the tool swallowed it; nobody waits for its result any more
    return value


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def warm_up(tool: Tool[..., Any]) -> None:
    """Call a tool's sync warm-up, if any. A failure is logged only: the run will tell."""
    try:
        if tool.warm is not None:
            tool.warm()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the author's code
        _warm_up_failed(tool, error)


async def warm_up_async(tool: Tool[..., Any]) -> None:
    """The same for an async warm-up."""
    try:
        if tool.warm is not None:
            await tool.warm()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the author's code
        _warm_up_failed(tool, error)


async def close(tool: Tool[..., Any]) -> None:
    """Call a tool's `close`. A failure is logged only: the proxy ends all the same."""
    try:
        if tool.close is not None:
            await tool.close()
    except (Exception, SystemExit) as error:
        log.warning("tool %s: its close failed", tool.spec.name, exc_info=error)


def _warm_up_failed(tool: Tool[..., Any], error: BaseException) -> None:
    log.warning("tool %s: its warm-up failed", tool.spec.name, exc_info=error)


def encode_result(tool: Tool[..., Any], value: object) -> Output:
    """Text as it is, all else as JSON. Raises `ToolError`, `ResultTooLargeError`."""
    max_age = None
    if isinstance(value, Perishable):
        max_age, value = max(0.0, float(value.max_age)), value.value
    try:
        is_text = isinstance(value, str)
        body = value.encode("utf-8") if isinstance(value, str) else _encoder.encode(value)
    except Exception as error:  # objects of the author's classes are asked for their contents
        raise ToolError(f"{tool.spec.name}: the result can't be encoded: {_reason(error)}") from error
    if len(body) > tool.spec.result_limit:
        raise ResultTooLargeError(
            f"{tool.spec.name}: the result has {len(body)} bytes, the tool's result_limit is "
            f"{tool.spec.result_limit}; ask for less",
            param=tool.spec.name,
        )
    return Output(body, is_text=is_text, max_age=max_age)


def failure(tool: Tool[..., Any], error: BaseException) -> ToolError | InvalidArgumentsError:
    """The error that a caller sees: what the tool said on purpose, else type and message of the exception.

    The traceback goes to the log only.
    """
    if isinstance(error, ToolError | InvalidArgumentsError):
        return error
    log.warning("tool %s raised", tool.spec.name, exc_info=error)
    return ToolError(f"{tool.spec.name}: {_reason(error)}", param=tool.spec.name)


def _reason(error: BaseException) -> str:
    """`Type: message` in one line; survives exceptions whose `__str__` fails."""
    return " ".join(traceback.format_exception_only(error)[-1].split())[:_REASON_LIMIT]
