"""A wrapped tool, of whatever framework: what the proxy is told of it, and how it is run ahead of its call."""

import asyncio
import contextvars
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from paste_proxy.tools.spec import ToolSpec


class WrapError(TypeError):
    """A tool that can't be wrapped so; the message says which, and what to do."""


@dataclass(eq=False)
class Bound:
    spec: ToolSpec
    run: Callable[[dict[str, Any], Any], Any]
    """Run it with JSON arguments and the framework's own context; of an async tool, the awaitable. Raises where
    there is no result: an error that the framework would make a text of is no result."""
    is_async: bool
    original: object
    """What was given to `wrap`, or the function in it: two that have the same are the same tool."""
    needs_world: bool = False
    """It can't be run without the framework's context, which only a call brings."""
    mark: Callable[[dict[str, Any]], object] | None = None
    """A look at what a run would read: its result is given out only if a second look sees the same."""
    prepare: Callable[[dict[str, Any]], Any] | None = None
    """What runs ahead in its place, where its effect is `warm` or `dry_run`."""
    siblings: Mapping[str, "Bound"] = field(default_factory=dict)
    """The tools that were wrapped with it, by name."""

    @property
    def runs_in_loop(self) -> bool:
        """What runs ahead, in an event loop rather than in a thread."""
        return self.is_async if self.prepare is None else is_async(self.prepare)

    def ahead(self, arguments: dict[str, Any], world: Any) -> Any:
        """Run ahead of its call what may be."""
        return self.run(arguments, world) if self.prepare is None else self.prepare(arguments)


@dataclass(frozen=True, eq=False, slots=True)
class Origin:
    """Where a call comes from. What runs ahead in its session is run as if from there."""

    bound: Bound
    loop: asyncio.AbstractEventLoop | None
    context: contextvars.Context
    world: Any = None
    """The framework's context of the call."""


@dataclass(frozen=True, eq=False, slots=True)
class Identity:
    """What is called, and for whom: results are given out only where both are the same."""

    original: object
    world: Any

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Identity) or self.original is not other.original:
            return False
        return self.world is other.world or bool(self.world == other.world)

    __hash__ = None  # type: ignore[assignment]


def running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(inspect.unwrap(function))
