"""An LLM turn that wants to go to its backend, and what is known of it beforehand."""

from typing import NamedTuple

import msgspec


class Place(NamedTuple):
    """In the order of arrival."""

    at: float = 0.0
    number: int = 0


class Asked(msgspec.Struct, frozen=True):
    """Times in seconds, sizes in tokens; 0 where nothing is known."""

    id: str
    session: str = ""
    """"": nobody can say whose it is."""
    tenant: str = ""
    place: Place = Place()
    """When it was asked for."""
    born: float = 0.0
    """When its session's first turn was asked for."""
    served_s: float = 0.0
    """What the engine has worked for the session."""
    context: int = 0
    """Of its prompt, but for what all sessions of its application begin with: memory has that once."""
    cold: int = 0
    """Of those, what the engine will have to read: they are not in its memory any more, or never were."""
    streams: bool = True
    """Its reply tells when the engine has read the prompt; else it comes in one piece, long after."""
    growth: int = 0
    """What its session is expected to hold more when its next turn is asked for: the reply, and results."""
    seconds: float = 0.0
    """What the engine is expected to work for it."""
    gain_s: float = 0.0
    """Tool time that is expected to be hidden behind it."""
    returns: bool = True
    """Its session is expected to come again."""
    priority: int = 0
    """The client's hint: higher is sooner."""
