"""What requests of all APIs share: the fields that name a session, and parts of content."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from paste_proxy.grammar.digests import digest
from paste_proxy.grammar.requests.model import Hints

UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)
"""Whatever bytes a decoder gets, it raises nothing else. `ValueError` is for broken UTF-8."""

SESSION_FIELDS = ("session_id", "program_id", "conversation_id", "litellm_session_id")
"""Fields that name a session where they stand: at the top (vLLM, SGLang; ThunderAgent's program_id) or in an
object of extensions. Not `user`, `safety_identifier` or `prompt_cache_key`: one user has many sessions, and
a cache key may be shared by all of an application's. Not `request_id` or `rid`: they name a request."""

SESSION_OBJECTS = ("metadata", "nvext", "nvext.agent_context", "vllm_xargs", "extra_body")
"""Where extensions are kept: OpenAI's metadata, Dynamo's nvext, vLLM's xargs, LiteLLM's extra_body."""

CLAUDE_CODE_USER = "metadata.user_id"
"""Claude Code names its session inside of its user id, and from 2.1.86 on also in a header."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_USER_ID_LIMIT = 1024
"""Characters of a user id in which a session is looked for; Claude Code's has about 200."""


class Body(msgspec.Struct, gc=False):
    """Fields of which a wrong type harms nobody are `Any`: they are looked at, and passed over."""

    tools: Any = None
    model: Any = None
    stream: Any = None
    n: Any = None
    priority: Any = None
    session_id: Any = None
    session_params: Any = None
    program_id: Any = None
    conversation_id: Any = None
    litellm_session_id: Any = None
    metadata: Any = None
    nvext: Any = None
    vllm_xargs: Any = None
    extra_body: Any = None

    @property
    def model_name(self) -> str:
        return self.model if isinstance(self.model, str) else ""

    @property
    def choices(self) -> int:
        return count(self.n)

    @property
    def names_session(self) -> bool:
        return self.session_id is not None or self.session_params is not None

    @property
    def hints(self) -> Hints:
        told = self.nvext.get("agent_hints") if isinstance(self.nvext, dict) else None
        agent = told if isinstance(told, dict) else {}
        length = _whole(agent.get("osl"))
        return Hints(_whole(self.priority), _whole(agent.get("priority")), max(0, length or 0))

    def session_fields(self) -> dict[str, str]:
        return dict(_session_fields(self))


class _Part(msgspec.Struct, gc=False):
    type: str | None = None
    text: str | None = None


class _ClaudeCodeUser(msgspec.Struct, gc=False):
    session_id: str = ""


Content = str | list[msgspec.Raw] | None

_decode_part = msgspec.json.Decoder(_Part).decode
_decode_any = msgspec.json.Decoder().decode
_decode_user = msgspec.json.Decoder(_ClaudeCodeUser).decode
_encode = msgspec.json.Encoder(order="sorted").encode

_TEXTS = frozenset({None, "text", "input_text", "output_text"})
THINKING = frozenset({"thinking", "redacted_thinking", "reasoning"})


def content_of(content: Content) -> tuple[str, list[bytes]]:
    """The text, and the digests of what is no text. Thinking is neither: it comes and goes with the client."""
    if not isinstance(content, list):
        return content or "", []
    texts: list[str] = []
    foreign: list[bytes] = []
    for raw in content:
        part = _decode_part(raw)
        if part.text is not None and part.type in _TEXTS:
            texts.append(part.text)
        elif part.type not in THINKING:
            foreign.append(foreign_digest(raw))
    return "\n".join(texts), foreign


def foreign_digest(part: msgspec.Raw) -> bytes:
    """However it is spaced and ordered. Cache marks wander through a history from request to request; they are
    not what it says."""
    decoded = _decode_any(part)
    if isinstance(decoded, dict):
        decoded.pop("cache_control", None)
    return digest(_encode(decoded))


def count(value: Any) -> int:
    """How many replies are asked for."""
    return value if isinstance(value, int) and value > 1 else 1


def _session_fields(body: Body) -> Iterator[tuple[str, str]]:
    for name in SESSION_FIELDS:
        if value := _name(getattr(body, name)):
            yield name, value
    for path in SESSION_OBJECTS:
        top, _, inner = path.partition(".")
        holder = getattr(body, top)
        if inner and isinstance(holder, dict):
            holder = holder.get(inner)
        if isinstance(holder, dict):
            for name in SESSION_FIELDS:
                if value := _name(holder.get(name)):
                    yield f"{path}.{name}", value
    if isinstance(body.metadata, dict) and (session := claude_code_session(body.metadata.get("user_id"))):
        yield CLAUDE_CODE_USER, session


def claude_code_session(user_id: Any) -> str:
    """The session in Claude Code's user id: the end of a text, or, in newer versions, a member of an object in
    JSON. Other user ids say nothing of sessions."""
    if not isinstance(user_id, str) or len(user_id) > _USER_ID_LIMIT:
        return ""
    if user_id.startswith("{"):
        try:
            return _decode_user(user_id).session_id
        except UNREADABLE:
            return ""
    user, _, session = user_id.rpartition("_session_")
    return session if user.startswith("user_") and _UUID.fullmatch(session) else ""


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _name(value: Any) -> str:
    """Names are strings; clients also send integers."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""
