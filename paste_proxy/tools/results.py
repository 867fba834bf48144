"""What a tool returned or raised, as an `Output` or an error; the same in the proxy and in a worker process."""

import logging
import traceback
from typing import Any

import msgspec

from paste_proxy.errors import InvalidArgumentsError, ResultTooLargeError, ToolError
from paste_proxy.tools.authoring import Tool
from paste_proxy.tools.ports import Output, RunContext

log = logging.getLogger(__name__)

_REASON_LIMIT = 2000
"""Characters of an exception's message that are passed on: it goes into a model's context."""

# Sorted, since the order of a set differs from process to process, and results are compared by their bytes.
_encoder = msgspec.json.Encoder(order="deterministic")


def invoke_sync(tool: Tool[..., Any], context: RunContext, arguments: dict[str, Any]) -> Output:
    """Run a sync tool here and now. Raises `ToolError` or `InvalidArgumentsError` and nothing else."""
    try:
        value = tool.invoke(context, arguments)
    except BaseException as error:  # the boundary: not even SystemExit ends the process
        raise failure(tool, error) from error
    return encode_result(tool, value)


def encode_result(tool: Tool[..., Any], value: object) -> Output:
    """Text as it is, all else as JSON. Raises `ToolError`, `ResultTooLargeError`."""
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
    return Output(body, is_text=is_text)


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
