"""What both faces of the gateway say on the wire: header names, outcome figures, the shape of an error."""

from typing import Any, Protocol

from paste_proxy.errors import PasteError, RequestTooLargeError
from paste_proxy.runtime import ToolAnswer, ToolCall

REQUEST_ID = "x-request-id"
TOOL_CALL_ID = "x-tool-call-id"


class Caller(Protocol):
    """The part of the runtime that the gateway needs.

    Raises a `PasteError`; cancelling the awaiting task means that the caller left.
    """

    async def call(self, call: ToolCall) -> ToolAnswer: ...


class GatewayError(PasteError):
    """A defect of our own, told to the caller without its details; the log has them."""


def too_large(limit: int) -> RequestTooLargeError:
    """The arguments of a call are more than `limit` bytes."""
    return RequestTooLargeError(
        f"the arguments are larger than {limit} bytes: send less, or raise limits.arguments_bytes",
        param="limits.arguments_bytes",
    )


def outcome_headers(answer: ToolAnswer) -> dict[str, str]:
    """How the call was served, as HTTP headers; times are milliseconds."""
    return {
        "x-paste-outcome": answer.outcome,
        "x-paste-service-ms": f"{answer.service_s * 1000:.3f}",
        "x-paste-saved-ms": f"{answer.saved_s * 1000:.3f}",
    }


def outcome_meta(answer: ToolAnswer) -> dict[str, Any]:
    """The same as `outcome_headers`, for `_meta` of an MCP result."""
    return {
        "paste/outcome": answer.outcome,
        "paste/service-ms": round(answer.service_s * 1000, 3),
        "paste/saved-ms": round(answer.saved_s * 1000, 3),
    }


def error_meta(error: PasteError) -> dict[str, Any]:
    return {"paste/code": error.code, "paste/param": error.param}


def error_result(error: PasteError) -> dict[str, Any]:
    """An error in the shape of MCP's tool result (CallToolResult): what the model may be shown."""
    return {
        "isError": True,
        "content": [{"type": "text", "text": error.message}],
        "_meta": error_meta(error),
    }
