"""One family of errors. Each says what happened, which key or id, and what to do about it.

The planes turn them into their own wire form: `openai_error` and `anthropic_error` here for the LLM plane,
`gateway/` for MCP's.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


class PasteError(Exception):
    """Base of all errors that paste-proxy raises on purpose; never raised itself.

    `status` is the HTTP status, `type` and `code` are the fields of OpenAI's error object,
    `param` names the key or id at fault.
    """

    status = 500
    type = "server_error"
    code = "internal_error"
    headers: Mapping[str, str] = MappingProxyType({})
    """Header fields of the HTTP reply that tells it."""
    exit_code = 1
    """Of a command that ends with it: it was tried, and the same may work another time."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class ConfigError(PasteError):
    """A configuration that can't be used; `param` is the path of the bad key."""

    code = "bad_config"
    exit_code = 2
    """The same can't work another time, as with an option that there is not: something must be written anew."""


class PluginError(PasteError):
    """A plugin that can't be loaded; the message begins with file and line."""

    code = "bad_plugin"
    exit_code = 2


class UnavailableError(PasteError):
    """What a command needs is not there now: a port, a document at a server, a running proxy."""

    code = "unavailable"


class LabError(PasteError):
    """An experiment that could not be carried out."""

    code = "lab_failed"


class RequestError(PasteError):
    """The client's request is at fault."""

    status = 400
    type = "invalid_request_error"
    code = "bad_request"
    exit_code = 2


class RequestTooLargeError(RequestError):
    status = 413
    code = "request_too_large"


class MissingKeyError(RequestError):
    """The proxy asks for keys, and the request shows none of its."""

    status = 401
    code = "missing_key"
    headers = MappingProxyType({"WWW-Authenticate": 'Bearer realm="paste-proxy"'})


class UnknownKeyError(RequestError):
    status = 401
    code = "unknown_key"
    headers = MappingProxyType({"WWW-Authenticate": 'Bearer realm="paste-proxy", error="invalid_token"'})


class ForbiddenError(RequestError):
    """The key is good, and not for this."""

    status = 403
    code = "forbidden"


class BackendUnreachableError(PasteError):
    """The backend refused, reset or could not be found."""

    status = 502
    code = "backend_unreachable"


class BackendTimeoutError(PasteError):
    status = 504
    code = "backend_timeout"


class UnknownToolError(RequestError):
    status = 404
    code = "unknown_tool"


class InvalidArgumentsError(RequestError):
    """Arguments that do not fit the tool's schema; `param` is the JSON path."""

    status = 422
    code = "invalid_arguments"


class ToolError(PasteError):
    """An authoritative run of a tool that gave no result."""

    status = 502
    type = "tool_error"
    code = "tool_failed"

    def __init__(self, message: str, *, param: str | None = None, mcp: bytes | None = None) -> None:
        super().__init__(message, param=param)
        self.mcp = mcp
        """The `CallToolResult` in which an MCP server told it, for clients that speak MCP."""


class ToolTimeoutError(ToolError):
    status = 504
    code = "tool_timeout"


class ResultTooLargeError(ToolError):
    code = "result_too_large"


class ToolsBusyError(ToolError):
    """The queue of authoritative calls is full; speculation is never the cause."""

    status = 503
    code = "tools_busy"


class TurnsBusyError(PasteError):
    """More turns wait for the backend than may."""

    status = 503
    code = "turns_busy"
    headers = MappingProxyType({"Retry-After": "5"})


class ProxyStoppingError(PasteError):
    """The proxy is told to stop, and a turn is not sent yet."""

    status = 503
    code = "proxy_stopping"
    headers = MappingProxyType({"Retry-After": "1"})


class SupersededError(RequestError):
    """The same request of the same client came again while this one was held."""

    status = 409
    code = "superseded"


def openai_error(error: PasteError) -> dict[str, Any]:
    """The body of an error on the LLM plane, in the shape of OpenAI's API."""
    return {
        "error": {
            "message": error.message,
            "type": error.type,
            "param": error.param,
            "code": error.code,
        }
    }


_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def anthropic_error(error: PasteError) -> dict[str, Any]:
    """The same in the shape of Anthropic's API, whose clients look for the type and the message."""
    return {
        "type": "error",
        "error": {
            "type": _ANTHROPIC_TYPES.get(error.status, "api_error"),
            "message": error.message,
            "param": error.param,
            "code": error.code,
        },
    }
