"""Which of the model's calls is this? What agents say of it besides name and arguments.

No standard names the id of the model's tool call in MCP's `_meta`, so each client has its own key:
`claudecode/toolUseId` (Claude Code 2.1.257), `openai/toolCallId`, `copilot/toolCallId`,
`redpanda.com/llm-tool-call-id`, and plain `toolCallId`, `tool_call_id`, `callId` in smaller ones. They
differ in prefix and spelling only. `progressToken` is none of them: it is the client's own counter.
Neither is `mcp-session-id` the name of a session: it names a connection, which sub-agents share.
"""

import re
from collections.abc import Mapping
from typing import Any

from paste_proxy.events import Identity
from paste_proxy.gateway.wire import TOOL_CALL_ID
from paste_proxy.sessions.identity import identify

OWN_KEY = "paste/tool-call-id"
"""The documented key: it wins over the others."""

_ID_NAMES = frozenset({"toolcallid", "tooluseid", "callid", "llmtoolcallid"})
_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def tool_call_id(headers: Mapping[str, str], meta: Mapping[str, Any]) -> str:
    """The id of the model's call, or "" where the client names none, or several that differ."""
    own = meta.get(OWN_KEY)
    if isinstance(own, str) and own:
        return own
    named = {
        value
        for key, value in meta.items()
        if isinstance(value, str) and value and _field_name(key).replace("_", "") in _ID_NAMES
    }
    if stated := headers.get(TOOL_CALL_ID):
        named.add(stated)
    return named.pop() if len(named) == 1 else ""


def identity_of(headers: Mapping[str, str], meta: Mapping[str, Any], tenant: str) -> Identity:
    """Whose call it is: as the headers say, else as `_meta` says.

    `_meta` is put into the headers that the same agents send on the LLM plane, so that one function names
    the session on both: Codex has `threadId` and `x-codex-turn-metadata`, OpenCode `ai.opencode/sessionID`.
    """
    identity = identify(headers, {}, tenant)
    if identity.session:
        return identity
    session, thread = _named(meta, "session_id"), _named(meta, "thread_id")
    return identify({"session-id": session or thread, "thread-id": thread}, {}, tenant)


def _named(meta: Mapping[str, Any], wanted: str) -> str:
    """The string under that name, in `_meta` or one object below it; "" for none, or several that differ."""
    inner = [value for value in meta.values() if isinstance(value, dict)]
    found = {
        value
        for part in (meta, *inner)
        for key, value in part.items()
        if isinstance(value, str) and value and _field_name(key) == wanted
    }
    return found.pop() if len(found) == 1 else ""


def _field_name(key: str) -> str:
    """`_meta` keys are prefix/name (MCP 2025-11-25, "_meta"); VS Code writes prefix.name."""
    name = key.rpartition("/")[2].rpartition(".")[2]
    return _CAMEL_HUMP.sub("_", name).replace("-", "_").lower()
