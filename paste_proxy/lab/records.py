"""What the agents measure, as it travels from their process to the demo: times are seconds of the monotonic
clock, which all processes of a machine share."""

import msgspec


class LlmSpan(msgspec.Struct, frozen=True):
    """One turn: asked, first content, last byte."""

    start: float
    first: float
    end: float


class ToolSpan(msgspec.Struct, frozen=True):
    """One call as the agent waited for it; the last three as the gateway's headers state them, if it ran it."""

    tool: str
    subject: str
    start: float
    end: float
    outcome: str
    service_s: float
    saved_s: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


class TaskRecord(msgspec.Struct, frozen=True):
    """One task of one cell. `transcript[i]` digests the messages 0..i at its end."""

    cell: str
    task: int
    start: float
    end: float
    turns: tuple[LlmSpan, ...]
    calls: tuple[ToolSpan, ...]
    transcript: tuple[str, ...]
    addresses: frozenset[str]
    """What the task's searches found: the pages that may have been opened ahead for it."""

    @property
    def seconds(self) -> float:
        return self.end - self.start

    @property
    def exposed_s(self) -> float:
        """Tool time that the task waited for."""
        return sum(call.seconds for call in self.calls)


class ServiceSpan(msgspec.Struct, frozen=True):
    """One run as the remote service saw it, whoever asked for it; a cancelled one is not `finished`."""

    tool: str
    subject: str
    start: float
    end: float
    finished: bool


class TokenCount(msgspec.Struct, frozen=True):
    """What a real engine counted of one turn: its tokens are others than those that were drawn."""

    task: int
    step: int
    prompt: int
    output: int
    cached: int = 0
    """Of the prompt, what it had in memory, as far as it says so."""


class OwnTools(msgspec.Struct, frozen=True):
    """Tools that the agents of a cell run in their own process."""

    wrapped: bool
    time_scale: float
    token_scale: float
    log: str
    """The access log of what they ask of their service."""


class Cell(msgspec.Struct, frozen=True):
    """Where the agents of one cell find their model and their tools."""

    name: str
    url: str
    own: OwnTools | None = None
    """None: they call the gateway's."""
    model: str = ""
    """The model's address, where no proxy stands before it; "": the same as that of the tools."""


class AgentPlan(msgspec.Struct, frozen=True):
    """What the agents' process is told on its standard input."""

    cells: tuple[Cell, ...]
    tasks: tuple[int, ...]
    """In this order, in every cell."""
    at_once: int
    """Tasks at once per cell."""
    token_scale: float
    timeout_s: float
    """Of one request: only a hang is as long."""
