"""What the core keeps of one turn while it lasts."""

from dataclasses import dataclass, field

from paste_proxy.grammar.events import CallSealed
from paste_proxy.grammar.requests import ChatRequest, MessageCall
from paste_proxy.predict.model import Call
from paste_proxy.sessions.state import SessionState


@dataclass(eq=False, slots=True)
class Turn:
    """One LLM request and its reply, as far as it has come."""

    id: str
    session: SessionState | None
    request: ChatRequest | None
    opened: float
    sealed: dict[int, CallSealed] = field(default_factory=dict)
    """By the call's ordinal: one without arguments may be sealed late."""
    foreseen: dict[tuple[str, str], Call] = field(default_factory=dict)
    """What was started for calls that the client has not been told of, by tool and canonical arguments."""
    foreseen_writes: set[int] = field(default_factory=set)
    """Ordinals of such calls that have a write open."""
    sent: bool = False
    """It went to a backend."""
    text: list[str] = field(default_factory=list)
    ended: bool = False
    unreadable: bool = False
    """One of its calls could not be read."""
    final: bool = False
    """The client says that the session ends with this turn."""

    @property
    def one_reply(self) -> bool:
        """With several replies asked for (`n`), nobody can say which one the agent will follow."""
        return self.request is not None and self.request.choices == 1

    @property
    def calls(self) -> list[CallSealed]:
        return [self.sealed[ordinal] for ordinal in sorted(self.sealed)]

    @property
    def told_calls(self) -> list[MessageCall]:
        """The calls that the client's history will hold as calls, and not as the text they were read from."""
        return [MessageCall(one.call_id, one.name, one.arguments) for one in self.calls if not one.in_text]

    @property
    def may_hold_calls(self) -> bool:
        request = self.request
        return request is not None and (bool(request.tools) or request.text_is_read)

    @property
    def goes_on_elsewhere(self) -> bool:
        return self.request is not None and self.request.background
