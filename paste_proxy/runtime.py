"""The shell around the core: carries out its decisions, tells it what happened. (interface; body follows)"""

from collections.abc import Iterable

import msgspec

from paste_proxy.events import Identity
from paste_proxy.grammar.events import GrammarEvent
from paste_proxy.grammar.requests import ChatRequest
from paste_proxy.tools.ports import Output


class ToolCall(msgspec.Struct, frozen=True):
    """An authoritative call as a plane received it. `arguments` is raw JSON text."""

    identity: Identity
    tool: str
    arguments: bytes
    tool_call_id: str = ""


class ToolAnswer(msgspec.Struct, frozen=True):
    outcome: str
    output: Output
    service_s: float
    saved_s: float


class TurnHandle:
    """One admitted LLM turn. No method raises; `close` must be called exactly once."""

    turn: str

    def sent(self) -> None: ...

    def feed(self, events: Iterable[GrammarEvent]) -> None: ...

    def close(self, *, complete: bool) -> None: ...


class Runtime:
    async def admit(self, identity: Identity, request: ChatRequest | None) -> TurnHandle:
        """Returns when the joint queue lets the turn go to the backend."""
        raise NotImplementedError

    async def call(self, call: ToolCall) -> ToolAnswer:
        """Raises a `PasteError`. Cancelling the awaiting task means that the caller left."""
        raise NotImplementedError
