"""What a client hands about: a call by the agent and the verdict on it, a run ahead, and the host of both."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from paste_proxy.client.protocol import Ended


class Alone(Enum):
    """The caller runs the tool itself."""

    ALONE = "alone"


@dataclass(frozen=True, slots=True)
class Kept:
    """The result is there already."""

    value: Any


class Joined(Enum):
    """The result is on its way; another verdict follows when it is there."""

    JOINED = "joined"


Verdict = Alone | Kept | Joined


@dataclass(eq=False, slots=True)
class Call:
    """A call by the agent. `told` hears of the verdict; not of one that comes after `settle` or `leave`."""

    tool: str
    arguments: str
    """JSON text."""
    values: Mapping[str, Any]
    """The same as the tool gets them."""
    identity: object
    """What is called, and for whom: results are given out only within one."""
    told: Callable[[Verdict], None]
    origin: Any = None
    """Where the call comes from, for the host: later runs ahead of its session are made as if from there."""
    tool_call_id: str = ""
    session: str = ""
    mark: object = None
    """What a look at what it would read gave when it was made."""
    asks: bool = True
    """The caller wants a verdict; else it is told for the proxy's books alone."""
    waits: bool = True
    """The caller waits for its verdict still."""
    number: int = 0
    run: str = ""
    """The run that it is, by the proxy's books."""
    ended: Ended | None = None
    """Said of its own run before the proxy had named it."""


@dataclass(eq=False, slots=True)
class Ahead:
    """A run ahead of its call."""

    id: str
    tool: str
    arguments: dict[str, Any]
    session: str
    started: float | None = None
    value: Any = None
    max_age: float | None = None
    """Of its result, where that tells one."""
    identity: object = None
    mark: object = None
    """What a look at what it reads gave just before it began."""
    is_ready: bool = False
    is_dropped: bool = False
    owner: Call | None = None
    """The call that joined it."""
    work: Any = field(default=None, repr=False)
    """The host's own."""


class Host(Protocol):
    """Runs tools, and says `began` and `ended` for each. Nothing here raises."""

    def start(self, run: Ahead) -> str:
        """Why it can't be; "" where it was started."""
        ...

    def stop(self, run: Ahead) -> None:
        """Its result is not wanted; it may go on where nothing can stop it."""
        ...

    def answered(self, call: Call, session: str) -> None:
        """The call is of this session."""
        ...
