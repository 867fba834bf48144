"""Who asks: the names that agents give their sessions today, in headers and body fields.

Names drift with every release of an agent, so all of them stand in this file (after Dynamo's
docs/agents/session-ids.md of 2026). Where several are given, the first of this order counts:

1. `x-dynamo-session-id`: set on purpose by a harness, over whatever its agent says of itself;
2. `x-claude-code-session-id`, and `x-claude-code-agent-id` for its sub-agents;
3. `session-id` or `session_id`, and `thread-id`: Codex and its sub-agents;
4. `x-session-id`: OpenCode, vLLM, anybody; 5. `x-litellm-session-id`: made by a gateway on the way;
6. body fields, in the order in which `grammar.requests` gives them.

A user (`user`, `metadata.user_id`) names no session: one user has many. A sub-agent is a session of its own.
"""

from collections.abc import Iterator, Mapping
from hashlib import blake2b

from paste_proxy.events import Identity

NAME_LIMIT = 256
"""Characters of a name that is kept as it is; agents send UUIDs. A longer one is kept as its digest."""

_FINAL = "x-dynamo-session-final"
_HEADERS = frozenset(
    {
        _FINAL,
        "x-dynamo-session-id",
        "x-dynamo-parent-session-id",
        "x-claude-code-session-id",
        "x-claude-code-agent-id",
        "x-claude-code-parent-agent-id",
        "session-id",
        "session_id",
        "thread-id",
        "x-session-id",
        "x-parent-session-id",
        "x-litellm-session-id",
    }
)
"""All that say something: a request that has none of them, as most calls of tools, is looked at no further."""
_TRUE = frozenset({"true", "1"})


def identify(headers: Mapping[str, str], fields: Mapping[str, str], tenant: str) -> Identity:
    """What a request of `tenant` (`access.Access` says whose it is) says of its session. `fields` are
    `ChatRequest.fields`; header names in any case.

    Names with control characters, and empty ones, are passed over.
    """
    given = {lower: value for name, value in headers.items() if (lower := name.lower()) in _HEADERS}
    if not given and not fields:
        return Identity(tenant=tenant)
    source, session, parent = next(_names(given, fields), ("", "", ""))
    return Identity(
        tenant=tenant,
        session=session,
        parent=parent,
        source=source,
        final=given.get(_FINAL, "").strip().lower() in _TRUE,
    )


def _names(headers: Mapping[str, str], fields: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """(source, session, parent), the most telling first."""
    if session := _name(headers, "x-dynamo-session-id"):
        yield "x-dynamo-session-id", session, _name(headers, "x-dynamo-parent-session-id")
    if session := _name(headers, "x-claude-code-session-id"):
        yield "x-claude-code-session-id", *_claude_code(headers, session)
    for header in ("session-id", "session_id"):
        if session := _name(headers, header):
            yield header, *_codex(session, _name(headers, "thread-id"))
    if session := _name(headers, "x-session-id"):
        yield "x-session-id", session, _name(headers, "x-parent-session-id")
    if session := _name(headers, "x-litellm-session-id"):
        yield "x-litellm-session-id", session, ""
    for field in fields:
        if session := _name(fields, field):
            yield field, session, ""


def _claude_code(headers: Mapping[str, str], session: str) -> tuple[str, str]:
    """Sub-agents share their root's session id; those of sub-agents name their parent agent, too."""
    agent = _name(headers, "x-claude-code-agent-id")
    if not agent:
        return session, ""
    parent = _name(headers, "x-claude-code-parent-agent-id")
    return f"{session}/{agent}", f"{session}/{parent}" if parent else session


def _codex(session: str, thread: str) -> tuple[str, str]:
    """The root thread has the session's id; other threads are sub-agents."""
    if thread in ("", session):
        return session, ""
    return f"{session}/{thread}", session


def _name(given: Mapping[str, str], key: str) -> str:
    if not (name := given.get(key, "").strip()):
        return ""
    if not name.isprintable():
        return ""
    if len(name) > NAME_LIMIT:
        return "blake2b:" + blake2b(name.encode(), digest_size=16).hexdigest()
    return name
