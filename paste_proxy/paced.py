"""What the joint queue remembers of a session, of a backend, and of a turn under way."""

from dataclasses import dataclass

from paste_proxy.grammar.events import Usage
from paste_proxy.schedule.asked import Place
from paste_proxy.schedule.estimates import Application, Rates
from paste_proxy.schedule.lanes import Lane
from paste_proxy.schedule.memory import Memory


@dataclass(eq=False, slots=True)
class Paced:
    application: Application
    born: float
    prompt: int = 0
    """Tokens of its last prompt, and..."""
    tokens: int = 0
    """...with the reply."""
    characters: int = 0
    """Of its last request."""
    served_s: float = 0.0
    ended: float = 0.0
    """When its last turn was over."""
    called: str = ""
    """What its last reply called; "": nothing."""
    newest: str = ""
    """The turn that it asked for last."""


class Served:
    def __init__(self) -> None:
        self.rates = Rates()
        self.memory = Memory()
        self.lets_go = False
        """See `BackendCapacity`."""
        self.says_cached = False
        """It has told of cached tokens, so that none means none."""


@dataclass(eq=False, slots=True)
class PacedTurn:
    session: str
    tenant: str
    place: Place
    priority: int
    context: int
    fresh: int
    """Of the request's characters, those that are new."""
    first: bool
    streams: bool = True
    """See `Asked`."""
    backend: Served | None = None
    lane: Lane | None = None
    """Of its backend; both are kept where that is removed meanwhile."""
    held: int = 0
    """What was in the backend's memory of its session when it was placed, by our account."""
    takes_s: float = 0.0
    """What that is expected to need for it."""
    sent: float = 0.0
    """To that backend; 0: not yet."""
    read: float = 0.0
    called: str = ""
    ended: bool = False
    written: int = 0
    """Characters of the reply's text."""
    usage: Usage | None = None
