"""From the result of `tools/call` to an `Output`, which REST clients can read and MCP clients get unchanged."""

from collections.abc import Mapping
from typing import Any

import msgspec

from paste_proxy.errors import ResultTooLargeError, ToolError
from paste_proxy.tools.ports import Output

ERROR_TEXT_LIMIT = 2000
"""Characters of an error that are passed on as its message; MCP clients get all of it."""


def output_of(tool: str, result: Mapping[str, Any], limit: int) -> Output:
    """`result` is a valid `CallToolResult`. Raises `ToolError` where it is one, and `ResultTooLargeError`."""
    whole = msgspec.json.encode(result)
    if len(whole) > limit:
        raise ResultTooLargeError(
            f"{tool}: the result has {len(whole)} bytes, its limit is {limit}; ask for less", param=tool
        )
    if result.get("isError"):
        reason = _text_of(result["content"])[:ERROR_TEXT_LIMIT]
        raise ToolError(reason or f"{tool} failed and gave no reason", param=tool, mcp=whole)
    if _is_plain_text(result):
        return Output(result["content"][0]["text"].encode(), is_text=True)
    if "structuredContent" in result:
        return Output(msgspec.json.encode(result["structuredContent"]), mcp=whole)
    content = result["content"]
    if all(part["type"] == "text" for part in content):
        return Output(_text_of(content).encode(), is_text=True, mcp=whole)
    return Output(msgspec.json.encode(content), mcp=whole)


def _is_plain_text(result: Mapping[str, Any]) -> bool:
    """Nothing but one text: any client can be told all of it without the rest."""
    if result.keys() - {"content", "isError"} or len(result["content"]) != 1:
        return False
    part: Mapping[str, Any] = result["content"][0]
    return part.keys() == {"type", "text"}


def _text_of(content: list[Mapping[str, Any]]) -> str:
    return "\n".join(part["text"] for part in content if part["type"] == "text")
