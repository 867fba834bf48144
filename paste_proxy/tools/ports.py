"""How the core has tools run: the executor port. Local, remote and leased runs have one life cycle."""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Protocol

import msgspec


class RunClass(IntEnum):
    """Who asked for a run; a lower number goes first."""

    AUTHORITATIVE = 0
    DECIDED = 1
    SPECULATIVE = 2


class Output(msgspec.Struct, frozen=True):
    """A tool's result as it goes to the client: UTF-8 text (`text`), else one JSON value."""

    body: bytes
    is_text: bool = False
    max_age: float | None = None
    """Seconds from the start of its run after which this result is not released, where that is less than its
    tool's `max_age`. 0: it is of no use to a call that came after the run began."""
    kept: int | None = None
    """Bytes of a result that its client keeps; `body` is then empty, or a copy for predictions."""
    digest: str = ""
    """Of such a result, to compare it with another; "" where none could be taken."""
    mcp: bytes | None = None
    """A `CallToolResult` as an MCP server gave it, where `body` does not say all of it: images, several parts,
    notes on them. For clients that speak MCP."""

    @property
    def is_told(self) -> bool:
        """Whether its client has shown what it keeps."""
        return self.kept is None or bool(self.body)

    @property
    def size(self) -> int:
        """Bytes that are kept with it."""
        return (len(self.body) if self.kept is None else self.kept) + len(self.mcp or b"")


class Progress(msgspec.Struct, frozen=True):
    """How far a run is, in the tool's own measure."""

    done: float
    total: float | None = None
    message: str | None = None


class Perishable(msgspec.Struct, frozen=True):
    """A tool returns it where this result may be kept for less time than the tool declares."""

    value: Any
    """What the tool would have returned."""
    max_age: float
    """Seconds from the start of the run; 0: run again when the model asks."""


class RunContext(msgspec.Struct, frozen=True):
    """What a run may know of its call. The class of the run is not in it: a result must not depend on it."""

    tenant: str
    session: str


class Run(msgspec.Struct, frozen=True):
    run: str
    tool: str
    arguments: dict[str, Any]
    context: RunContext
    run_class: RunClass
    client: str = ""
    """Of a leased run, the client that runs it."""


class Executor(Protocol):
    """Runs tools. Raises a `ToolError` (or `InvalidArgumentsError`) where there is no result.

    Cancelling the awaiting task ends the run, also one in a worker process. A run that nothing can end
    (a thread) drops its result, and `run` returns only when it has really ended, or at `close`.
    """

    async def run(self, run: Run, begun: Callable[[], None]) -> Output:
        """Call `begun` once, on the event loop, when the tool's function really starts.

        Until then the run is queued to its owner: it waits for a warm-up, or for a process that is busy or
        still starting. A run that fails or is cancelled before it starts never calls it.
        """
        ...

    def fingerprint(self, tool: str, arguments: dict[str, Any]) -> bytes | None:
        """A cheap digest of the state that the call would read, such as a file's stat; microseconds.

        A result may be released only if the value at the start of its run equals the value at release.
        None: the tool has no fingerprint. Where one can't be taken, the value equals no other.
        """
        ...

    def promote(self, run: str) -> None:
        """A speculative run has become authoritative: give it the priority of one. Unknown ids are ignored."""
        ...

    async def warm_up(self) -> None:
        """Do what tools declare as their warm-up. Failures are the tools' own, and logged."""
        ...

    async def close(self) -> None: ...
